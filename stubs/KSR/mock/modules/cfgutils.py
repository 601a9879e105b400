"""KSR.cfgutils: named locks, and waiting (cfgutils/cfgutils.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from KSR.mock.engine.behaviour import kemi

if TYPE_CHECKING:
    from KSR.mock.engine.process import Process


@kemi("cfgutils.lock", "cfgutils.trylock")
def lock(process: Process, name: str, *rest: str) -> int:
    owner = process.kamailio.named_locks.get(name)
    if owner is not None and owner is not process:
        process.kamailio.hang(f"cfgutils.lock({name!r}): {owner.name} has it")
    if owner is process:
        process.kamailio.hang(f"cfgutils.lock({name!r}): the same process has it already")
    process.kamailio.named_locks[name] = process
    return 1


@kemi("cfgutils.unlock")
def unlock(process: Process, name: str, *rest: str) -> int:
    if process.kamailio.named_locks.pop(name, None) is None:
        process.kamailio.fault(f"cfgutils.unlock({name!r}) without lock", "Kamailio would release someone else's lock")
    return 1


@kemi("cfgutils.sleep")
def sleep(process: Process, seconds: int) -> int:
    process.kamailio.clock.spend(seconds)
    return 1


@kemi("cfgutils.usleep")
def usleep(process: Process, microseconds: int) -> int:
    process.kamailio.clock.spend(microseconds / 1_000_000)
    return 1
