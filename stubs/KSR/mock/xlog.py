"""KSR.xlog: log lines with pseudo-variables in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from KSR.mock.pv import expand
from KSR.mock.registry import BEHAVIOURS, kemi

if TYPE_CHECKING:
    from KSR.mock.process import Process
    from KSR.mock.registry import Behaviour

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
