"""KSR.xlog: log lines with pseudo-variables in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from KSR.mock.engine.behaviour import BEHAVIOURS, kemi
from KSR.mock.pv.variables import expand

if TYPE_CHECKING:
    from KSR.mock.engine.behaviour import Behaviour
    from KSR.mock.engine.process import Process

LEVELS = {"xdbg": "dbg", "xinfo": "info", "xnotice": "notice", "xwarn": "warn", "xerr": "err", "xcrit": "crit"}


def _writer(level: str) -> Behaviour:
    def write(process: Process, text: str) -> int:
        process.kamailio.log_line(level, expand(process, text))
        return 1

    return write


for _name, _level in LEVELS.items():
    BEHAVIOURS[f"xlog.{_name}"] = _writer(_level)


@kemi("xlog.xlog")
def xlog(process: Process, level: str, text: str) -> int:
    process.kamailio.log_line(LEVELS.get("x" + level.lower().removeprefix("l_"), "err"), expand(process, text))
    return 1
