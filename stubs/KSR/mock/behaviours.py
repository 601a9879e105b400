"""Import every file that gives KEMI functions, pseudo-variables or RPC commands their behaviour."""

from KSR.mock.htable import matching
from KSR.mock.htable import rpc as htable_rpc
from KSR.mock.modules import (
    core,
    hdr,
    htable,
    jsonrpcs,
    kx,
    misc,
    nathelper,
    registrar,
    rr,
    sdpops,
    siputils,
    sl,
    textops,
    tm,
    xlog,
)
from KSR.mock.pv import message, state, variables, xavp
from KSR.mock.rtpengine import commands
from KSR.mock.rtpengine import rpc as rtpengine_rpc
from KSR.mock.textops import replace
from KSR.mock.tm import status

__all__ = [
    "commands", "core", "hdr", "htable", "htable_rpc", "jsonrpcs", "kx", "matching", "message", "misc", "nathelper",
    "registrar", "replace", "rr", "rtpengine_rpc", "sdpops", "siputils", "sl", "state", "status", "textops", "tm",
    "variables", "xavp", "xlog",
]  # fmt: skip
