"""KSR.tmx: in which route a script is, and whether a request is already handled; $T_* (tmx/tmx_mod.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from KSR.mock.engine.behaviour import Result, kemi
from KSR.mock.pv.spec import Spec
from KSR.mock.pv.variables import getter
from KSR.mock.tm.transaction import status_now

if TYPE_CHECKING:
    from KSR.mock.engine.process import Process


@kemi("tmx.t_precheck_trans")
def t_precheck_trans(process: Process) -> int:
    return -1  # 1 only while another worker handles the same request at this moment


for _name, _route in {
    "request": "request", "failure": "failure", "branch": "branch", "reply": "reply",
}.items():  # fmt: skip

    def _is_route(process: Process, wanted: str = _route) -> int:
        return 1 if process.route_type == wanted else -1

    kemi(f"tmx.t_is_{_name}_route")(_is_route)


@getter("T_branch_idx")
def _branch_index(process: Process, spec: Spec) -> Result:
    return process.branch_index


@getter("T_reply_code")
def _reply_code(process: Process, spec: Spec) -> Result:
    return status_now(process)
