"""Offer, answer and delete for the current SIP message: which node, and what follows when it does not do it."""

from __future__ import annotations

import KSR
from kemi_rtp.model.nodes import Node
from kemi_rtp.model.view import View
from kemi_rtp.module.commands import BUSY, DONE, LOCAL, OUTDATED, REFUSED, WITHDRAWN, Reply
from kemi_rtp.shm.state.worker import WorkerState
from kemi_rtp.worker import route
from kemi_rtp.worker.attempt import Attempt
from kemi_rtp.worker.outcome import NOTHING_DUE, Outcome
from kemi_rtp.worker.patience import WITH_CALLS, WITH_DELETES
from kemi_rtp.worker.sending import Sending

_REFUSED = Outcome(488, "Not Acceptable Here: the media relay refused the session description")


class Relay:
    """The media commands of one worker. `flags` are the rtpengine module's own, passed through as they are."""

    def __init__(self, state: WorkerState) -> None:
        self.state = state
        self._sending = Sending(state)

    # --- offer -------------------------------------------------------------------------------------------------------

    def offer(self, flags: str = "", pool: str = "default", *, reanchor: bool = True) -> Outcome:
        """Offer the SDP of the current message on the node of its call, or on one chosen for it.

        A call stays on its node. When that node is down, disabled or gone, or the call is new, a node is chosen from
        `pool`; without `reanchor` a call that has lost its node gets 481, which ends it (RFC 3261, section 12.2.1.2).

        A node that does not answer is marked down for all workers, and the next one tried. A node that refuses what
        the next one accepts is full: it cools down for a moment. What two nodes refuse is the offer's own fault: 488.
        A node that several workers wait for already, or that has all the calls it may have, is avoided. 503 when no
        node can take the call.
        """
        # In a failure route the request is out already, and a parameter would be added to what nobody sends.
        return self.offer_and_name(flags, pool, reanchor=reanchor, may_name=KSR.tmx.t_is_failure_route() < 0)

    def offer_and_name(self, flags: str, pool: str, *, reanchor: bool = True, may_name: bool = True) -> Outcome:
        """The same; the Record-Route of a request that begins a dialog names the node, where it still `may_name` it."""
        state = self.state
        call_id = str(KSR.pv.get("$ci"))
        before = state.binding(call_id)
        initial = KSR.siputils.has_totag() < 0
        set_id = before if before is not None or initial else route.named_set()
        # For a new call the view that was seen last will do: it is looked at again before anything is sent.
        attempt = Attempt(state, call_id, pool, state.seen if set_id is None else state.view())
        bound = _serving(attempt.view, set_id) if set_id is not None else None
        outcome = None
        if bound is not None:
            outcome = self._offer_to_bound(attempt, bound, flags)
        elif set_id is not None and not reanchor and not initial:
            return Outcome(481, "the media node of this call is out of service")
        if outcome is None:
            outcome = self._offer_to_chosen(attempt, flags)
        node = outcome.node
        if node is not None:
            state.bind(call_id, node.set_id, before)
            if initial and may_name:
                route.name_node(node)
        return outcome

    def _offer_to_chosen(self, attempt: Attempt, flags: str) -> Outcome:
        """Offer on one node after the other, until one takes it or it is known why none does."""
        while True:
            node = attempt.choose()
            if node is None:
                if attempt.look_again():
                    continue  # a node may have come back this moment
                break
            reply = self._sending.to_chosen(KSR.rtpengine.rtpengine_offer, node, flags, attempt.view, attempt)  # noqa: TID251
            if reply is DONE:
                if attempt.refused_by:
                    self.state.cool_down(attempt.refused_by[0], "refused a call that another node accepted")
                return Outcome(node=node)
            if (failure := self._note_failure(attempt, node, reply)) is not None:
                return failure
            if attempt.is_over:
                break
        if attempt.refused_by:
            return _REFUSED
        return Outcome(503, f"no media node for this call: {attempt.view.why_none(attempt.pool)}")

    def _offer_to_bound(self, attempt: Attempt, node: Node, flags: str) -> Outcome | None:
        """Offer on the node that the call is on; None when another one has to be chosen."""
        reply, _ = self._sending.to_bound(KSR.rtpengine.rtpengine_offer, node.set_id, flags, WITH_CALLS)  # noqa: TID251
        if reply is DONE:
            return Outcome(node=node)
        failure = self._note_failure(attempt, node, reply)
        return _REFUSED if reply is REFUSED else failure

    def _note_failure(self, attempt: Attempt, node: Node, reply: Reply) -> Outcome | None:
        """Take in that a node has not taken the offer; the outcome when no other one has to be asked."""
        if reply is LOCAL:
            return Outcome(500, "the rtpengine module could not make an offer of the message")
        if reply is BUSY:
            attempt.note_busy(node)
        elif reply is not OUTDATED:
            attempt.note_tried(node)
            if reply is REFUSED:
                attempt.refused_by += (node,)
                KSR.warn(f"kemi_rtp: {node.name} refused the offer of call {KSR.pv.get('$ci')}\n")
            elif reply is not WITHDRAWN:  # which says nothing of the node: it went out of service this moment
                self._sending.conclude(node, reply, "offer")
        attempt.look_again()
        return None

    # --- answer ------------------------------------------------------------------------------------------------------

    def answer(self, flags: str = "") -> Outcome:
        """Pass the SDP answer in the current message to the node that has the offer.

        When that node is disabled or down, or keeps enough workers waiting in vain, nothing is sent and the SDP stays
        as it is.
        """
        call_id = str(KSR.pv.get("$ci"))
        before = self.state.binding(call_id)
        set_id = before if before is not None else route.named_set()
        if set_id is None:
            return Outcome(503, "no node has the offer")
        reply, node = self._sending.to_bound(KSR.rtpengine.rtpengine_answer, set_id, flags, WITH_CALLS)  # noqa: TID251
        if node is None or reply is WITHDRAWN:
            return Outcome(503, "the node that has the offer is out of service")
        if reply is not DONE:
            self._sending.conclude(node, reply, "answer")
            return Outcome(503, f"{node.name} did not take the answer")
        if before is None:
            self.state.bind(call_id, node.set_id, before)
        return Outcome(node=node)

    # --- delete ------------------------------------------------------------------------------------------------------

    def delete(self, flags: str = "") -> Outcome:
        """End the call's media, never at the cost of the call's end.

        A delete for a node that is down, disabled or slow is put off: the timer sends it when the node answers. The
        outcome names the node only when it has done it.
        """
        call_id = str(KSR.pv.get("$ci"))
        before = self.state.unbind(call_id)
        set_id = before if before is not None else route.named_set()
        if set_id is None:
            return NOTHING_DUE
        reply, node = self._sending.to_bound(KSR.rtpengine.rtpengine_delete, set_id, flags, WITH_DELETES)  # noqa: TID251
        if reply is DONE:
            return Outcome(node=node)
        if node is not None:
            self._sending.conclude(node, reply, "delete")
            if reply is not REFUSED:
                self.state.defer_delete(node, call_id, str(KSR.pv.get("$ft") or ""))
        return NOTHING_DUE

    # --- which node --------------------------------------------------------------------------------------------------

    def reserve(self, pool: str) -> Outcome:
        """Bind a call whose offer comes later, so that its Record-Route can name the node."""
        call_id = str(KSR.pv.get("$ci"))
        view = self.state.view()
        before = self.state.binding(call_id)
        node = _serving(view, before if before is not None else route.named_set()) or view.choose(pool, call_id)
        if node is None:
            return Outcome(503, f"no media node for this call: {view.why_none(pool)}")
        self.state.bind(call_id, node.set_id, before)
        if KSR.siputils.has_totag() < 0:
            route.name_node(node)
        return Outcome(node=node)


def _serving(view: View, set_id: int | None) -> Node | None:
    """The node of a set, if nodes.yaml still has it and it serves its calls."""
    found = view.by_set.get(set_id) if set_id is not None else None
    return found[0] if found is not None and found[1].serves else None
