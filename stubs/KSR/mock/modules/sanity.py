"""KSR.sanity: whether a message is sane enough to be routed (sanity/sanity.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from KSR.mock.engine.behaviour import kemi
from KSR.mock.modules.sl import send_local_reply
from KSR.mock.sip.syntax import parse_uri

if TYPE_CHECKING:
    from KSR.mock.engine.process import Process


@kemi("sanity.sanity_check")
def sanity_check(process: Process, message_checks: int, uri_checks: int) -> int:
    """A few of the module's checks: the headers that each message needs, and CSeq."""
    message = process.message
    for name in ("To", "From", "CSeq", "Call-ID", "Via"):
        if message.first(name) is None:
            return _insane(process, f"Missing Required Header {name}")
    if message.is_request and message.cseq[1] != message.method:
        return _insane(process, "CSeq method does not match request method")
    if message.is_request and not parse_uri(message.uri).valid:
        return _insane(process, "Bad Request URI")
    return 1


@kemi("sanity.sanity_check_defaults")
def sanity_check_defaults(process: Process) -> int:
    return sanity_check(process, 0, 0)


def _insane(process: Process, reason: str) -> int:
    if process.message.is_request and process.message.method != "ACK":
        send_local_reply(process, process.message, 400, reason)
    return -1
