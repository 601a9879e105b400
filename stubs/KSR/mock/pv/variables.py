"""The table of pseudo-variables, and how one is read, set, and expanded in a text.

The variables themselves are in message.py (parts of the SIP message), state.py (AVPs, script and shared variables,
time), xavp.py, and with the modules that export them. An unknown name gives null and a logged error, as in Kamailio; in
the default mode it fails the test.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from KSR.mock.engine.behaviour import Result
from KSR.mock.pv.spec import Spec, parse_spec

if TYPE_CHECKING:
    from KSR.mock.engine.process import Process


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
    for function, parameters in spec.transformations:
        if value is None:
            return None
        value = function(str(value), [expand(process, item) for item in parameters])
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
