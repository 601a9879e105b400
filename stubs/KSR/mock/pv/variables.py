"""KSR.pv: get and set pseudo-variables by name.

The variables themselves are in pv_message.py (parts of the SIP message) and pv_state.py (AVPs, script and shared
variables, tables, time); transformations such as {s.len} in transformations.py. An unknown name gives null and a logged
error, as in Kamailio; in the default mode it fails the test.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

from KSR.mock.engine.behaviour import Result, kemi, null_value
from KSR.mock.pv.transformations import Transformation, TransformationError, closing, parse_transformations

if TYPE_CHECKING:
    from KSR.mock.engine.process import Process

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


Getter: TypeAlias = Callable[["Process", Spec], Result]
Setter: TypeAlias = Callable[["Process", Spec, Result], bool]
GETTERS: dict[str, Getter] = {}
SETTERS: dict[str, Setter] = {}


def getter(*names: str) -> Callable[[Getter], Getter]:
    """Register what reads the variables of these names."""

    def register(function: Getter) -> Getter:
        GETTERS.update(dict.fromkeys(names, function))
        return function

    return register


def setter(*names: str) -> Callable[[Setter], Setter]:
    """Register what sets the variables of these names; None unsets."""

    def register(function: Setter) -> Setter:
        SETTERS.update(dict.fromkeys(names, function))
        return function

    return register


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


def find(process: Process, text: str) -> Spec | None:
    """Return the parsed variable, or log that Kamailio does not know it."""
    spec = parse_spec(text)
    if spec is None or spec.name not in GETTERS:
        process.kamailio.log_line("err", f"invalid pv [{text}]")
        known = "" if spec is None or spec.name in GETTERS else f" (the mock knows no ${spec.name})"
        what = f"{text!r} is no pseudo-variable{known}"
        process.kamailio.fault(what, "Kamailio would log an error and take it as null")
        return None
    return spec


def read(process: Process, spec: Spec) -> Result:
    """Return a variable's value after its transformations; None is null."""
    value = GETTERS[spec.name](process, spec)
    for transformation in spec.transformations:
        value = transformation(process, value)
    return value


def get(process: Process, text: str) -> Result:
    """Return the value of the variable with this name."""
    spec = find(process, text)
    return None if spec is None else read(process, spec)


def write(process: Process, text: str, value: Result) -> bool:
    """Set a variable; None unsets it."""
    spec = find(process, text)
    if spec is None:
        return False
    change = SETTERS.get(spec.name)
    if change is None or spec.transformations:
        process.kamailio.fault(f"pseudo-variable {text} cannot be set", "Kamailio would change nothing and return True")
        return True
    return change(process, spec, value)


VARIABLE = re.compile(r"\$(?:\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)|[A-Za-z0-9_.]+(?:\((?:[^()]|\([^()]*\))*\))?)")


def expand(process: Process, text: str) -> str:
    """Replace the variables in a text, as xlog and the keys of $sht(...) do."""
    if "$" not in text:
        return text

    def replace(found: re.Match[str]) -> str:
        spec = parse_spec(found[0])
        if spec is None or spec.name not in GETTERS:
            return found[0]
        value = read(process, spec)
        return "<null>" if value is None else str(value)

    return VARIABLE.sub(replace, text)


# ---- KEMI functions -------------------------------------------------------------------------------------------------


@kemi("pv.get")
def pv_get(process: Process, name: str) -> Result:
    return get(process, name)


@kemi("pv.gete")
def pv_gete(process: Process, name: str) -> Result:
    value = get(process, name)
    return null_value("e") if value is None else value


@kemi("pv.getw")
def pv_getw(process: Process, name: str) -> Result:
    value = get(process, name)
    return null_value("w") if value is None else value


@kemi("pv.getvn", "pv.getvs")
def pv_getv(process: Process, name: str, default: int | str) -> Result:
    value = get(process, name)
    return default if value is None else value


@kemi("pv.geti", "pv.getl")
def pv_geti(process: Process, name: str) -> int:
    value = get(process, name)
    if isinstance(value, int):
        return value
    return int(value) if value is not None and re.fullmatch(r"[-+]?\d+", value) else 0


@kemi("pv.seti", "pv.sets", "pv.setl")
def pv_set(process: Process, name: str, value: int | str) -> bool:
    return write(process, name, value)


@kemi("pv.unset")
def pv_unset(process: Process, name: str) -> bool:
    return write(process, name, None)


@kemi("pv.is_null")
def pv_is_null(process: Process, name: str) -> bool:
    return get(process, name) is None
