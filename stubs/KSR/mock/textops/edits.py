"""Edits by place in the received text: every match is looked for in the text as it arrived, as in Kamailio."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from KSR.mock.sip.message import Header, SipMessage

if TYPE_CHECKING:
    from KSR.mock.engine.process import Process


Replacement = tuple[int, int, str]  # from, to, the new text


def body_start(message: SipMessage) -> int:
    """Return where the body begins."""
    return message.text.index("\r\n\r\n") + 4


def headers_start(message: SipMessage) -> int:
    """Return where the headers begin; the first line is never changed."""
    return message.text.index("\r\n") + 2


def header_places(message: SipMessage) -> Iterator[tuple[Header, int]]:
    """Yield each header and where its body begins."""
    place = headers_start(message)
    for header in message.headers:
        place = message.text.index(header.body, place + len(header.name) + 1)
        yield header, place
        place += len(header.body)


def edit(process: Process, start: int, end: int, new: str) -> bool:
    """Put a new text in the place of a received one."""
    message = process.message
    message.edits.append((start, end, new))
    at = body_start(message)
    if start >= at:
        message.new_body = _with_edits(message, at, len(message.text))
        return True
    for header, place in header_places(message):
        if place <= start and end <= place + len(header.body):
            header.sent_body = _with_edits(message, place, place + len(header.body))
            return True
    what = f"{message.text[start:end]!r} is not inside one header's body"
    process.kamailio.fault(what, "Kamailio would replace it; the mock changes header bodies and the message body only")
    return False


def _with_edits(message: SipMessage, start: int, end: int) -> str:
    """Return a part of the received text with its edits; of two at one place both new texts are there."""
    parts, place = [], start
    for begin, until, new in sorted(message.edits, key=lambda found: found[0]):
        if start <= begin and until <= end:
            parts += [message.text[place:begin], new] if begin >= place else [new]
            place = max(place, until)
    return "".join([*parts, message.text[place:end]])


def apply(process: Process, found: list[Replacement] | None, offset: int) -> int:
    """Make the replacements; None or none at all is -1."""
    if not found:
        return -1
    for start, end, new in found:
        edit(process, start + offset, end + offset, new)
    return 1
