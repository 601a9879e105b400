"""KSR.pv: get and set pseudo-variables by name (core/kemi.c). The variables themselves are in the folder pv."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from KSR.mock.engine.behaviour import Result, kemi, null_value
from KSR.mock.pv.variables import get, write

if TYPE_CHECKING:
    from KSR.mock.engine.process import Process


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
