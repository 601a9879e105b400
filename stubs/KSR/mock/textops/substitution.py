"""/regex/replacement/flags, as the subst functions of textops take it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from KSR.mock.pv.variables import VARIABLE, get
from KSR.mock.textops.edits import Replacement

if TYPE_CHECKING:
    from KSR.mock.engine.process import Process


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
