"""What a test sees when a script does what Kamailio would punish.

`KemiFault` derives from `AssertionError`: in the default mode a wrong call is a failed test, not a wrong return value
that a script may overlook.
"""

from __future__ import annotations


class KemiFault(AssertionError):
    """A script misused KEMI. The message says what Kamailio would have done."""


class UnknownFunction(KemiFault, AttributeError):
    """The chosen Kamailio version has no such module or function."""


class WouldHang(KemiFault):
    """Kamailio would wait here for a lock that nobody releases."""


class BadCall(Exception):
    """Wrong number or type of arguments; inside the mock only.

    `cause` is the exception that Kamailio 5.x chains to its SystemError, `log` the line that it logs.
    """

    def __init__(self, cause: Exception, log: str) -> None:
        """Remember both sides of the fault."""
        super().__init__(str(cause))
        self.cause = cause
        self.log = log
