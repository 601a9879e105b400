"""How messages find their transaction (RFC 3261 17.2.3 and 17.1.3)."""

from __future__ import annotations

from KSR.mock.sip.message import SipMessage


def request_key(message: SipMessage, method: str = "") -> str:
    """Return what identifies a request's transaction: top Via branch, sent-by, and the method (INVITE for ACK)."""
    via = message.vias[0] if message.vias else None
    method = method or ("INVITE" if message.method == "ACK" else message.method)
    if via is None:
        return f"{message.call_id}|{message.cseq[0]}|{method}"
    return f"{via.branch}|{via.host}:{via.port}|{message.call_id}|{message.cseq[0]}|{method}"


def cancel_key(message: SipMessage) -> str:
    """Return the key of the INVITE that a CANCEL means."""
    return request_key(message, "INVITE")
