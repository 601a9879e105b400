"""KSR.kx: direct access to parts of the message (kemix module); get_, gete_ and getw_ differ for what is missing."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from KSR.mock.engine.behaviour import BEHAVIOURS, Result, kemi, null_value
from KSR.mock.pv.variables import get
from KSR.mock.sip.syntax import parse_name_addr

if TYPE_CHECKING:
    from KSR.mock.engine.behaviour import Behaviour
    from KSR.mock.engine.process import Process

# What each function shows, as a pseudo-variable.
VARIABLES = {
    "au": "$null", "body": "$rb", "callid": "$ci", "cturi": "$ct", "duri": "$du", "fhost": "$fd", "furi": "$fu",
    "fuser": "$fU", "method": "$rm", "msgbuf": "$mb", "ouri": "$ou", "proto": "$pr", "rcvip": "$Ri", "rhost": "$rd",
    "ruri": "$ru", "ruser": "$rU", "srcip": "$si", "srcuri": "$su", "thost": "$td", "turi": "$tu", "tuser": "$tU",
    "ua": "$ua", "rcvadvip": "$RAi", "srcaddr_sock": "$sas", "rcvaddr_sock": "$Ras",
}  # fmt: skip


def _reader(variable: str, mode: str) -> Behaviour:
    def read(process: Process) -> Result:
        value = get(process, variable)
        return null_value(mode) if value is None else value

    return read


for _name, _variable in VARIABLES.items():
    BEHAVIOURS[f"kx.get_{_name}"] = _reader(_variable, "")
for _name in ("au", "body", "cturi", "duri", "fhost", "fuser", "rhost", "ruser", "thost", "tuser", "ua"):
    for _mode in ("e", "w"):
        BEHAVIOURS[f"kx.get{_mode}_{_name}"] = _reader(VARIABLES[_name], _mode)


def _number(variable: str) -> Callable[[Process], int]:
    return lambda process: int(get(process, variable) or 0)


for _name, _variable in {"bodylen": "$bs", "msglen": "$ml", "timestamp": "$TS"}.items():
    BEHAVIOURS[f"kx.get_{_name}"] = _number(_variable)


@kemi("kx.get_cturi")
def get_cturi(process: Process) -> Result:
    contact = process.message.get("Contact")
    return None if contact is None else parse_name_addr(contact).uri


@kemi("kx.get_nhuri")
def get_nhuri(process: Process) -> Result:
    return process.message.dst_uri or process.message.current_uri


@kemi("kx.get_srcport")
def get_srcport(process: Process) -> Result:
    return process.message.source.port


@kemi("kx.get_rcvport", "kx.get_rcvadvport")
def get_rcvport(process: Process) -> Result:
    return process.message.received.port


@kemi("kx.get_msgtype")
def get_msgtype(process: Process) -> int:
    return 1 if process.message.is_request else 2


@kemi("kx.get_status")
def get_status(process: Process) -> int:
    return -1 if process.message.is_request else process.message.status


@kemi("kx.gets_status")
def gets_status(process: Process) -> Result:
    return None if process.message.is_request else str(process.message.status)


@kemi("kx.get_def")
def get_def(process: Process, name: str) -> Result:
    return process.kamailio.defines.get(name, "")


@kemi("kx.get_defn")
def get_defn(process: Process, name: str) -> int:
    value = process.kamailio.defines.get(name, "")
    return int(value) if value.lstrip("-").isdigit() else 0


@kemi("kx.ifdef")
def ifdef(process: Process, name: str) -> bool:
    return name in process.kamailio.defines


@kemi("kx.ifndef")
def ifndef(process: Process, name: str) -> bool:
    return name not in process.kamailio.defines


@kemi("kx.get_env")
def get_env(process: Process, name: str) -> Result:
    return os.environ.get(name)


@kemi("kx.get_envn")
def get_envn(process: Process, name: str) -> int:
    value = os.environ.get(name, "")
    return int(value) if value.lstrip("-").isdigit() else 0
