"""Sends one command to one node, if it may still be sent at the last moment before.

The order is what makes `disable` exact: first the note that a command is in flight, then the last look at the view,
then the command. Whoever publishes a change looks for such notes afterwards.
"""

from __future__ import annotations

import time
from time import sleep

import KSR
from kemi_rtp.model.nodes import Node
from kemi_rtp.model.standing import LATE_MS, Standing
from kemi_rtp.model.view import View
from kemi_rtp.module.commands import (
    BUSY,
    DONE,
    LOCAL,
    LOST,
    OUTDATED,
    REFUSED,
    SILENT,
    WITHDRAWN,
    Command,
    Reply,
    Sender,
)
from kemi_rtp.shm.state.worker import WorkerState
from kemi_rtp.worker.patience import Patience

_LATE = LATE_MS / 1000
_RELOAD_PAUSES = (0.002, 0.005, 0.01)
"""Seconds between the tries to send a command while the module lacks its node."""


class Sending:
    """The way of one worker's commands to the nodes."""

    def __init__(self, state: WorkerState) -> None:
        self._state = state
        self._sender = Sender()

    def to_chosen(self, command: Command, node: Node, flags: str, chosen_from: View, patience: Patience) -> Reply:
        """Send the command of a new call to the node that was chosen for it from a view.

        OUTDATED when that view holds no longer: then the node has to be chosen again.
        """
        state = self._state
        set_id = node.set_id
        in_flight = state.begin_command(set_id)
        reply = OUTDATED
        try:
            if state.view() is chosen_from:
                standing = chosen_from.by_set[set_id][1]
                if not standing.routable and (not standing.last_resort or in_flight > 1):
                    reply = WITHDRAWN  # a last resort must not cost more than one worker at a time
                elif in_flight > patience.workers and patience.has_ended(state, chosen_from, node, standing):
                    reply = BUSY
                else:
                    began = time.monotonic()
                    reply = self._sender.send(command, node, flags)
                    took = time.monotonic() - began
                    if reply is not DONE or took > _LATE:
                        reply = self._finish(command, node, flags, standing, reply, took)
            return reply
        finally:
            # To those that wait for the node too it matters that it answers.
            state.end_command(answered=in_flight > 1 and (reply is DONE or reply is REFUSED))

    def to_bound(self, command: Command, set_id: int, flags: str, patience: Patience) -> tuple[Reply, Node | None]:
        """Send the command of a call to the node of the set that it is on.

        WITHDRAWN when that node serves no calls now. Returns the node too, None when nodes.yaml has it no longer.
        """
        state = self._state
        in_flight = state.begin_command(set_id)
        reply = WITHDRAWN
        node = None
        try:
            view = state.view()
            found = view.by_set.get(set_id)
            if found is not None:
                node, standing = found
                if standing.serves:
                    if in_flight > patience.workers and patience.has_ended(state, view, node, standing):
                        reply = BUSY
                    else:
                        began = time.monotonic()
                        reply = self._sender.send(command, node, flags)
                        took = time.monotonic() - began
                        if reply is not DONE or took > _LATE:
                            reply = self._finish(command, node, flags, standing, reply, took)
            return reply, node
        finally:
            # To those that wait for the node too it matters that it answers.
            state.end_command(answered=in_flight > 1 and (reply is DONE or reply is REFUSED))

    def _finish(self, command: Command, node: Node, flags: str, standing: Standing, reply: Reply, took: float) -> Reply:
        """What follows a command that was not done, or took so many seconds.

        A node that answers late gets new calls only when no other can take them, until it is quick again.
        """
        if reply is LOST or reply is LOCAL:
            reply = self._send_again(command, node, flags)
        if took > _LATE and (reply is DONE or reply is REFUSED) and not standing.slow:
            KSR.warn(f"kemi_rtp: {node.name} ({node.url}) is slow: answered after {took * 1000:.0f} ms\n")
            self._state.put_slow(node, round(took * 1000))
        return reply

    def _send_again(self, command: Command, node: Node, flags: str) -> Reply:
        """Once more at once, and again while the module lacks the node: a reload of its table hides all a moment."""
        reply = self._sender.send(command, node, flags)
        for pause in _RELOAD_PAUSES:
            if reply is not LOST:
                break
            sleep(pause)
            reply = self._sender.send(command, node, flags)
        return reply

    def conclude(self, node: Node, reply: Reply, what: str) -> None:
        """Draw the conclusion from a command that was not done; a refusal or a local error is no verdict on a node."""
        if reply is SILENT:
            KSR.warn(f"kemi_rtp: {node.name} ({node.url}) is down: no answer to {what}\n")
            self._state.mark_down(node, f"no answer to {what}")
        elif reply is LOST:
            KSR.warn(f"kemi_rtp: the rtpengine module lacks {node.name} ({node.url}): {what} not sent\n")
            self._state.cool_down(node, "the rtpengine module lacks it")
