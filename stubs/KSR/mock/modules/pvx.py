"""KSR.pvx: script variables, shared variables, AVPs and XAVPs (pv/pv.c, pv_xavp.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from KSR.mock.engine.behaviour import Result, kemi, null_value
from KSR.mock.pv.variables import get, write
from KSR.mock.pv.xavp import Xavp, at, children, remove, shown

if TYPE_CHECKING:
    from KSR.mock.engine.process import Process


# ---- script variables -----------------------------------------------------------------------------------------------


@kemi("pvx.var_seti", "pvx.var_sets")
def var_set(process: Process, name: str, value: int | str) -> int:
    return 1 if write(process, f"$var({name})", value) else -1


@kemi("pvx.var_get")
def var_get(process: Process, name: str) -> Result:
    return get(process, f"$var({name})")


# ---- shared variables -----------------------------------------------------------------------------------------------


@kemi("pvx.shv_seti", "pvx.shv_sets")
def shv_set(process: Process, name: str, value: int | str) -> int:
    """Set a variable that modparam or the use of $shv(name) has made known; -1 for another."""
    if name not in process.kamailio.shared_variables:
        process.kamailio.log_line("err", f"pv: $shv({name}) is not defined")
        return -1
    return 1 if write(process, f"$shv({name})", value) else -1


@kemi("pvx.shv_get")
def shv_get(process: Process, name: str) -> Result:
    return process.kamailio.shared_variables.get(name, 0)


# ---- AVPs -----------------------------------------------------------------------------------------------------------


@kemi("pvx.avp_seti", "pvx.avp_sets")
def avp_set(process: Process, name: str, value: int | str) -> int:
    return 1 if write(process, f"$avp({name})", value) else -1


@kemi("pvx.avp_get")
def avp_get(process: Process, name: str) -> Result:
    return get(process, f"$avp({name})")


@kemi("pvx.avp_gete")
def avp_gete(process: Process, name: str) -> Result:
    value = avp_get(process, name)
    return null_value("e") if value is None else value


@kemi("pvx.avp_getw")
def avp_getw(process: Process, name: str) -> Result:
    value = avp_get(process, name)
    return null_value("w") if value is None else value


@kemi("pvx.avp_rm")
def avp_rm(process: Process, name: str) -> int:
    process.avps.pop(name, None)
    return 1


@kemi("pvx.avp_is_null")
def avp_is_null(process: Process, name: str) -> int:
    """Return 1, always: every version removes the AVP before it looks for it (ki_avp_is_null in pv/pv.c)."""
    if process.avps.pop(name, None) is not None:
        process.kamailio.fault(f"pvx.avp_is_null({name!r}) removes the AVP", "it returns 1 in every Kamailio version")
    return 1


# ---- XAVPs ----------------------------------------------------------------------------------------------------------


@kemi("pvx.xavp_sets", "pvx.xavp_seti")
def xavp_set(process: Process, name: str, value: int | str) -> int:
    process.xavps.insert(0, Xavp(name, value))
    return 1


@kemi("pvx.xavp_get")
def xavp_get(process: Process, name: str) -> Result:
    return shown(at(process.xavps, name))


@kemi("pvx.xavp_gete")
def xavp_gete(process: Process, name: str) -> Result:
    value = xavp_get(process, name)
    return null_value("e") if value is None else value


@kemi("pvx.xavp_getw")
def xavp_getw(process: Process, name: str) -> Result:
    value = xavp_get(process, name)
    return null_value("w") if value is None else value


@kemi("pvx.xavp_is_null")
def xavp_is_null(process: Process, name: str) -> int:
    return 1 if at(process.xavps, name) is None else -1


@kemi("pvx.xavp_rm")
def xavp_rm(process: Process, name: str) -> int:
    remove(process.xavps, name, 0)
    return 1


@kemi("pvx.xavp_child_sets", "pvx.xavp_child_seti")
def xavp_child_set(process: Process, name: str, child: str, value: int | str) -> int:
    """Set a child of the newest root, which is made, or loses its own value, where needed."""
    root = at(process.xavps, name)
    if root is not None and isinstance(root.value, list):
        remove(root.value, child, 0)
        root.value.insert(0, Xavp(child, value))
        return 1
    if root is not None:
        process.xavps.remove(root)
    process.xavps.insert(0, Xavp(name, [Xavp(child, value)]))
    return 1


@kemi("pvx.xavp_child_get")
def xavp_child_get(process: Process, name: str, child: str) -> Result:
    inside = children(process, at(process.xavps, name))
    return None if inside is None else shown(at(inside, child))


@kemi("pvx.xavp_child_gete")
def xavp_child_gete(process: Process, name: str, child: str) -> Result:
    value = xavp_child_get(process, name, child)
    return null_value("e") if value is None else value


@kemi("pvx.xavp_child_getw")
def xavp_child_getw(process: Process, name: str, child: str) -> Result:
    value = xavp_child_get(process, name, child)
    return null_value("w") if value is None else value


@kemi("pvx.xavp_child_is_null")
def xavp_child_is_null(process: Process, name: str, child: str) -> int:
    return 1 if xavp_child_get(process, name, child) is None else -1


@kemi("pvx.xavp_child_rm")
def xavp_child_rm(process: Process, name: str, child: str) -> int:
    root = at(process.xavps, name)
    if root is not None and isinstance(root.value, list):
        remove(root.value, child, 0)
    return 1
