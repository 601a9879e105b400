"""Media for the current SIP message: offer, answer, delete, and manage, which tells which of them is due."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

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
"""Milliseconds without an answer to any of those that wait, after which a node is slow."""
PROMPT_MS = 5
"""The same for a delete, which loses nothing by waiting: deletes must not take the last workers from a proxy."""
MAX_REFUSALS = 2
"""Nodes that may refuse an offer before the fault is taken to be the offer's own."""

# What the request of this transaction was, for its replies: "initial" or "dialog", with "+sdp" when it had SDP.
_REQUEST = "$avp(kemi_rtp_request)"
_ROUTE = f"$(route_uri{{uri.param,{ROUTE_PARAMETER}}})"

Permission = Callable[[Standing, int], Reply | None]
"""Gets a node's standing and how many processes wait for it; why a command must not be sent, None when it may be."""
Command = Callable[[Node, str], Reply]


@dataclass(frozen=True, slots=True)
class Outcome:
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
        bound = node = self._bound(view, call_id)
        if bound is None and not reanchor and _in_dialog() and self._set_of(call_id) is not None:
            return Outcome(481, "the media node of this call is out of service")
        attempt = _Attempt(bound, self._state.silent_for)
        while len(attempt.tried) < MAX_NODES:
            if node is None:
                node = self._choose(view, pool, call_id, attempt)
                if node is None:
                    break
            attempt.tried.add(node.set_id)
            reply, view = self._send(module.offer, node, flags, attempt.permission(node, view))
            if reply is Reply.DONE:
                self._bind(call_id, node)
                if attempt.refused_by:
                    self._state.put_cooling(attempt.refused_by[0], "refused a call that another node accepted")
                return Outcome(node=node)
            if reply is Reply.REFUSED:
                attempt.refused_by.append(node)
                KSR.warn(f"kemi_rtp: {node.name} refused the offer of call {call_id}\n")
                if len(attempt.refused_by) == MAX_REFUSALS or node is bound:
                    break
            elif reply is Reply.LOCAL:
                return Outcome(500, "the rtpengine module could not make an offer of the message")
            elif reply is Reply.BUSY:
                attempt.tried.discard(node.set_id)
                attempt.busy.add(node.set_id)
            elif reply is not Reply.WITHDRAWN:  # withdrawn: taken out of service this moment, which `view` shows
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
            attempt.full.add(node.set_id)
        # All that are left are busy: better wait for one that is up than refuse the call.
        if attempt.busy and not attempt.patient:
            attempt.patient = True
            attempt.busy.clear()
            return self._choose(view, pool, call_id, attempt)
        return None

    def answer(self, flags: str = "") -> Outcome:
        """Pass the SDP answer in the current message to the node that has the offer.

        When that node is disabled or down, nothing is sent and the SDP stays as it is.
        """
        call_id = _call_id()
        node = self._bound(self._state.view(), call_id)
        if node is None:
            return Outcome(503, "the node that has the offer is out of service")
        reply, _ = self._send(module.answer, node, flags, _serves)
        if reply is Reply.DONE:
            self._state.bind(call_id, node)
            return Outcome(node=node)
        self._failed(node, reply, "answer")
        return Outcome(503, f"{node.name} did not take the answer")

    def delete(self, flags: str = "") -> Outcome:
        """End the call's media, never at the cost of the call's end.

        A delete for a node that is down, disabled or slow is left to the supervisor, which sends it when the node
        answers.
        """
        call_id = _call_id()
        found = self._found(self._state.view(), call_id)
        self._state.unbind(call_id)
        if found is None:
            return NOTHING_DUE
        node = found[0]
        reply, _ = self._send(module.delete, node, flags, _serves, can_wait=True)
        self._failed(node, reply, "delete")
        if reply not in (Reply.DONE, Reply.REFUSED):
            self._state.defer_delete(node, call_id, str(KSR.pv.get("$ft") or ""))
        return Outcome(node=node)

    def manage(self, flags: str = "", pool: str = "default", *, reanchor: bool = True) -> Outcome:
        """Do what is due for the current message: the cases of the module's rtpengine_manage().

        Requests: an offer for INVITE and UPDATE with SDP, a node for an INVITE without, an answer for ACK and PRACK
        with SDP, a delete for BYE and CANCEL. Replies: an answer when the request carried SDP, an offer when it did
        not. Failure of an initial INVITE: a delete; the failure of a re-INVITE leaves the call as it was (RFC 3261,
        section 14.1).
        """
        method = KSR.pv.get("$rm")
        if KSR.siputils.is_reply() > 0:
            return self._manage_reply(flags, pool)
        if KSR.tmx.t_is_failure_route() > 0:
            return self.delete(flags) if method == "INVITE" and not _in_dialog() else NOTHING_DUE
        if method in ("BYE", "CANCEL"):
            return self.delete(flags)
        sdp = KSR.sdpops.sdp_content() > 0
        if method in ("ACK", "PRACK"):
            if not sdp:
                return NOTHING_DUE
            KSR.pv.sets(_REQUEST, "dialog+sdp")
            return self.answer(flags)
        if method not in ("INVITE", "UPDATE"):
            return NOTHING_DUE
        KSR.pv.sets(_REQUEST, ("dialog" if _in_dialog() else "initial") + ("+sdp" if sdp else ""))
        if sdp:
            return self.offer(flags, pool, reanchor=reanchor)
        return self._reserve(pool) if method == "INVITE" else NOTHING_DUE

    def _manage_reply(self, flags: str, pool: str) -> Outcome:
        request = str(KSR.pv.get(_REQUEST) or "")
        status = int(str(KSR.pv.get("$rs")))
        if status >= 300:
            # Other branches may still answer: with a failure route armed, that one deletes when all have failed.
            return NOTHING_DUE
        if not request or KSR.sdpops.sdp_content() < 0:
            return NOTHING_DUE
        return self.answer(flags) if request.endswith("+sdp") else self.offer(flags, pool)

    # --- which node --------------------------------------------------------------------------------------------------

    def _bound(self, view: View, call_id: str) -> Node | None:
        """The node that the call's media is on, if it still serves its calls."""
        found = self._found(view, call_id)
        return found[0] if found is not None and found[1].serves else None

    def _found(self, view: View, call_id: str) -> tuple[Node, Standing] | None:
        """The node that the call's media is on, with its standing, if nodes.yaml still has it."""
        set_id = self._set_of(call_id)
        return view.node(set_id) if set_id is not None else None

    def _set_of(self, call_id: str) -> int | None:
        set_id = self._state.binding(call_id)
        return _set_from_route() if set_id is None and KSR.siputils.is_request() > 0 and _in_dialog() else set_id

    def _reserve(self, pool: str) -> Outcome:
        """Bind a call whose offer comes later, so that its Record-Route can name the node."""
        call_id = _call_id()
        view = self._state.view()
        node = self._bound(view, call_id) or view.choose(pool, call_id)
        if node is None:
            return Outcome(503, f"no media node for this call: {view.why_none(pool)}")
        self._bind(call_id, node)
        return Outcome(node=node)

    def _bind(self, call_id: str, node: Node) -> None:
        self._state.bind(call_id, node)
        if KSR.siputils.is_request() > 0 and not _in_dialog() and KSR.tmx.t_is_failure_route() < 0:
            KSR.rr.add_rr_param(f";{ROUTE_PARAMETER}={node.set_id:x}")

    # --- sending -----------------------------------------------------------------------------------------------------

    def _send(
        self, command: Command, node: Node, flags: str, permitted: Permission, *, can_wait: bool = False
    ) -> tuple[Reply, View]:
        """Send one command to one node, if it is permitted at the last moment before.

        A command that `can_wait` until later is not sent to a node that others wait for and that is slow, or has
        answered nobody for a while. An answer is: what is lost with it is a call's media. A node that answers late gets
        new calls only when no other can take them, until its pings are answered in time.
        """
        waiting = self._state.enter(node.set_id)
        reply = Reply.WITHDRAWN
        try:
            view = self._state.view()
            found = view.node(node.set_id)
            if found is None or found[0].url != node.url:
                return reply, view
            refusal = permitted(found[1], waiting)
            if refusal is not None:
                return refusal, view
            if can_wait and waiting > 1 and (found[1].slow or self._state.silent_for(node.set_id) > PROMPT_MS):
                return Reply.BUSY, view
            began = time.monotonic()
            reply = command(node, flags)
            if reply in (Reply.LOST, Reply.LOCAL):  # a reload of the module's table hides all nodes for a moment
                reply = command(node, flags)
            took = round((time.monotonic() - began) * 1000)
            if took > LATE_MS and not found[1].slow and reply in (Reply.DONE, Reply.REFUSED):
                KSR.warn(f"kemi_rtp: {node.name} ({node.url}) is slow: answered after {took} ms\n")
                self._state.put_slow(node, took)
            return reply, view
        finally:
            self._state.leave(answered=reply in (Reply.DONE, Reply.REFUSED))

    def _failed(self, node: Node, reply: Reply, what: str) -> None:
        """Draw the conclusion from a command that was not done; a refusal or a local error is no verdict on a node."""
        if reply is Reply.SILENT:
            KSR.warn(f"kemi_rtp: {node.name} ({node.url}) is down: no answer to {what}\n")
            self._state.mark_down(node, f"no answer to {what}")
        elif reply is Reply.LOST:
            KSR.warn(f"kemi_rtp: the rtpengine module lacks {node.name} ({node.url}): {what} not sent\n")
            self._state.put_cooling(node, "the rtpengine module lacks it")


@dataclass
class _Attempt:
    """How far an offer has come: set ids of nodes tried, busy and full, and the nodes that refused it."""

    bound: Node | None
    silent_for: Callable[[int], int]
    tried: set[int] = field(default_factory=set)
    busy: set[int] = field(default_factory=set)
    full: set[int] = field(default_factory=set)
    refused_by: list[Node] = field(default_factory=list)
    patient: bool = False

    def permission(self, node: Node, view: View) -> Permission:
        """What must hold when the offer is sent to a node."""
        if node is self.bound:
            return _serves
        limit = None if self.patient else view.settings.max_waiting

        def takes_new_call(standing: Standing, waiting: int) -> Reply | None:
            if standing.routable:
                # Busy is no reason by itself to leave a node, and even its tier: only when it answers nobody, too.
                slow = limit is not None and waiting > limit and self.silent_for(node.set_id) > SLOW_MS
                return Reply.BUSY if slow else None
            # A last resort must not cost more than one worker at a time.
            return Reply.WITHDRAWN if not standing.last_resort or waiting > 1 else None

        return takes_new_call


def _serves(standing: Standing, waiting: int) -> Reply | None:
    return None if standing.serves else Reply.WITHDRAWN


def _call_id() -> str:
    return str(KSR.pv.get("$ci"))


def _in_dialog() -> bool:
    return KSR.siputils.has_totag() > 0


def _set_from_route() -> int | None:
    """The set id in the topmost Route of an in-dialog request: found even after a restart lost the binding."""
    value = KSR.pv.get(_ROUTE)
    try:
        return int(str(value), 16) if value else None
    except ValueError:
        return None
