"""The rtpengine module's own RPCs, called from within, and its list of nodes. The timer's process, mostly.

A SIP worker asks for one row when a command was not answered. Any of these RPCs, in a process that has not made its
list of nodes anew since the last reload, first pings all nodes that are not permanently disabled, and holds the
module's locks while it waits: see refresh().
"""

from __future__ import annotations

import json
from typing import Any

import KSR
from kemi_rtp.module.rows import Row, parse_rows

_NO_ERRORS = -3
"""Log level that shows less than errors."""


class ModuleError(Exception):
    """The module's RPC answered with an error."""


def refresh() -> None:
    """Make this process's list of the module's nodes anew, by a delete for which no set is selected.

    Every command makes the list anew before it looks for its set, and this one finds none: nothing is sent, and the
    module's complaint is kept out of the log. Its RPCs would make the list anew by pinging every node. Only for a
    process that never selects a set.
    """
    KSR.kex.setdebug(_NO_ERRORS)
    try:
        KSR.rtpengine.rtpengine_delete("call-id=kemi_rtp-no-call")  # noqa: TID251
    finally:
        KSR.kex.resetdebug()


def rows(url: str = "all") -> dict[str, Row]:
    """The module's nodes, or one of them, by URL. Raises ModuleError, also for a URL that it does not have."""
    return parse_rows(rpc("rtpengine.show", url))


def disable(url: str) -> None:
    """Mark a node permanently disabled in the module; sends nothing. Raises ModuleError."""
    rpc("rtpengine.enable", url, 0)


def enable(url: str) -> None:
    """Make a node active in the module, which pings it while it holds its locks: only for a node that just answered.

    Raises ModuleError.
    """
    rpc("rtpengine.enable", url, 1)


def reload() -> None:
    """Make the module read its table again. Raises ModuleError, as for the second time within 10 s."""
    rpc("rtpengine.reload")


def rpc(method: str, *parameters: str | int) -> Any:
    """Call an RPC of this Kamailio from within. Raises ModuleError with what it answered."""
    KSR.jsonrpcs.exec(json.dumps({"jsonrpc": "2.0", "method": method, "params": parameters, "id": 1}))  # noqa: TID251
    body = KSR.pv.get("$jsonrpl(body)")
    try:
        reply = json.loads(str(body))
    except ValueError:
        raise ModuleError(f"{method}: no answer") from None
    if "error" in reply:
        raise ModuleError(f"{method}: {reply['error'].get('message', reply['error'])}")
    return reply.get("result")
