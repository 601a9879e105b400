"""The text of replies: those that Kamailio makes itself, and those that it forwards (core/msg_translator.c)."""

from __future__ import annotations

import re
import zlib
from typing import TYPE_CHECKING

from KSR.mock.sip.message import Address, SipMessage
from KSR.mock.sip.syntax import uri_host

if TYPE_CHECKING:
    pass

COPIED = ("From", "To", "Call-ID", "CSeq")


def local_tag(message: SipMessage) -> str:
    """Return the To tag of Kamailio's own replies to a request; the same for a retransmission."""
    return f"{zlib.crc32(message.call_id.encode()):08x}" * 4 + ".00000000"


def via_with_received(message: SipMessage) -> list[str]:
    """Return the Via bodies of a request with what the server transport adds (RFC 3261 18.2.1, RFC 3581)."""
    bodies = [header.body for header in message.all("Via")]
    if not bodies:
        return bodies
    top = message.vias[0]
    if message.force_rport or "rport" in top.params:
        parts = [part for part in bodies[0].split(";") if not part.strip().startswith("rport")]
        bodies[0] = ";".join([*parts, f"rport={message.source.port}"])
        bodies[0] += f";received={message.source.ip}"
    elif top.host.strip("[]") != message.source.ip:
        bodies[0] += f";received={message.source.ip}"
    return bodies


def relayed_via(message: SipMessage) -> str:
    """Return the topmost Via of a request that is relayed: received goes before the other parameters."""
    header = message.first("Via")
    assert header is not None
    body, top = header.body, message.vias[0]
    wants_rport = message.force_rport or "rport" in top.params
    if wants_rport and "rport" in top.params:
        body = re.sub(r";\s*rport(?=;|,|$)", f";rport={message.source.port}", body, count=1)
    elif wants_rport:
        body += f";rport={message.source.port}"
    if wants_rport or top.host.strip("[]") != message.source.ip:
        sent_by, semicolon, params = body.partition(";")
        body = f"{sent_by};received={message.source.ip}{semicolon}{params}"
    return body


def build_reply(message: SipMessage, code: int, reason: str, *, body: str = "", content_type: str = "") -> str:
    """Return the text of a local reply to a request, with the headers that scripts appended for it."""
    lines = [f"SIP/2.0 {code} {reason}", *(f"Via: {body}" for body in via_with_received(message))]
    if 100 < code < 300:
        lines += [f"Record-Route: {header.body}" for header in message.all("Record-Route")]
    for name in COPIED:
        value = message.get(name) or ""
        if name == "To" and code > 100 and not message.to.tag:
            value += f";tag={local_tag(message)}"
        lines.append(f"{name}: {value}")
    lines += [text.rstrip("\r\n") for text in message.reply_headers]
    if body:
        lines.append(f"Content-Type: {content_type}")
    lines.append(f"Content-Length: {len(body.encode())}")
    return "\r\n".join(lines) + "\r\n\r\n" + body


def render_forwarded(message: SipMessage) -> str:
    """Return the text of a reply that goes on: our own Via, the topmost, is gone."""
    top = message.first("Via")
    if top is not None:
        rest = top.body.split(",", 1)[1:]
        if rest:
            top.sent_body = rest[0].strip()
        else:
            top.removed = True
    return message.render()


def stateless_destination(message: SipMessage) -> Address | None:
    """Return where a reply without transaction goes: the second Via."""
    if len(message.vias) < 2:
        return None
    via = message.vias[1]
    host = via.params.get("received") or via.host
    return Address(uri_host(host).strip("[]"), int(via.params.get("rport") or via.port or 5060), via.proto)
