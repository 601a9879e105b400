"""KSR.xhttp: answers to HTTP requests (xhttp/xhttp_mod.c); $hu."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from KSR.mock.engine.behaviour import Result, kemi
from KSR.mock.pv.spec import Spec
from KSR.mock.pv.variables import getter

if TYPE_CHECKING:
    from KSR.mock.engine.process import Process


@dataclass(frozen=True)
class HttpReply:
    """What KSR.xhttp.xhttp_reply sent."""

    code: int
    reason: str
    headers: list[str]
    body: str


@getter("hu")
def _http_url(process: Process, spec: Spec) -> Result:
    return process.message.uri if process.message.is_request else None


@kemi("xhttp.xhttp_reply")
def xhttp_reply(process: Process, code: int, reason: str, content_type: str, body: str) -> int:
    """Answer the HTTP request; the reply is in `ksr.http_replies`."""
    message = process.message
    headers = [text.rstrip("\r\n") for text in message.reply_headers]
    if content_type:
        headers.append(f"Content-Type: {content_type}")
    process.kamailio.http_replies.append(HttpReply(code, reason, headers, body))
    return 0


@kemi("xhttp.get_hu")
def get_hu(process: Process) -> Result:
    return process.message.uri if process.message.is_request else None
