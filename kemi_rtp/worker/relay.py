"""Media for the current SIP message: offer, answer and delete, and which of them is due."""

from __future__ import annotations

import time
from collections.abc import Callable
from time import sleep
from typing import NamedTuple

import KSR
from kemi_rtp.model.nodes import Node
from kemi_rtp.model.view import LATE_MS, Standing, View
from kemi_rtp.module.commands import DONE, REFUSED, Reply, Sender
from kemi_rtp.shm.state import SharedState

_LATE = LATE_MS / 1000
_RELOAD_PAUSES = (0.002, 0.005, 0.01)
"""Seconds between the tries to send a command while the module lacks its node."""

ROUTE_PARAMETER = "kr"
"""Record-Route parameter that names a call's node, as its set id in hexadecimal."""

MAX_NODES = 3
"""Nodes that one offer is tried on at most."""
SLOW_MS = 20
"""Milliseconds without an answer to any of those that wait, after which a node is left for a backup."""
AT_ONCE = -1
PROMPT_MS = 5
"""The same where leaving the node costs nothing: for a delete, which can wait, and for an offer that another node of
the tier can take. Whatever waits for a frozen node needlessly is a worker less for all other calls."""
NO_LIMIT = 1 << 31
"""Processes that may wait for a slow node at a time, when there is nothing better to do than to wait."""
MAX_BOUND = 2
"""Processes that may wait, for the calls that are on it, for a node that answers nobody: the others serve the rest."""
MAX_REFUSALS = 2
"""Nodes that may refuse an offer before the fault is taken to be the offer's own."""

# Whether the request of this transaction had SDP, for its replies: "offer" or "none"; unset: not ours.
_REQUEST = "$avp(kemi_rtp_request)"
_ROUTE = f"$(route_uri{{uri.param,{ROUTE_PARAMETER}}})"

Patience = Callable[[SharedState, Node, Standing], int]
"""Milliseconds without an answer to anybody, after which a node of this standing is left if enough wait for it."""
Command = Callable[[str], int]
"""A function of KSR.rtpengine."""


class Outcome(NamedTuple):
    """How a media command went; true when it went well or nothing was due.

    `code` and `reason` are the SIP answer to give otherwise; `node` is the node that served.
    """

    code: int = 200
    reason: str = ""
    node: Node | None = None

    def __bool__(self) -> bool:
        return self.code < 300


NOTHING_DUE = Outcome()


class Relay:
    """The media commands of one worker. `flags` are the rtpengine module's own, passed through as they are."""

    def __init__(self, state: SharedState) -> None:
        self._state = state
        self._sender = Sender()

    # --- commands ----------------------------------------------------------------------------------------------------

    def offer(self, flags: str = "", pool: str = "default", *, reanchor: bool = True) -> Outcome:
        """Offer the SDP of the current message on the node of its call, or on one chosen for it.

        A call stays on its node. When that node is down, disabled or gone, or the call is new, a node is chosen from
        `pool`; without `reanchor` a call that has lost its node gets 481, which ends it (RFC 3261, section 12.2.1.2).

        A node that does not answer is marked down for all workers, and the next one tried. A node that refuses what
        the next one accepts is full: it cools down for a moment. What two nodes refuse is the offer's own fault: 488.
        A node that several workers wait for already, or that has all the calls it may have, is avoided. 503 when no
        node can take the call.
        """
        return self._offer(flags, pool, reanchor=reanchor, in_failure_route=KSR.tmx.t_is_failure_route() > 0)

    def _offer(self, flags: str, pool: str, *, reanchor: bool = True, in_failure_route: bool = False) -> Outcome:
        state = self._state
        call_id = str(KSR.pv.get("$ci"))
        before = state.binding(call_id)
        initial = KSR.siputils.has_totag() < 0
        set_id = before if before is not None or initial else _set_from_route()
        bound = None
        # For a new call the view that was seen last will do: it is looked at again before anything is sent.
        view = state.seen
        if set_id is not None:
            view = state.view()
            bound = _serving(view, set_id)
            if bound is None and not reanchor and not initial:
                return Outcome(481, "the media node of this call is out of service")
        node = bound
        attempt = _Attempt()
        command = KSR.rtpengine.rtpengine_offer
        while attempt.tried < MAX_NODES:
            if node is None:
                node = self._choose(view, pool, call_id, attempt)
            if node is None:
                if view is state.view():
                    break
                view = state.seen
                continue
            if node is bound:
                reply, _ = self._send(command, node.set_id, flags, MAX_BOUND, _patience_with_calls)
            else:
                limit = NO_LIMIT if attempt.patient else view.settings.max_waiting
                reply, _ = self._send(command, node.set_id, flags, limit, attempt.patience, view)
            if reply is DONE:
                state.bind(call_id, node.set_id, before)
                if initial and not in_failure_route:
                    KSR.rr.add_rr_param(f";{ROUTE_PARAMETER}={node.set_id:x}")
                if attempt.refused_by:
                    state.put_cooling(attempt.refused_by[0], "refused a call that another node accepted")
                return Outcome(node=node)
            if reply is Reply.OUTDATED:
                view, node = state.seen, None
                continue
            attempt.excluded |= {node.set_id}
            if reply is Reply.BUSY:
                attempt.busy |= {node.set_id}
            else:
                attempt.tried += 1
            if reply is REFUSED:
                attempt.refused_by += (node,)
                KSR.warn(f"kemi_rtp: {node.name} refused the offer of call {call_id}\n")
                if len(attempt.refused_by) == MAX_REFUSALS or node is bound:
                    break
            elif reply is Reply.LOCAL:
                return Outcome(500, "the rtpengine module could not make an offer of the message")
            elif reply is not Reply.BUSY and reply is not Reply.WITHDRAWN:  # withdrawn: out of service this moment
                self._failed(node, reply, "offer")
            view, node = state.view(), None
        if attempt.refused_by:
            return Outcome(488, "Not Acceptable Here: the media relay refused the session description")
        return Outcome(503, f"no media node for this call: {view.why_none(pool)}")

    def _choose(self, view: View, pool: str, call_id: str, attempt: _Attempt) -> Node | None:
        """A node for a new call that is neither tried nor full, and one with few commands in flight if possible."""
        while (node := view.choose(pool, call_id, attempt.excluded)) is not None:
            if not node.max_calls or self._state.calls(node) < node.max_calls:
                return node
            attempt.excluded |= {node.set_id}
        # All that are left are busy: better wait for one that is up than refuse the call.
        if attempt.busy and not attempt.patient:
            attempt.patient = True
            attempt.excluded -= attempt.busy
            return self._choose(view, pool, call_id, attempt)
        return None

    def answer(self, flags: str = "") -> Outcome:
        """Pass the SDP answer in the current message to the node that has the offer.

        When that node is disabled or down, or keeps enough workers waiting in vain, nothing is sent and the SDP stays
        as it is.
        """
        call_id = str(KSR.pv.get("$ci"))
        before = self._state.binding(call_id)
        set_id = before if before is not None else _set_from_route()
        node = None
        if set_id is not None:
            command = KSR.rtpengine.rtpengine_answer
            reply, node = self._send(command, set_id, flags, MAX_BOUND, _patience_with_calls)
        if node is None or reply is Reply.WITHDRAWN:
            return Outcome(503, "the node that has the offer is out of service")
        if reply is DONE:
            if before is None:
                self._state.bind(call_id, node.set_id, before)
            return Outcome(node=node)
        self._failed(node, reply, "answer")
        return Outcome(503, f"{node.name} did not take the answer")

    def delete(self, flags: str = "") -> Outcome:
        """End the call's media, never at the cost of the call's end.

        A delete for a node that is down, disabled or slow is left to the supervisor, which sends it when the node
        answers.
        """
        call_id = str(KSR.pv.get("$ci"))
        before = self._state.unbind(call_id)
        set_id = before if before is not None else _set_from_route()
        if set_id is None:
            return NOTHING_DUE
        reply, node = self._send(KSR.rtpengine.rtpengine_delete, set_id, flags, 1, _patience_with_deletes)
        if node is None:
            return NOTHING_DUE
        if reply is not DONE:
            self._failed(node, reply, "delete")
            if reply is not REFUSED:
                self._state.defer_delete(node, call_id, str(KSR.pv.get("$ft") or ""))
        return Outcome(node=node)

    # --- what is due -------------------------------------------------------------------------------------------------

    def manage(self, flags: str = "", pool: str = "default", *, reanchor: bool = True) -> Outcome:
        """Do what is due for the current message, whatever the route: the cases of the module's rtpengine_manage()."""
        if KSR.siputils.is_reply() > 0:
            return self.reply(flags, pool)
        if KSR.tmx.t_is_failure_route() > 0:
            return self.failure(flags)
        return self.request(flags, pool, reanchor=reanchor)

    def request(self, flags: str = "", pool: str = "default", *, reanchor: bool = True) -> Outcome:
        """Do what is due for a request, before it is relayed.

        An offer for INVITE and UPDATE with SDP, a node for an INVITE without, an answer for ACK and PRACK with SDP, a
        delete for BYE and CANCEL.
        """
        method = KSR.pv.get("$rm")
        if method in ("INVITE", "UPDATE"):
            if KSR.sdpops.sdp_content() > 0:
                KSR.pv.sets(_REQUEST, "offer")
                return self._offer(flags, pool, reanchor=reanchor)
            KSR.pv.sets(_REQUEST, "none")
            return self._reserve(pool) if method == "INVITE" else NOTHING_DUE
        if method in ("BYE", "CANCEL"):
            return self.delete(flags)
        if method in ("ACK", "PRACK") and KSR.sdpops.sdp_content() > 0:
            KSR.pv.sets(_REQUEST, "offer")
            return self.answer(flags)
        return NOTHING_DUE

    def reply(self, flags: str = "", pool: str = "default") -> Outcome:
        """Do what is due for a reply: an answer when the request carried SDP, an offer when it did not."""
        request = KSR.pv.get(_REQUEST)
        # After a failure other branches may still answer: the failure route deletes when all have failed.
        if not request or int(str(KSR.pv.get("$rs"))) >= 300 or KSR.sdpops.sdp_content() < 0:
            return NOTHING_DUE
        return self._offer(flags, pool) if request == "none" else self.answer(flags)

    def failure(self, flags: str = "") -> Outcome:
        """Do what is due in a failure route: a delete for an initial INVITE.

        The failure of a re-INVITE leaves the call as it was (RFC 3261, section 14.1).
        """
        initial = KSR.pv.get("$rm") == "INVITE" and KSR.siputils.has_totag() < 0
        return self.delete(flags) if initial else NOTHING_DUE

    # --- which node --------------------------------------------------------------------------------------------------

    def _reserve(self, pool: str) -> Outcome:
        """Bind a call whose offer comes later, so that its Record-Route can name the node."""
        call_id = str(KSR.pv.get("$ci"))
        view = self._state.view()
        before = self._state.binding(call_id)
        node = _serving(view, before if before is not None else _set_from_route()) or view.choose(pool, call_id)
        if node is None:
            return Outcome(503, f"no media node for this call: {view.why_none(pool)}")
        self._state.bind(call_id, node.set_id, before)
        if KSR.siputils.has_totag() < 0:
            KSR.rr.add_rr_param(f";{ROUTE_PARAMETER}={node.set_id:x}")
        return Outcome(node=node)

    # --- sending -----------------------------------------------------------------------------------------------------

    def _send(
        self,
        command: Command,
        set_id: int,
        flags: str,
        limit: int,
        patience: Patience,
        chosen_from: View | None = None,
    ) -> tuple[Reply, Node | None]:
        """Send one command to the node of a set, if it may be sent at the last moment before.

        `chosen_from` is the view that the node was chosen from for a new call; when it holds no longer, the node has to
        be chosen again. No more than `limit` processes wait for a node that has answered nobody for longer than their
        `patience`. A node that answers late gets new calls only when no other can take them, until its pings are
        answered in time. Returns the node as well, None when there is no such set in nodes.yaml any more.
        """
        state = self._state
        waiting = state.enter(set_id)
        answered = False
        try:
            view = state.view()
            if chosen_from is not None and view is not chosen_from:
                return Reply.OUTDATED, None
            found = view.node(set_id)
            if found is None:
                return Reply.WITHDRAWN, None
            node, standing = found
            if chosen_from is None:
                if not standing.serves:  # what is lost with a command for a call that is on a node is its media
                    return Reply.WITHDRAWN, node
            elif not standing.routable and (not standing.last_resort or waiting > 1):
                return Reply.WITHDRAWN, node  # a last resort must not cost more than one worker at a time
            # Busy is no reason by itself to leave a node, and even its tier: only when it answers nobody, too.
            if waiting > limit and state.silent_for(set_id) > patience(state, node, standing):
                return Reply.BUSY, node
            began = time.monotonic()
            reply = self._sender.send(command, node, flags)
            if reply is Reply.LOST or reply is Reply.LOCAL:
                reply = self._send_again(command, node, flags)
            answered = reply is DONE or reply is REFUSED
            took = time.monotonic() - began
            if took > _LATE and answered and not standing.slow:
                KSR.warn(f"kemi_rtp: {node.name} ({node.url}) is slow: answered after {took * 1000:.0f} ms\n")
                state.put_slow(node, round(took * 1000))
            return reply, node
        finally:
            state.leave(answered=answered)

    def _send_again(self, command: Command, node: Node, flags: str) -> Reply:
        """Once more at once, and again while the module lacks the node: a reload of its table hides all a moment."""
        reply = self._sender.send(command, node, flags)
        for pause in _RELOAD_PAUSES:
            if reply is not Reply.LOST:
                break
            sleep(pause)
            reply = self._sender.send(command, node, flags)
        return reply

    def _failed(self, node: Node, reply: Reply, what: str) -> None:
        """Draw the conclusion from a command that was not done; a refusal or a local error is no verdict on a node."""
        if reply is Reply.SILENT:
            KSR.warn(f"kemi_rtp: {node.name} ({node.url}) is down: no answer to {what}\n")
            self._state.mark_down(node, f"no answer to {what}")
        elif reply is Reply.LOST:
            KSR.warn(f"kemi_rtp: the rtpengine module lacks {node.name} ({node.url}): {what} not sent\n")
            self._state.put_cooling(node, "the rtpengine module lacks it")


class _Attempt:
    """How far an offer has come: how many nodes were tried, which ones are not to be chosen, and who refused it."""

    tried = 0
    excluded: frozenset[int] = frozenset()
    """Set ids of nodes that were tried, are full, or are busy."""
    busy: frozenset[int] = frozenset()
    refused_by: tuple[Node, ...] = ()
    patient = False

    def patience(self, state: SharedState, node: Node, standing: Standing) -> int:
        """A node is left sooner for another one of its tier than for a backup."""
        if standing.slow:
            return AT_ONCE
        other = state.seen.choose(node.pool, "", self.excluded | {node.set_id})
        return PROMPT_MS if other is not None and other.tier == node.tier else SLOW_MS


def _patience_with_deletes(state: SharedState, node: Node, standing: Standing) -> int:
    return AT_ONCE if standing.slow else PROMPT_MS


def _patience_with_calls(state: SharedState, node: Node, standing: Standing) -> int:
    """For the calls that are on a node: what is lost with one of their commands is a call's media.

    So there must be other nodes to serve meanwhile, and none that keeps workers waiting too: where all are silent, it
    is the module that waits, as its own pings to a node that is dead make it do, while it holds its locks.
    """
    others = [other for other, its in state.seen if its.routable and other.set_id != node.set_id]
    return LATE_MS if others and not any(state.waiting(other) for other in others) else NO_LIMIT


def _serving(view: View, set_id: int | None) -> Node | None:
    """The node of a set, if nodes.yaml still has it and it serves its calls."""
    found = view.node(set_id) if set_id is not None else None
    return found[0] if found is not None and found[1].serves else None


def _set_from_route() -> int | None:
    """The set id in the topmost Route of an in-dialog request: found even after a restart lost the binding."""
    if KSR.siputils.is_request() < 0 or KSR.siputils.has_totag() < 0:
        return None
    value = KSR.pv.get(_ROUTE)
    try:
        return int(str(value), 16) if value else None
    except ValueError:
        return None
