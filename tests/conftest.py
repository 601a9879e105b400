"""What all tests share: the fixture `ksr`, and the Kamailio lines of the laboratory."""

pytest_plugins = ["KSR.pytest_plugin", "tests.lab.pytest_plugin", "pytester"]
