"""Media for the current SIP message: offer, answer, delete, and manage, which tells which of them is due."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import KSR
from kemi_rtp import module
from kemi_rtp.module import Reply
from kemi_rtp.nodes import Node
from kemi_rtp.state import SharedState
from kemi_rtp.view import LATE_MS, Standing, View

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

Permission = Callable[[Standing, int], bool]
"""Whether a command may be sent to a node of this standing that so many processes wait for, this one included."""
Patience = Callable[[Standing], int]
"""Milliseconds without an answer to anybody, after which a node of this standing is left if enough wait for it."""
Command = Callable[[Node, str], Reply]


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


def _serves(standing: Standing, waiting: int) -> bool:
    """For the calls that are on a node: what is lost with one of their commands is a call's media."""
    return standing.serves


def _takes_new_call(standing: Standing, waiting: int) -> bool:
    # A last resort must not cost more than one worker at a time.
    return standing.routable or (standing.last_resort and waiting <= 1)


class Relay:
    """The media commands of one worker. `flags` are the rtpengine module's own, passed through as they are."""

    def __init__(self, state: SharedState) -> None:
        self._state = state

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
        call_id = _call_id()
        view = self._state.view()
        before = self._state.binding(call_id)
        initial = not _in_dialog()
        set_id = before if before is not None or initial else _set_from_route()
        bound = node = _serving(view, set_id)
        if bound is None and set_id is not None and not reanchor and not initial:
            return Outcome(481, "the media node of this call is out of service")
        attempt = _Attempt()
        while len(attempt.tried) < MAX_NODES:
            if node is None:
                node = self._choose(view, pool, call_id, attempt)
                if node is None:
                    break
            attempt.tried |= {node.set_id}
            if node is bound:
                reply, _ = self._send(module.offer, node.set_id, flags, _serves, MAX_BOUND, self._patience(node.set_id))
            else:
                limit = NO_LIMIT if attempt.patient else view.settings.max_waiting
                patience = partial(attempt.patience, view, node)
                reply, _ = self._send(module.offer, node.set_id, flags, _takes_new_call, limit, patience)
            if reply is Reply.DONE:
                self._bind(call_id, node, before, initial=initial)
                if attempt.refused_by:
                    self._state.put_cooling(attempt.refused_by[0], "refused a call that another node accepted")
                return Outcome(node=node)
            if reply is Reply.REFUSED:
                attempt.refused_by += (node,)
                KSR.warn(f"kemi_rtp: {node.name} refused the offer of call {call_id}\n")
                if len(attempt.refused_by) == MAX_REFUSALS or node is bound:
                    break
            elif reply is Reply.LOCAL:
                return Outcome(500, "the rtpengine module could not make an offer of the message")
            elif reply is Reply.BUSY:
                attempt.tried -= {node.set_id}
                attempt.busy |= {node.set_id}
            elif reply is not Reply.WITHDRAWN:  # withdrawn: taken out of service this moment
                self._failed(node, reply, "offer")
            view = self._state.view()
            node = None
        if attempt.refused_by:
            return Outcome(488, "Not Acceptable Here: the media relay refused the session description")
        return Outcome(503, f"no media node for this call: {view.why_none(pool)}")

    def _choose(self, view: View, pool: str, call_id: str, attempt: _Attempt) -> Node | None:
        """A node for a new call that is neither tried nor full, and one with few commands in flight if possible."""
        while (node := view.choose(pool, call_id, attempt.tried | attempt.busy | attempt.full)) is not None:
            if not node.max_calls or self._state.calls(node) < node.max_calls:
                return node
            attempt.full |= {node.set_id}
        # All that are left are busy: better wait for one that is up than refuse the call.
        if attempt.busy and not attempt.patient:
            attempt.patient = True
            attempt.busy = frozenset()
            return self._choose(view, pool, call_id, attempt)
        return None

    def answer(self, flags: str = "") -> Outcome:
        """Pass the SDP answer in the current message to the node that has the offer.

        When that node is disabled or down, or keeps enough workers waiting in vain, nothing is sent and the SDP stays
        as it is.
        """
        call_id = _call_id()
        before = self._state.binding(call_id)
        set_id = before if before is not None else _set_from_route()
        reply, node = self._send(module.answer, set_id, flags, _serves, MAX_BOUND, self._patience(set_id))
        if node is None or reply is Reply.WITHDRAWN:
            return Outcome(503, "the node that has the offer is out of service")
        if reply is Reply.DONE:
            self._state.bind(call_id, node.set_id, before)
            return Outcome(node=node)
        self._failed(node, reply, "answer")
        return Outcome(503, f"{node.name} did not take the answer")

    def delete(self, flags: str = "") -> Outcome:
        """End the call's media, never at the cost of the call's end.

        A delete for a node that is down, disabled or slow is left to the supervisor, which sends it when the node
        answers.
        """
        call_id = _call_id()
        before = self._state.unbind(call_id)
        set_id = before if before is not None else _set_from_route()
        reply, node = self._send(module.delete, set_id, flags, _serves, 1, _patience_for_deletes)
        if node is None:
            return NOTHING_DUE
        if reply is not Reply.DONE:
            self._failed(node, reply, "delete")
            if reply is not Reply.REFUSED:
                self._state.defer_delete(node, call_id, str(KSR.pv.get("$ft") or ""))
        return Outcome(node=node)

    def manage(self, flags: str = "", pool: str = "default", *, reanchor: bool = True) -> Outcome:
        """Do what is due for the current message: the cases of the module's rtpengine_manage().

        Requests: an offer for INVITE and UPDATE with SDP, a node for an INVITE without, an answer for ACK and PRACK
        with SDP, a delete for BYE and CANCEL. Replies: an answer when the request carried SDP, an offer when it did
        not. Failure of an initial INVITE: a delete; the failure of a re-INVITE leaves the call as it was (RFC 3261,
        section 14.1).
        """
        if KSR.siputils.is_reply() > 0:
            return self._manage_reply(flags, pool)
        method = KSR.pv.get("$rm")
        if KSR.tmx.t_is_failure_route() > 0:
            return self.delete(flags) if method == "INVITE" and not _in_dialog() else NOTHING_DUE
        if method in ("BYE", "CANCEL"):
            return self.delete(flags)
        sdp = KSR.sdpops.sdp_content() > 0
        if method in ("ACK", "PRACK"):
            if not sdp:
                return NOTHING_DUE
            KSR.pv.sets(_REQUEST, "offer")
            return self.answer(flags)
        if method not in ("INVITE", "UPDATE"):
            return NOTHING_DUE
        KSR.pv.sets(_REQUEST, "offer" if sdp else "none")
        if sdp:
            return self.offer(flags, pool, reanchor=reanchor)
        return self._reserve(pool) if method == "INVITE" else NOTHING_DUE

    def _manage_reply(self, flags: str, pool: str) -> Outcome:
        request = KSR.pv.get(_REQUEST)
        # After a failure other branches may still answer: the failure route deletes when all have failed.
        if not request or int(str(KSR.pv.get("$rs"))) >= 300 or KSR.sdpops.sdp_content() < 0:
            return NOTHING_DUE
        return self.offer(flags, pool) if request == "none" else self.answer(flags)

    # --- which node --------------------------------------------------------------------------------------------------

    def _reserve(self, pool: str) -> Outcome:
        """Bind a call whose offer comes later, so that its Record-Route can name the node."""
        call_id = _call_id()
        view = self._state.view()
        before = self._state.binding(call_id)
        node = _serving(view, before if before is not None else _set_from_route()) or view.choose(pool, call_id)
        if node is None:
            return Outcome(503, f"no media node for this call: {view.why_none(pool)}")
        self._bind(call_id, node, before, initial=not _in_dialog())
        return Outcome(node=node)

    def _bind(self, call_id: str, node: Node, before: int | None, *, initial: bool) -> None:
        self._state.bind(call_id, node.set_id, before)
        if initial and KSR.tmx.t_is_failure_route() < 0:
            KSR.rr.add_rr_param(f";{ROUTE_PARAMETER}={node.set_id:x}")

    # --- sending -----------------------------------------------------------------------------------------------------

    def _send(
        self,
        command: Command,
        set_id: int | None,
        flags: str,
        permitted: Permission,
        limit: int,
        patience: Patience,
    ) -> tuple[Reply, Node | None]:
        """Send one command to the node of a set, if it is permitted at the last moment before.

        No more than `limit` processes wait for a node that has answered nobody for longer than their `patience`. A node
        that answers late gets new calls only when no other can take them, until its pings are answered in time. Returns
        the node as well, None when there is no such set in nodes.yaml any more.
        """
        if set_id is None:
            return Reply.WITHDRAWN, None
        waiting = self._state.enter(set_id)
        reply = Reply.WITHDRAWN
        try:
            found = self._state.view().node(set_id)
            if found is None:
                return reply, None
            node, standing = found
            if not permitted(standing, waiting):
                return reply, node
            # Busy is no reason by itself to leave a node, and even its tier: only when it answers nobody, too.
            if waiting > limit and self._state.silent_for(set_id) > patience(standing):
                return Reply.BUSY, node
            began = time.monotonic()
            reply = command(node, flags)
            if reply in (Reply.LOST, Reply.LOCAL):  # a reload of the module's table hides all nodes for a moment
                reply = command(node, flags)
            took = (time.monotonic() - began) * 1000
            if took > LATE_MS and not standing.slow and reply in (Reply.DONE, Reply.REFUSED):
                KSR.warn(f"kemi_rtp: {node.name} ({node.url}) is slow: answered after {took:.0f} ms\n")
                self._state.put_slow(node, round(took))
            return reply, node
        finally:
            self._state.leave(answered=reply in (Reply.DONE, Reply.REFUSED))

    def _patience(self, set_id: int | None) -> Patience:
        """For the calls that are on a node: what is lost with one of their commands is a call's media.

        So there must be other nodes to serve meanwhile, and none that keeps workers waiting too: where all are silent,
        it is the module that waits, as its own pings to a node that is dead make it do, while it holds its locks.
        """

        def patience(standing: Standing) -> int:
            others = [node for node, other in self._state.view() if other.routable and node.set_id != set_id]
            alone = bool(others) and not any(self._state.waiting(node) for node in others)
            return LATE_MS if alone else NO_LIMIT

        return patience

    def _failed(self, node: Node, reply: Reply, what: str) -> None:
        """Draw the conclusion from a command that was not done; a refusal or a local error is no verdict on a node."""
        if reply is Reply.SILENT:
            KSR.warn(f"kemi_rtp: {node.name} ({node.url}) is down: no answer to {what}\n")
            self._state.mark_down(node, f"no answer to {what}")
        elif reply is Reply.LOST:
            KSR.warn(f"kemi_rtp: the rtpengine module lacks {node.name} ({node.url}): {what} not sent\n")
            self._state.put_cooling(node, "the rtpengine module lacks it")


class _Attempt:
    """How far an offer has come: set ids of nodes tried, busy and full, and the nodes that refused it."""

    tried: frozenset[int] = frozenset()
    busy: frozenset[int] = frozenset()
    full: frozenset[int] = frozenset()
    refused_by: tuple[Node, ...] = ()
    patient = False

    def patience(self, view: View, node: Node, standing: Standing) -> int:
        """A node is left sooner for another one of its tier than for a backup."""
        if standing.slow:
            return AT_ONCE
        other = view.choose(node.pool, "", self.tried | self.busy | self.full)
        return PROMPT_MS if other is not None and other.tier == node.tier else SLOW_MS


def _patience_for_deletes(standing: Standing) -> int:
    return AT_ONCE if standing.slow else PROMPT_MS


def _call_id() -> str:
    return str(KSR.pv.get("$ci"))


def _in_dialog() -> bool:
    return KSR.siputils.has_totag() > 0


def _serving(view: View, set_id: int | None) -> Node | None:
    """The node of a set, if nodes.yaml still has it and it serves its calls."""
    found = view.node(set_id) if set_id is not None else None
    return found[0] if found is not None and found[1].serves else None


def _set_from_route() -> int | None:
    """The set id in the topmost Route of an in-dialog request: found even after a restart lost the binding."""
    if KSR.siputils.is_request() < 0 or not _in_dialog():
        return None
    value = KSR.pv.get(_ROUTE)
    try:
        return int(str(value), 16) if value else None
    except ValueError:
        return None
