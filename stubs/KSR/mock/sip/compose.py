"""Build the SIP messages that a test needs. Every text ends its lines with CRLF and has a right Content-Length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from typing import TypeAlias, TypedDict

from KSR.mock.sip.message import Address, SipMessage
from KSR.mock.sip.sent import SentMessage

Headers: TypeAlias = Mapping[str, str] | Sequence[tuple[str, str]]
_numbers = count(1)

SDP = (
    "v=0\r\no=- 1 1 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n"
    "m=audio 4000 RTP/AVP 0 8\r\na=rtpmap:0 PCMU/8000\r\n"
)


def lines(headers: Headers) -> list[str]:
    """Return header lines."""
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    return [f"{name}: {value}" for name, value in pairs]


class RequestParts(TypedDict, total=False):
    """What `request` lets a test choose."""

    call_id: str
    cseq: int
    from_uri: str
    from_tag: str
    to_uri: str
    to_tag: str
    branch: str
    contact: str
    route: str | list[str]
    headers: Headers
    sdp: str | bool
    body: str
    content_type: str
    source: str
    received: str
    proto: str


def request(
    method: str,
    uri: str = "sip:bob@example.com",
    *,
    call_id: str = "",
    cseq: int = 1,
    from_uri: str = "sip:alice@example.com",
    from_tag: str = "caller-tag",
    to_uri: str = "sip:bob@example.com",
    to_tag: str = "",
    branch: str = "",
    contact: str = "<sip:alice@192.0.2.10:5060>",
    route: str | Sequence[str] = (),
    headers: Headers = (),
    sdp: str | bool = "",
    body: str = "",
    content_type: str = "application/sdp",
    source: str = "192.0.2.10:5060",
    received: str = "127.0.0.1:5060",
    proto: str = "udp",
) -> SipMessage:
    """Build a request. `sdp=True` gives it a body; `route` is one Route entry or a list of them."""
    number = next(_numbers)
    body = SDP if sdp is True else (sdp or body)
    routes = [route] if isinstance(route, str) and route else list(route)
    text = [
        f"{method} {uri} SIP/2.0",
        f"Via: SIP/2.0/{proto.upper()} {source};branch={branch or f'z9hG4bK-test-{number}'};rport",
        *(f"Route: {entry}" for entry in routes),
        f"From: <{from_uri}>;tag={from_tag}",
        f"To: <{to_uri}>" + (f";tag={to_tag}" if to_tag else ""),
        f"Call-ID: {call_id or f'call-{number}@test'}",
        f"CSeq: {cseq} {method}",
        *([f"Contact: {contact}"] if contact else []),
        "Max-Forwards: 70",
        *lines(headers),
        *([f"Content-Type: {content_type}"] if body else []),
        f"Content-Length: {len(body.encode())}",
    ]
    return SipMessage("\r\n".join(text) + "\r\n\r\n" + body, address(source, proto), address(received, proto))


def reply_to(
    sent: SentMessage | SipMessage,
    code: int,
    reason: str = "",
    *,
    to_tag: str = "callee-tag",
    contact: str = "<sip:bob@192.0.2.20:5060>",
    headers: Headers = (),
    sdp: str | bool = "",
    source: str = "",
) -> SipMessage:
    """Build the reply of the far end to a request that Kamailio relayed."""
    message = sent.message if isinstance(sent, SentMessage) else sent
    body = SDP if sdp is True else (sdp or "")
    to = message.get("To") or ""
    text = [
        f"SIP/2.0 {code} {reason or REASONS.get(code, 'OK')}",
        *(f"Via: {header.body}" for header in message.all("Via")),
        *(f"Record-Route: {header.body}" for header in message.all("Record-Route")),
        f"From: {message.get('From')}",
        f"To: {to}" + (f";tag={to_tag}" if "tag=" not in to and code > 100 else ""),
        f"Call-ID: {message.call_id}",
        f"CSeq: {message.get('CSeq')}",
        *([f"Contact: {contact}"] if contact and code < 300 else []),
        *lines(headers),
        *(["Content-Type: application/sdp"] if body else []),
        f"Content-Length: {len(body.encode())}",
    ]
    where = str(sent.destination).partition(":")[2] if isinstance(sent, SentMessage) else "192.0.2.20:5060"
    proto = sent.destination.proto if isinstance(sent, SentMessage) else "udp"
    return SipMessage("\r\n".join(text) + "\r\n\r\n" + body, address(source or where, proto), message.received)


REASONS = {
    100: "Trying", 180: "Ringing", 183: "Session Progress", 200: "OK", 302: "Moved Temporarily", 403: "Forbidden",
    404: "Not Found", 408: "Request Timeout", 480: "Temporarily Unavailable", 486: "Busy Here",
    487: "Request Terminated", 488: "Not Acceptable Here", 500: "Server Internal Error", 503: "Service Unavailable",
    603: "Decline",
}  # fmt: skip


def address(text: str, proto: str = "udp") -> Address:
    """Read "ip:port" or "[ip6]:port"."""
    ip, _, port = text.rpartition(":")
    return Address(ip.strip("[]"), int(port), proto)
