"""KSR.sl: stateless replies, and stateful ones where a transaction is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from KSR.mock.engine.behaviour import kemi
from KSR.mock.modules.tm import t_reply
from KSR.mock.sip.message import Address, SipMessage
from KSR.mock.sip.reply import build_reply
from KSR.mock.sip.sent import SentMessage

if TYPE_CHECKING:
    from KSR.mock.engine.process import Process


def send_local_reply(process: Process, message: SipMessage, code: int, reason: str) -> SentMessage:
    """Send Kamailio's own reply to where the request came from; other modules reply through sl, too."""
    body, content_type = message.reply_body
    text = build_reply(message, code, reason, body=body, content_type=content_type)
    source = message.source
    sent = SentMessage(text, Address(source.ip, source.port, source.proto), local=True)
    process.kamailio.sent.add(sent)
    return sent


@kemi("sl.sl_send_reply")
def sl_send_reply(process: Process, code: int, reason: str) -> int:
    if process.in_reply:
        process.kamailio.fault(f"sl_send_reply({code}) for a reply", "Kamailio would send nothing and return 1")
        return 1
    if process.message.method == "ACK":
        return -1
    send_local_reply(process, process.message, code, reason)
    return 1


@kemi("sl.send_reply")
def send_reply(process: Process, code: int, reason: str) -> int:
    if process.transaction is not None:
        return 1 if t_reply(process, code, reason) >= 0 else -1
    return sl_send_reply(process, code, reason)


@kemi("sl.send_reply_mode")
def send_reply_mode(process: Process, code: int, reason: str, mode: int) -> int:
    return send_reply(process, code, reason)


@kemi("sl.sl_reply_error")
def sl_reply_error(process: Process) -> int:
    return sl_send_reply(process, 500, "I'm terribly sorry, server error occurred (1/SL)")


@kemi("sl.sl_forward_reply")
def sl_forward_reply(process: Process, *args: str) -> int:
    return 1 if process.in_reply else -1
