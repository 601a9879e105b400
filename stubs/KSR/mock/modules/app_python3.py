"""KSR.app_python3: call a method of the script by its name; RPC app_python.reload."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from KSR.mock.engine.behaviour import kemi
from KSR.mock.engine.rpc import rpc
from KSR.mock.engine.worker import run_method

if TYPE_CHECKING:
    from KSR.mock.engine.process import Process


@kemi("app_python3.exec", "app_python3.execx")
def app_python3_exec(process: Process, method: str) -> int:
    return run_method(process, method, process.message)


@kemi("app_python3.exec_p1")
def app_python3_exec_p1(process: Process, method: str, param: str) -> int:
    return run_method(process, method, process.message, param)


@rpc("app_python.reload")
def _reload(process: Process, params: list[Any]) -> object:
    kamailio = process.kamailio
    kamailio.reload_version += 1
    return {"old": kamailio.reload_version - 1, "new": kamailio.reload_version}
