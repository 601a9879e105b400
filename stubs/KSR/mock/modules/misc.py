"""Small modules: kex, pvx, cfgutils, xhttp, path and corex, as far as scripts commonly use them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from KSR.mock.engine.behaviour import Result, kemi, null_value
from KSR.mock.pv.variables import Spec, get, getter, write
from KSR.mock.sip.message import Branch

if TYPE_CHECKING:
    from KSR.mock.engine.process import Process


# ---- kex ------------------------------------------------------------------------------------------------------------


@kemi("kex.setdebug")
def setdebug(process: Process, level: int) -> int:
    """Give this process a log level of its own: -5 hides all but alerts, 3 shows everything."""
    process.log_level = level
    return 1


@kemi("kex.resetdebug")
def resetdebug(process: Process) -> int:
    process.log_level = None
    return 1


# ---- pvx ------------------------------------------------------------------------------------------------------------


@kemi("pvx.var_seti", "pvx.var_sets")
def var_set(process: Process, name: str, value: int | str) -> int:
    return 1 if write(process, f"$var({name})", value) else -1


@kemi("pvx.var_get")
def var_get(process: Process, name: str) -> Result:
    return get(process, f"$var({name})")


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


# ---- cfgutils -------------------------------------------------------------------------------------------------------


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


# ---- xhttp ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class HttpReply:
    """What KSR.xhttp.xhttp_reply sent."""

    code: int
    reason: str
    headers: list[str]
    body: str


@getter("hu")
def _http_url(process: Process, spec: Spec) -> Result:
    return process.message.uri if process.message.is_request else None


@kemi("xhttp.xhttp_reply")
def xhttp_reply(process: Process, code: int, reason: str, content_type: str, body: str) -> int:
    """Answer the HTTP request; the reply is in `ksr.http_replies`."""
    message = process.message
    headers = [text.rstrip("\r\n") for text in message.reply_headers]
    if content_type:
        headers.append(f"Content-Type: {content_type}")
    process.kamailio.http_replies.append(HttpReply(code, reason, headers, body))
    return 0


@kemi("xhttp.get_hu")
def get_hu(process: Process) -> Result:
    return process.message.uri if process.message.is_request else None


# ---- branches -------------------------------------------------------------------------------------------------------


@kemi("corex.append_branch")
def append_branch(process: Process) -> int:
    message = process.message
    message.branches.append(Branch(message.current_uri, message.dst_uri or ""))
    return 1


@kemi("corex.append_branch_uri")
def append_branch_uri(process: Process, uri: str) -> int:
    process.message.branches.append(Branch(uri))
    return 1


@kemi("corex.append_branch_uri_q")
def append_branch_uri_q(process: Process, uri: str, q: str) -> int:
    process.message.branches.append(Branch(uri, q=q))
    return 1


@kemi("app_python3.exec", "app_python3.execx")
def app_python3_exec(process: Process, method: str) -> int:
    from KSR.mock.engine.worker import run_method

    return run_method(process, method, process.message)


@kemi("app_python3.exec_p1")
def app_python3_exec_p1(process: Process, method: str, param: str) -> int:
    from KSR.mock.engine.worker import run_method

    return run_method(process, method, process.message, param)


@kemi("route")
def route(process: Process, name: str) -> int:
    from KSR.mock.engine.worker import run_method

    return run_method(process, name, process.message)
