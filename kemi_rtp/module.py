"""The rtpengine C module: its commands for one node, its view of the nodes, its RPCs."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Callable
from enum import Enum
from typing import Any

import KSR
from kemi_rtp.nodes import Node
from kemi_rtp.rows import Row, parse_rows

SERVED_BY = "$avp(kemi_rtp_node)"
"""The module's `rtp_inst_pvar`: the URL of the node that answered the last command."""

_NO_ERRORS = -3
"""Log level that shows less than errors."""

_unanswered: set[int] = set()
"""Sets whose node owes this process an answer: an error may be pending on the socket to it."""


class Reply(Enum):
    """What became of a command."""

    DONE = "done"
    REFUSED = "refused"  # the node answered, with an error
    SILENT = "silent"  # the node did not answer, or the module takes it for dead and did not ask it
    LOST = "lost"  # not sent: the module was reloading its table, or does not have the node
    WITHDRAWN = "withdrawn"  # not sent: the node was taken out of service
    BUSY = "busy"  # not sent: enough workers wait for the node
    LOCAL = "local"  # not sent: the module has the node, and could not make a command of the message


class ModuleError(Exception):
    """The module's RPC answered with an error."""


def offer(node: Node, flags: str) -> Reply:
    """Send an offer for the current message to exactly this node."""
    return _command(KSR.rtpengine.rtpengine_offer, node, flags)


def answer(node: Node, flags: str) -> Reply:
    """Send an answer for the current message to exactly this node."""
    return _command(KSR.rtpengine.rtpengine_answer, node, flags)


def delete(node: Node, flags: str) -> Reply:
    """Send a delete for the current message to exactly this node."""
    return _command(KSR.rtpengine.rtpengine_delete, node, flags)


def refresh() -> None:
    """Make this process's list of the module's nodes anew, by a delete for which no set is selected.

    Every command makes the list anew before it looks for its set, and this one finds none: nothing is sent, and the
    module's complaint is kept out of the log. Its RPCs would make the list anew by pinging every node. Only for a
    process that never selects a set.
    """
    KSR.kex.setdebug(_NO_ERRORS)
    try:
        KSR.rtpengine.rtpengine_delete("call-id=kemi_rtp-no-call")
    finally:
        KSR.kex.resetdebug()


def _command(function: Callable[[str], int], node: Node, flags: str) -> Reply:
    # A set that the module does not have leaves an earlier selection in force: then nothing may be sent.
    if KSR.rtpengine.set_rtpengine_set(node.set_id) < 0:
        return Reply.LOST
    _forget_errors(node)
    KSR.pv.unset(SERVED_BY)
    done = function(flags) > 0
    served_by = KSR.pv.get(SERVED_BY)
    if served_by is not None and served_by != node.url:
        KSR.err(f"kemi_rtp: set {node.set_id} was served by {served_by} instead of {node.name} ({node.url})\n")
    if done:
        return Reply.DONE
    if served_by is not None:
        return Reply.REFUSED
    # Nobody answered. The module marks a node that it waited for in vain.
    _unanswered.add(node.set_id)
    try:
        return Reply.LOCAL if rows(node.url)[node.url].active else Reply.SILENT
    except ModuleError:
        return Reply.LOST


def _forget_errors(node: Node) -> None:
    """Clear what is left of a command that a node did not answer: "connection refused" or "no route to host".

    It stays on the process's connected socket and fails the next command there, however long after (udp(7)); the module
    would take a node that is back for dead again. Asking for the error clears it (socket(7), SO_ERROR).
    """
    if node.set_id not in _unanswered:
        return
    _unanswered.discard(node.set_id)
    for descriptor in _descriptors():
        with contextlib.suppress(OSError):  # not a socket, not connected, or gone
            one = socket.socket(fileno=descriptor)
            try:
                udp = one.type == socket.SOCK_DGRAM and one.family in (socket.AF_INET, socket.AF_INET6)
                if udp and one.getpeername()[1] == node.address[1]:
                    one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            finally:
                one.detach()  # it is the module's


def _descriptors() -> list[int]:
    """This process's open files; none where there is no /proc, as in a bare chroot."""
    with contextlib.suppress(OSError):
        return [int(name) for name in os.listdir("/proc/self/fd")]
    return []


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
    KSR.jsonrpcs.exec(json.dumps({"jsonrpc": "2.0", "method": method, "params": parameters, "id": 1}))
    body = KSR.pv.get("$jsonrpl(body)")
    try:
        reply = json.loads(str(body))
    except ValueError:
        raise ModuleError(f"{method}: no answer") from None
    if "error" in reply:
        raise ModuleError(f"{method}: {reply['error'].get('message', reply['error'])}")
    return reply.get("result")
