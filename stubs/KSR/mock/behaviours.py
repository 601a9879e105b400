"""Import every file that gives KEMI functions, pseudo-variables or RPC commands their behaviour."""

from KSR.mock import (
    core_functions,
    hdr,
    htable,
    htable_bulk,
    htable_rpc,
    jsonrpcs,
    kx,
    misc,
    nathelper,
    pv,
    pv_message,
    pv_state,
    pv_xavp,
    rr,
    rtpengine_commands,
    rtpengine_rpc,
    sdpops,
    siputils,
    sl,
    textops,
    textops_replace,
    tm,
    tm_status,
    usrloc,
    xlog,
)

__all__ = [
    "core_functions", "hdr", "htable", "htable_bulk", "htable_rpc", "jsonrpcs", "kx", "misc", "nathelper", "pv",
    "pv_message", "pv_state", "pv_xavp", "rr", "rtpengine_commands", "rtpengine_rpc", "sdpops", "siputils", "sl",
    "textops", "textops_replace", "tm", "tm_status", "usrloc", "xlog",
]  # fmt: skip
