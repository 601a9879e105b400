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
from kemi_rtp.model.nodes import Node
from kemi_rtp.module.rows import Row, parse_rows

SERVED_BY = "$var(kemi_rtp_node)"
"""The module's `rtp_inst_pvar`: the URL of the node that answered this process's last command that was answered."""

_NO_ERRORS = -3
"""Log level that shows less than errors."""


class Reply(Enum):
    """What became of a command."""

    DONE = "done"
    REFUSED = "refused"  # the node answered, with an error
    SILENT = "silent"  # the node did not answer, or the module takes it for dead and did not ask it
    LOST = "lost"  # not sent: the module was reloading its table, or does not have the node
    WITHDRAWN = "withdrawn"  # not sent: the node was taken out of service
    OUTDATED = "outdated"  # not sent: something has changed since the node was chosen
    BUSY = "busy"  # not sent: enough workers wait for the node
    LOCAL = "local"  # not sent: the module has the node, and could not make a command of the message


DONE, REFUSED = Reply.DONE, Reply.REFUSED


class ModuleError(Exception):
    """The module's RPC answered with an error."""


class Sender:
    """Sends one process's commands to the nodes."""

    def __init__(self) -> None:
        # What SERVED_BY holds, so that it need not be cleared before every command; None: it may hold anything.
        self._served_by: str | None = None
        # Sets whose node owes this process an answer: an error may be pending on the socket to it.
        self._unanswered: set[int] = set()

    def send(self, command: Callable[[str], int], node: Node, flags: str) -> Reply:
        """Send a command for the current message, which is a function of KSR.rtpengine, to exactly this node."""
        set_id, url = node.set_id, node.url
        # A set that the module does not have leaves an earlier selection in force: then nothing may be sent.
        if KSR.rtpengine.set_rtpengine_set(set_id) < 0:
            return Reply.LOST
        if set_id in self._unanswered:
            self._unanswered.discard(set_id)
            _forget_errors(node)
        if self._served_by is None or self._served_by == url:
            KSR.pv.sets(SERVED_BY, "")
            self._served_by = ""
        if command(flags) > 0:
            self._served_by = url
            return DONE
        if KSR.pv.get(SERVED_BY) == url:
            self._served_by = url
            return REFUSED
        # Nobody answered. The module marks a node that it waited for in vain.
        self._unanswered.add(set_id)
        try:
            return Reply.LOCAL if rows(url)[url].active else Reply.SILENT
        except ModuleError:
            return Reply.LOST


def _forget_errors(node: Node) -> None:
    """Clear what is left of a command that a node did not answer: "connection refused" or "no route to host".

    It stays on the process's connected socket and fails the next command there, however long after (udp(7)); the module
    would take a node that is back for dead again. Asking for the error clears it (socket(7), SO_ERROR).
    """
    for descriptor in _descriptors():
        with contextlib.suppress(OSError):  # not a socket, not connected, or gone
            one = socket.socket(fileno=descriptor)
            try:
                udp = one.type == socket.SOCK_DGRAM and one.family in (socket.AF_INET, socket.AF_INET6)
                if udp and one.getpeername()[1] == node.address[1]:
                    one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            finally:
                one.detach()  # it is the module's


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
