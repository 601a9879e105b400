"""KSR.kex: the log level of one process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from KSR.mock.engine.behaviour import kemi

if TYPE_CHECKING:
    from KSR.mock.engine.process import Process


@kemi("kex.setdebug")
def setdebug(process: Process, level: int) -> int:
    """Give this process a log level of its own: -5 hides all but alerts, 3 shows everything."""
    process.log_level = level
    return 1


@kemi("kex.resetdebug")
def resetdebug(process: Process) -> int:
    process.log_level = None
    return 1
