"""The command as a whole."""

import subprocess
import sys


def test_the_command_starts_without_what_only_tables_and_checks_need() -> None:
    """In an emergency `disable` must be quick, and most of its time goes into imports."""
    code = (
        "import sys, kemi_rtp.command.main; print(*{'rich', 'sqlite3', 'subprocess', 'getpass'} & sys.modules.keys())"
    )
    found = subprocess.run(
        [sys.executable, "-S", "-c", code], env={"PYTHONPATH": ":".join(sys.path)}, capture_output=True, text=True
    )
    assert (found.stdout, found.stderr) == ("\n", "")
