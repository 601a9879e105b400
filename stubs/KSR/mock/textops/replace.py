"""KSR.textops: replace texts in the received message: replace* by regular expression, subst* by /regex/text/flags.

As in Kamailio every match is looked for in the text as it arrived, whatever was replaced before.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from KSR.mock.engine.behaviour import kemi
from KSR.mock.modules.textops import posix
from KSR.mock.pv.variables import VARIABLE, get, write
from KSR.mock.sip.message import Header, SipMessage

if TYPE_CHECKING:
    from KSR.mock.engine.process import Process

Replacement = tuple[int, int, str]  # from, to, the new text


# ---- edits by place in the received text ----------------------------------------------------------------------------


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


# ---- replace ---------------------------------------------------------------------------------------------------------


def _replace(process: Process, regex: str, value: str, start: int, end: int | None, *, every: bool) -> int:
    pattern = posix(regex)
    if pattern is None:
        return -1
    found: list[Replacement] = []
    for match in pattern.finditer(process.message.text[start:end]):
        if every and not match[0]:
            return -1
        found.append((match.start(), match.end(), value))
        if not every:
            break
    return apply(process, found, start)


@kemi("textops.replace")
def replace(process: Process, regex: str, value: str) -> int:
    return _replace(process, regex, value, headers_start(process.message), None, every=False)


@kemi("textops.replace_all")
def replace_all(process: Process, regex: str, value: str) -> int:
    return _replace(process, regex, value, headers_start(process.message), None, every=True)


@kemi("textops.replace_hdrs")
def replace_hdrs(process: Process, regex: str, value: str) -> int:
    message = process.message
    return _replace(process, regex, value, headers_start(message), body_start(message), every=False)


@kemi("textops.replace_body")
def replace_body(process: Process, regex: str, value: str) -> int:
    return _replace(process, regex, value, body_start(process.message), None, every=False)


@kemi("textops.replace_body_all", "textops.replace_body_atonce")
def replace_body_all(process: Process, regex: str, value: str) -> int:
    return _replace(process, regex, value, body_start(process.message), None, every=True)


def _replace_text(process: Process, start: int, end: int, old: str, new: str, mode: str) -> int:
    text = process.message.text
    if not old:
        return 1
    place = text.find(old, start, end)
    while place >= 0:
        edit(process, place, place + len(old), new)
        if mode[:1] in ("f", "F", ""):
            break
        # From here on Kamailio searches to the end of the message, also where only headers were asked for.
        place = text.find(old, place + len(old))
    return 1


@kemi("textops.replace_str")
def replace_str(process: Process, old: str, new: str, mode: str) -> int:
    return _replace_text(process, headers_start(process.message), len(process.message.text), old, new, mode)


@kemi("textops.replace_hdrs_str")
def replace_hdrs_str(process: Process, old: str, new: str, mode: str) -> int:
    return _replace_text(process, headers_start(process.message), body_start(process.message), old, new, mode)


@kemi("textops.replace_body_str")
def replace_body_str(process: Process, old: str, new: str, mode: str) -> int:
    if not process.message.body:
        return -1
    return _replace_text(process, body_start(process.message), len(process.message.text), old, new, mode)


# ---- subst ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Substitution:
    """A parsed "/regex/replacement/flags"."""

    pattern: re.Pattern[str]
    build: Callable[[re.Match[str]], str]
    every: bool

    def run(self, text: str) -> list[Replacement] | None:
        """Return what to replace in a text; None when an empty match makes Kamailio give up."""
        found: list[Replacement] = []
        for match in self.pattern.finditer(text):
            if not match[0]:
                return None
            found.append((match.start(), match.end(), self.build(match)))
            if not self.every:
                break
        return found

    def text(self, text: str) -> str | None:
        """Return a text with the replacements in it; None when there are none."""
        for start, end, new in reversed(found := self.run(text) or []):
            text = text[:start] + new + text[end:]
        return text if found else None


def parse_substitution(process: Process, text: str) -> Substitution | None:
    """Parse "/regex/replacement/flags"; the separator is the first character, whatever it is."""
    if len(text) < 3 or text[0] == "\\":
        return None
    separator = re.escape(text[0])
    parts = re.fullmatch(
        f"{separator}(.*?)(?<!\\\\){separator}((?:\\\\.|[^\\\\])*?){separator}([isg]*)", text, re.DOTALL
    )
    if parts is None:
        return None
    options = re.IGNORECASE if "i" in parts[3] else re.NOFLAG
    options |= re.DOTALL if "s" in parts[3] else re.MULTILINE
    try:
        pattern = re.compile(parts[1], options)
    except re.error:
        return None
    return Substitution(pattern, lambda match: _build(process, parts[2], match), "g" in parts[3])


_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}
_ESCAPE_OR_VARIABLE = re.compile(rf"\\(.)|({VARIABLE.pattern})", re.DOTALL)


def _build(process: Process, replacement: str, match: re.Match[str]) -> str:
    """Return a replacement with \\1, \\u (the request URI) and the variables in it filled in."""

    def fill(found: re.Match[str]) -> str:
        if found[2]:
            value = get(process, found[2])
            return "" if value is None else str(value)
        char = found[1]
        if char.isdigit():
            group = int(char)
            return (match[group] or "") if group <= match.re.groups else ""
        return process.message.current_uri if char == "u" else _ESCAPES.get(char, char)

    return _ESCAPE_OR_VARIABLE.sub(fill, replacement)


def _subst(process: Process, expression: str, start: int) -> int:
    parsed = parse_substitution(process, expression)
    return -1 if parsed is None else apply(process, parsed.run(process.message.text[start:]), start)


@kemi("textops.subst")
def subst(process: Process, expression: str) -> int:
    return _subst(process, expression, headers_start(process.message))


@kemi("textops.subst_body")
def subst_body(process: Process, expression: str) -> int:
    return _subst(process, expression, body_start(process.message))


@kemi("textops.subst_uri")
def subst_uri(process: Process, expression: str) -> int:
    parsed = parse_substitution(process, expression)
    new = None if parsed is None else parsed.text(process.message.current_uri)
    if new is None:
        return -1
    process.message.new_uri = new
    return 1


@kemi("textops.subst_user")
def subst_user(process: Process, expression: str) -> int:
    parsed = parse_substitution(process, expression)
    new = None if parsed is None else parsed.text(str(get(process, "$rU") or ""))
    return -1 if new is None or not write(process, "$rU", new) else 1


@kemi("textops.subst_v")
def subst_v(process: Process, text: str, expression: str, variable: str) -> int:
    parsed = parse_substitution(process, expression)
    new = None if parsed is None else parsed.text(text)
    return -1 if new is None or not write(process, variable, new) else 1


@kemi("textops.subst_hf")
def subst_hf(process: Process, name: str, expression: str, which: str) -> int:
    """Replace in the first header of the name ("f"), the last ("l"), or all of them."""
    parsed = parse_substitution(process, expression)
    places = [(header, place) for header, place in header_places(process.message) if header.is_called(name)]
    if parsed is None or not places:
        return -1
    chosen = {"f": places[:1], "l": places[-1:]}.get(which[:1], places)
    return max(apply(process, parsed.run(header.body), place) for header, place in chosen)
