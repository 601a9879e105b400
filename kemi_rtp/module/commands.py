"""Commands to one node through the rtpengine module, for the current SIP message. SIP workers only."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable
from enum import Enum

import KSR
from kemi_rtp.model.nodes import Node
from kemi_rtp.module.rpcs import ModuleError, rows

Command = Callable[[str], int]
"""A function of KSR.rtpengine: takes flags, returns more than 0 when the node has done it."""
SERVED_BY = "$var(kemi_rtp_node)"
"""The module's `rtp_inst_pvar`: the URL of the node that answered this process's last command that was answered."""


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


DONE, REFUSED, SILENT, LOST, WITHDRAWN, OUTDATED, BUSY, LOCAL = Reply
"""The same, without a look into the class for each use: these are on every command's way."""


class Sender:
    """Sends one process's commands to the nodes."""

    def __init__(self) -> None:
        # What SERVED_BY holds, so that it need not be cleared before every command; None: it may hold anything.
        self._served_by: str | None = None
        # Sets whose node owes this process an answer: an error may be pending on the socket to it.
        self._unanswered: set[int] = set()

    def send(self, command: Command, node: Node, flags: str) -> Reply:
        """Send a command for the current message, which is a function of KSR.rtpengine, to exactly this node."""
        url = node.url
        # A set that the module does not have leaves an earlier selection in force: then nothing may be sent.
        if KSR.rtpengine.set_rtpengine_set(node.set_id) < 0:  # noqa: TID251
            return LOST
        if self._unanswered and node.set_id in self._unanswered:
            self._unanswered.discard(node.set_id)
            _forget_errors(node)
        served_by = self._served_by
        if served_by == url or served_by is None:
            KSR.pv.sets(SERVED_BY, "")
            self._served_by = ""
        if command(flags) > 0:
            self._served_by = url
            return DONE
        if KSR.pv.get(SERVED_BY) == url:
            self._served_by = url
            return REFUSED
        # Nobody answered. The module marks a node that it waited for in vain.
        self._unanswered.add(node.set_id)
        try:
            return LOCAL if rows(url)[url].active else SILENT
        except ModuleError:
            return LOST


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


def _descriptors() -> list[int]:
    """This process's open files; none where there is no /proc, as in a bare chroot."""
    with contextlib.suppress(OSError):
        return [int(name) for name in os.listdir("/proc/self/fd")]
    return []
