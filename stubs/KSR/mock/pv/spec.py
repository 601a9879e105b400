"""The name of a pseudo-variable in its parts: `$(name(inner)[index]{transformation})`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from KSR.mock.pv.transformations import Transformation, TransformationError, closing, parse_transformations

ALL = "*"


@dataclass(frozen=True, slots=True)
class Spec:
    """`$(name(inner)[index]{transformation})` in its parts; `index` is "*" for all."""

    text: str
    name: str
    inner: str = ""
    index: int | str = 0
    transformations: tuple[Transformation, ...] = ()
    indexed: bool = False


_NAME = re.compile(r"[A-Za-z0-9_.]+")


@lru_cache(maxsize=4096)
def parse_spec(text: str) -> Spec | None:
    """Parse one pseudo-variable; None for what Kamailio does not take as one."""
    if not text.startswith("$") or len(text) < 2:
        return None
    if text[1] != "(":
        return _parse_name(text, text[1:], ())
    if not text.endswith(")"):
        return None
    inside = text[2:-1]
    brace = _first_brace(inside)
    try:
        transformations = parse_transformations(inside[brace:])
    except TransformationError:
        return None
    return _parse_name(text, inside[:brace], transformations)


def _first_brace(text: str) -> int:
    """Find where the transformations begin: the first brace outside parentheses."""
    depth = 0
    for place, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if char == "{" and depth == 0:
            return place
    return len(text)


def _parse_name(text: str, body: str, transformations: tuple[Transformation, ...]) -> Spec | None:
    found = _NAME.match(body)
    if not found:
        return None
    name, rest, inner = found[0], body[found.end() :], ""
    if rest.startswith("("):
        end = closing(rest, "(", ")")
        if end is None:
            return None
        inner, rest = rest[1:end], rest[end + 1 :]
    index: int | str = 0
    indexed = bool(rest)
    if rest:
        place = re.fullmatch(r"\[(\*|-?\d+)\]", rest)
        if not place or not text.startswith("$("):
            return None
        index = ALL if place[1] == ALL else int(place[1])
    return Spec(text, name, inner, index, transformations, indexed)
