"""Where the behaviour of a KEMI function is found: `@kemi("htable.sht_get")` on a Python function."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

if TYPE_CHECKING:
    from KSR.mock.engine.process import Process

Result: TypeAlias = int | str | None
# The first argument is the process that calls; the others are what the API says.
Behaviour: TypeAlias = Callable[..., Result]
F = TypeVar("F", bound=Callable[..., Any])

BEHAVIOURS: dict[str, Behaviour] = {}


def kemi(*names: str) -> Callable[[F], F]:
    """Make a function the behaviour of the KEMI functions of these names."""

    def register(function: F) -> F:
        for name in names:
            BEHAVIOURS[name] = function
        return function

    return register


def default_result(process: Process, returns: str) -> Result:
    """What a function without behaviour returns: success of the type that the API says."""
    return {"int": 1, "bool": True, "none": 0}.get(returns)


def null_value(mode: str) -> str | None:
    """What the get / gete / getw families return for a missing value."""
    return {"": None, "e": "", "w": "<null>"}[mode]
