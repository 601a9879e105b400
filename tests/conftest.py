"""What all tests share."""

pytest_plugins = ["KSR.pytest_plugin"]
