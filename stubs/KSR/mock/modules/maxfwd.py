"""KSR.maxfwd: the Max-Forwards header (maxfwd/mf_funcs.c)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from KSR.mock.engine.behaviour import kemi

if TYPE_CHECKING:
    from KSR.mock.engine.process import Process


@kemi("maxfwd.process_maxfwd")
def process_maxfwd(process: Process, limit: int) -> int:
    """Decrement Max-Forwards, or add it: 1; -1 when it has run out."""
    message = process.message
    header = message.first("Max-Forwards")
    if header is None:
        message.insert(0, f"Max-Forwards: {limit}\r\n")
        return 2
    if not re.fullmatch(r"\d+", header.body):
        return -2
    value = int(header.body)
    if value == 0:
        return -1
    value = min(value - 1, int(process.kamailio.params.get(("maxfwd", "max_limit"), 70)))
    header.body = header.sent_body = str(value)  # in the received text itself
    return 1


@kemi("maxfwd.is_maxfwd_lt")
def is_maxfwd_lt(process: Process, limit: int) -> int:
    value = process.message.get("Max-Forwards")
    if value is None or not value.isdigit():
        return -2
    return 1 if int(value) < limit else -1
