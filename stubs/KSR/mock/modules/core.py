"""The functions of KSR itself, such as KSR.is_INVITE: tests of the message, flags, request URI, log (core/kemi.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from KSR.mock.engine.behaviour import BEHAVIOURS, kemi
from KSR.mock.engine.myself import is_self, uri_is_self
from KSR.mock.engine.worker import run_method
from KSR.mock.sip.message import set_uri_part

if TYPE_CHECKING:
    from KSR.mock.engine.behaviour import Behaviour
    from KSR.mock.engine.process import Process

METHODS = (
    "ACK", "BYE", "CANCEL", "DELETE", "GET", "INFO", "INVITE", "KDMQ", "MESSAGE", "NOTIFY", "OPTIONS", "POST", "PRACK",
    "PUBLISH", "PUT", "REFER", "REGISTER", "SUBSCRIBE", "UPDATE",
)  # fmt: skip
# The letters of is_method_in("IABC").
METHOD_LETTERS = {
    "I": "INVITE", "A": "ACK", "B": "BYE", "C": "CANCEL", "R": "REGISTER", "M": "MESSAGE", "O": "OPTIONS",
    "S": "SUBSCRIBE", "P": "PUBLISH", "N": "NOTIFY", "U": "UPDATE", "E": "PRACK", "F": "REFER", "K": "KDMQ",
    "G": "GET", "T": "POST", "V": "PUT", "D": "DELETE",
}  # fmt: skip
LOG_LEVELS = {"dbg": "dbg", "info": "info", "notice": "notice", "warn": "warn", "err": "err", "crit": "crit"}
MAX_FLAG = 31


def _method_test(method: str) -> Behaviour:
    return lambda process: process.message.cseq_method == method


for _method in METHODS:
    BEHAVIOURS[f"is_{_method}"] = _method_test(_method)


@kemi("is_method")
def is_method(process: Process, method: str) -> bool:
    return process.message.cseq_method == method.upper()


@kemi("is_method_in")
def is_method_in(process: Process, letters: str) -> bool:
    return any(METHOD_LETTERS.get(letter.upper()) == process.message.cseq_method for letter in letters)


# ---- transport ------------------------------------------------------------------------------------------------------


def _proto_test(*protos: str) -> Behaviour:
    return lambda process: process.message.source.proto in protos


for _proto in ("UDP", "TCP", "TLS", "SCTP", "WS", "WSS"):
    BEHAVIOURS[f"is_{_proto}"] = BEHAVIOURS[f"to_{_proto}"] = _proto_test(_proto.lower())
BEHAVIOURS["is_WSX"] = BEHAVIOURS["to_WSX"] = _proto_test("ws", "wss")
PROTO_LETTERS = {"E": "tls", "T": "tcp", "U": "udp", "S": "sctp", "W": "ws"}


@kemi("is_proto")
def is_proto(process: Process, letters: str) -> bool:
    return any(PROTO_LETTERS.get(letter.upper()) == process.message.source.proto for letter in letters)


@kemi("is_IPv4", "to_IPv4")
def is_ipv4(process: Process) -> bool:
    return ":" not in process.message.source.ip


@kemi("is_IPv6", "to_IPv6")
def is_ipv6(process: Process) -> bool:
    return ":" in process.message.source.ip


@kemi("is_src_port")
def is_src_port(process: Process, port: int) -> bool:
    return process.message.source.port == port


@kemi("is_dst_port")
def is_dst_port(process: Process, port: int) -> bool:
    return process.message.received.port == port


# ---- is it me -------------------------------------------------------------------------------------------------------


@kemi("is_myself")
def is_myself(process: Process, uri: str) -> bool:
    if uri.lower().startswith(("sip:", "sips:")):
        return uri_is_self(process, uri)
    return is_self(process, uri)


@kemi("is_myself_ruri")
def is_myself_ruri(process: Process) -> bool:
    return uri_is_self(process, process.message.current_uri)


@kemi("is_myself_furi")
def is_myself_furi(process: Process) -> bool:
    return uri_is_self(process, process.message.from_.uri)


@kemi("is_myself_turi")
def is_myself_turi(process: Process) -> bool:
    return uri_is_self(process, process.message.to.uri)


@kemi("is_myself_duri")
def is_myself_duri(process: Process) -> bool:
    return process.message.dst_uri is not None and uri_is_self(process, process.message.dst_uri)


@kemi("is_myself_nhuri")
def is_myself_nhuri(process: Process) -> bool:
    return uri_is_self(process, process.message.dst_uri or process.message.current_uri)


@kemi("is_myself_suri")
def is_myself_suri(process: Process) -> bool:
    return is_self(process, process.message.source.ip, str(process.message.source.port))


@kemi("is_myself_srcip")
def is_myself_srcip(process: Process) -> bool:
    return is_self(process, process.message.source.ip)


# ---- flags ----------------------------------------------------------------------------------------------------------


def _bit(flag: int) -> int | None:
    return 1 << flag if 0 <= flag <= MAX_FLAG else None


@kemi("setflag")
def setflag(process: Process, flag: int) -> bool:
    bit = _bit(flag)
    process.message.flags |= bit or 0
    return bit is not None


@kemi("resetflag")
def resetflag(process: Process, flag: int) -> bool:
    bit = _bit(flag)
    process.message.flags &= ~(bit or 0)
    return bit is not None


@kemi("isflagset")
def isflagset(process: Process, flag: int) -> bool:
    return bool(process.message.flags & (_bit(flag) or 0))


@kemi("setbflag")
def setbflag(process: Process, flag: int) -> bool:
    bit = _bit(flag)
    process.message.branch_flags |= bit or 0
    return bit is not None


@kemi("resetbflag")
def resetbflag(process: Process, flag: int) -> bool:
    bit = _bit(flag)
    process.message.branch_flags &= ~(bit or 0)
    return bit is not None


@kemi("isbflagset")
def isbflagset(process: Process, flag: int) -> bool:
    return bool(process.message.branch_flags & (_bit(flag) or 0))


# ---- request URI and destination ------------------------------------------------------------------------------------


@kemi("seturi")
def seturi(process: Process, uri: str) -> bool:
    process.message.new_uri = uri
    return True


@kemi("setuser")
def setuser(process: Process, user: str) -> bool:
    set_uri_part(process.message, "user", user)
    return True


@kemi("sethost")
def sethost(process: Process, host: str) -> bool:
    set_uri_part(process.message, "host", host)
    return True


@kemi("setdsturi")
def setdsturi(process: Process, uri: str) -> bool:
    process.message.dst_uri = uri
    return True


@kemi("resetdsturi")
def resetdsturi(process: Process) -> bool:
    process.message.dst_uri = None
    return True


@kemi("isdsturiset")
def isdsturiset(process: Process) -> bool:
    return process.message.dst_uri is not None


@kemi("force_rport")
def force_rport(process: Process) -> bool:
    process.message.force_rport = True
    return True


@kemi("add_local_rport")
def add_local_rport(process: Process) -> bool:
    process.message.local_rport = True
    return True


@kemi("set_drop")
def set_drop(process: Process) -> int:
    process.message.drop = True
    return 0


# ---- log ------------------------------------------------------------------------------------------------------------


def _logger(level: str) -> Behaviour:
    def write(process: Process, text: str) -> int:
        process.kamailio.log_line(level, text)
        return 0

    return write


for _name, _level in LOG_LEVELS.items():
    BEHAVIOURS[_name] = _logger(_level)


@kemi("log")
def log(process: Process, level: str, text: str) -> int:
    process.kamailio.log_line(LOG_LEVELS.get(level, "err"), text)
    return 0


# ---- routes ---------------------------------------------------------------------------------------------------------


@kemi("route")
def route(process: Process, name: str) -> int:
    return run_method(process, name, process.message)
