"""What a module gives to the engine beside its functions: its memory and its parameters.

As a module of Kamailio does in its `module_exports`. A module enters it here when its file is loaded, and is handed the
Kamailio or the process when it is used: so the engine imports no module.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias, TypeVar

if TYPE_CHECKING:
    from KSR.mock.engine.kamailio import Kamailio
    from KSR.mock.engine.process import Process

MakeShared: TypeAlias = Callable[["Kamailio"], object]
MakePrivate: TypeAlias = Callable[["Process"], object]
# Gets the name of the parameter and its value.
TakeParameter: TypeAlias = Callable[["Kamailio", str, int | str], object]
Shared = TypeVar("Shared", bound=MakeShared)
Private = TypeVar("Private", bound=MakePrivate)
Take = TypeVar("Take", bound=TakeParameter)

SHARED_MEMORY: dict[str, MakeShared] = {}
PRIVATE_MEMORY: dict[str, MakePrivate] = {}
PARAMETERS: dict[tuple[str, str], TakeParameter] = {}
ANY = "*"


def shared_memory(attribute: str) -> Callable[[Shared], Shared]:
    """Make what a module keeps in shared memory; each Kamailio has it as this attribute, typed in kamailio.py."""

    def register(make: Shared) -> Shared:
        SHARED_MEMORY[attribute] = make
        return make

    return register


def private_memory(attribute: str) -> Callable[[Private], Private]:
    """Make what a module keeps in each process; the process has it as this attribute, typed in process.py."""

    def register(make: Private) -> Private:
        PRIVATE_MEMORY[attribute] = make
        return make

    return register


def parameter(module: str, name: str = ANY) -> Callable[[Take], Take]:
    """Take a module parameter, or all of a module."""

    def register(take: Take) -> Take:
        PARAMETERS[module, name] = take
        return take

    return register
