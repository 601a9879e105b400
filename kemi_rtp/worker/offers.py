"""Offers: on which node, in which session, and what follows when the node does not take one (RFC 3264)."""

from __future__ import annotations

from dataclasses import replace

import KSR
from kemi_rtp.model.binding import Binding, Kind
from kemi_rtp.model.log import inert
from kemi_rtp.model.nodes import Node
from kemi_rtp.model.view import View
from kemi_rtp.module.commands import BUSY, DONE, LOCAL, OUTDATED, REFUSED, WITHDRAWN, Reply
from kemi_rtp.shm.state.worker import WorkerState
from kemi_rtp.worker import route, transaction
from kemi_rtp.worker.attempt import Attempt
from kemi_rtp.worker.ends import Ends
from kemi_rtp.worker.hooks import Hooks
from kemi_rtp.worker.outcome import NOTHING_DUE, Outcome
from kemi_rtp.worker.patience import WITH_CALLS
from kemi_rtp.worker.sending import Sending
from kemi_rtp.worker.sessions import Session, Sessions, flags_of, in_dialog, new_number, tag_in

_REFUSED = Outcome(488, "Not Acceptable Here: the media relay refused the session description")
_LOST = Outcome(481, "the media node of this call is out of service")
_OVER = Outcome(481, "the call has ended meanwhile")

NOWHERE = -1
"""Set id of a session that no node has yet."""


class Offers:
    """Offers the SDP of the current message.

    A call stays on its node. When that node is down, disabled or gone, or the call is new, a node is chosen. A node
    that does not answer is marked down for all workers, and the next one tried. A node that refuses what the next one
    accepts is full: it cools down for a moment. What two nodes refuse is the offer's own fault.
    """

    def __init__(self, state: WorkerState, sending: Sending, sessions: Sessions, ends: Ends) -> None:
        self._state = state
        self._sending = sending
        self._sessions = sessions
        self._ends = ends

    # --- where an offer comes in -------------------------------------------------------------------------------------

    def begin(self, call_id: str, hooks: Hooks) -> Outcome:
        """The offer of an INVITE that begins a dialog; its transaction is taken for a usual call's."""
        state = self._state
        value = state.binding(call_id)
        if value is not None or KSR.hdr.is_present("Record-Route") > 0:
            return self._begin_unusual(call_id, value, hooks)
        attempt = Attempt(state, call_id, hooks.pool(), state.seen)
        first = attempt.choose()
        if first is None and attempt.look_again():
            first = attempt.choose()
        if first is not None:
            # At once: another INVITE with this Call-ID, in another worker, gets a session of its own then.
            state.bind(call_id, first.set_id)
        outcome = self._to_chosen(attempt, hooks.flags(), first)
        node = outcome.node
        if node is not first:
            self._rebind(call_id, node)
        if node is not None:
            if node.max_calls:
                state.count_bound(node)
            route.name_node(node)
        return outcome

    def in_dialog(self, call_id: str, hooks: Hooks) -> Outcome:
        """The offer of a re-INVITE, UPDATE or PRACK."""
        session = self._sessions.of_request(call_id)
        if session is None and route.is_elsewhere():
            transaction.forget()
            return NOTHING_DUE
        if session is not None and session.is_early and KSR.is_INVITE():
            session = None  # a re-INVITE is of a dialog, so not of what only rings
        if session is None:
            # A dialog that nobody knows of: from before a restart, and without a Route that names its node.
            number = new_number() if self._state.binding(call_id) is not None else ""
            session = Session(call_id, number, Binding(Kind.ANSWERED, NOWHERE), is_bound=False)
        attempt = Attempt(self._state, call_id, hooks.pool(), self._state.view())
        if self._give_up_if_lost(attempt.view, session, hooks):
            return _LOST
        return self._offer_for(attempt, session, hooks.flags())

    def in_reply(self, flags: str, pool: str, number: str, code: int) -> Outcome:
        """The offer in a reply to an INVITE without SDP."""
        call_id = str(KSR.pv.get("$ci"))
        session = self._sessions.of_invite(call_id, number)
        if session is None:
            return NOTHING_DUE  # the call has ended meanwhile
        tag = tag_in("$tt")
        binding = session.binding
        if binding.to_tag and tag not in (binding.from_tag, binding.to_tag):
            if code < 200:
                return NOTHING_DUE  # after a 2xx nothing that another callee still sends may redirect the media
            # A second callee offers: a dialog of its own, and a session (RFC 3261, section 13.2.2.4).
            known = self._sessions.of_callee(call_id, tag)
            number = known.number if known is not None else new_number()
            session = Session(call_id, number, replace(binding, to_tag=tag), is_bound=False)
        attempt = Attempt(self._state, call_id, pool, self._state.view())
        if code >= 200:
            session = replace(session, binding=in_dialog(session.binding, session.binding.kind))
            if session.is_bound:  # first: a BYE that is quicker than the node ends it
                self._sessions.put(session)
        outcome, served = self._to_bound_or_moved(attempt, session, flags)
        node = outcome.node
        if node is None:
            return outcome
        offered = replace(served.binding, kind=Kind.DELAYED, set_id=node.set_id)
        return outcome if self._keep(node, session, replace(served, binding=offered, is_bound=True)) else _OVER

    def for_each_branch(self, call_id: str, hooks: Hooks) -> Outcome:
        """Leave the offer of an INVITE that begins a dialog to its branches."""
        if not self._leave_to_first_pass(call_id, hooks):
            transaction.note(transaction.BRANCHES, new_number())
        return NOTHING_DUE

    def in_branch(self, flags: str, pool: str) -> Outcome:
        """An offer of a branch's own, in its branch route: a session for each, and its Record-Route names it."""
        call_id = str(KSR.pv.get("$ci"))
        kept = transaction.read()
        if kept is None or kept.what != transaction.BRANCHES:
            kept = transaction.note(transaction.BRANCHES, new_number())
        number = kept.of_branch
        attempt = Attempt(self._state, call_id, pool, self._state.view())
        outcome = self._to_chosen(attempt, flags_of(flags, call_id, number))
        if outcome.node is not None:
            self._begin(call_id, number, outcome.node)
        return outcome

    def stands(self) -> Outcome:
        """Whether what was offered in the request route holds for a branch that a failure route adds.

        A node is not asked: the body of the request is relayed as it was, and a second description in it would make it
        unreadable. What needs an offer of its own gets it in the branch route.
        """
        kept = transaction.read()
        session = self._sessions.of_invite(str(KSR.pv.get("$ci")), kept.number) if kept is not None else None
        node = _serving(self._state.view(), session.binding.set_id) if session is not None else None
        if node is None:
            return Outcome(503, "what was offered for this INVITE has ended: offer in the branch route")
        return Outcome(node=node)

    def reserve(self, call_id: str, hooks: Hooks, *, initial: bool) -> Outcome:
        """Bind a call whose offer comes in a reply, so that its Record-Route can name the node."""
        if not initial:
            return self._reserve_in_dialog(call_id, hooks)
        if self._leave_to_first_pass(call_id, hooks):
            return NOTHING_DUE
        number = ""
        if self._state.binding(call_id) is not None:
            number = new_number()
            transaction.note(transaction.WITHOUT_SDP, number)
        attempt = Attempt(self._state, call_id, hooks.pool(), self._state.view())
        node = attempt.choose()
        if node is None:
            return Outcome(503, f"no media node for this call: {attempt.view.why_none(attempt.pool)}")
        self._begin(call_id, number, node, Kind.RESERVED)
        return Outcome(node=node)

    def tell_if_hidden(self, call_id: str) -> bool:
        """Whether an INVITE or its reply has a session description where it is not looked for, which is told once.

        The module takes it from a body of its own, or from multipart/mixed (RFC 5621).
        """
        if not str(KSR.pv.get("$cT") or "").lower().startswith("multipart/"):
            return False
        if "application/sdp" not in str(KSR.pv.get("$rb") or "").lower():
            return False
        if transaction.tell_once():
            where = inert(KSR.pv.get("$cT"))
            KSR.warn(f"kemi_rtp: call {inert(call_id)} goes on without relayed media: its SDP stands in {where}\n")
        return True

    # --- unusual offers ----------------------------------------------------------------------------------------------

    def _begin_unusual(self, call_id: str, value: str | int | None, hooks: Hooks) -> Outcome:
        """The offer of an INVITE that may have passed here before, or whose Call-ID has media already."""
        if self._leave_to_first_pass(call_id, hooks):
            return NOTHING_DUE
        number = ""
        if value is not None:
            number = new_number()
            transaction.note(transaction.OFFER, number)
        attempt = Attempt(self._state, call_id, hooks.pool(), self._state.view())
        outcome = self._to_chosen(attempt, flags_of(hooks.flags(), call_id, number))
        if outcome.node is not None:
            self._begin(call_id, number, outcome.node)
        return outcome

    def _rebind(self, call_id: str, node: Node | None) -> None:
        """The node that a new call was bound to has not taken it: another one has, or none."""
        if node is None:
            self._sessions.remove(Session(call_id, "", Binding(Kind.OFFERED, NOWHERE)))
        else:
            self._sessions.put(Session(call_id, "", Binding(Kind.OFFERED, node.set_id)))

    def _leave_to_first_pass(self, call_id: str, hooks: Hooks) -> bool:
        """Whether the media of an initial INVITE is relayed already, where it passed this proxy before."""
        if not route.passed_here() or not hooks.relays_once():
            return False
        transaction.forget()
        self._sessions.number_root(call_id)  # so that its requests are looked at closely: which pass they are in
        route.name_none()
        return True

    def _give_up_if_lost(self, view: View, session: Session, hooks: Hooks) -> bool:
        """Whether a call has lost its node and ends with that: it is forgotten then, and deleted there later."""
        binding = session.binding
        if binding.set_id == NOWHERE or _serving(view, binding.set_id) is not None or hooks.keeps_lost_calls():
            return False
        self._sessions.remove(session)
        self._ends.put_off(binding.set_id, session.id)
        return True

    def _begin(self, call_id: str, number: str, node: Node, kind: Kind = Kind.OFFERED) -> None:
        self._sessions.put(Session(call_id, number, Binding(kind, node.set_id)))
        if node.max_calls:
            self._state.count_bound(node)
        route.name_node(node, number)

    def _offer_for(self, attempt: Attempt, session: Session, flags: str) -> Outcome:
        """Offer for a dialog; on another node, where it has to move."""
        outcome, served = self._to_bound_or_moved(attempt, session, flags)
        node = outcome.node
        if node is None:
            return outcome
        binding = replace(served.binding, set_id=node.set_id)
        if not session.is_early:
            binding = in_dialog(binding, Kind.ANSWERED)
        if not self._keep(node, session, replace(served, binding=binding, is_bound=True)):
            return _OVER
        if session.binding.set_id == NOWHERE:
            transaction.note(transaction.NEW, served.number)
        elif served.number:
            transaction.note(transaction.OFFER if KSR.is_INVITE() else transaction.OTHER, served.number)
        return outcome

    def _keep(self, node: Node, before: Session, now: Session) -> bool:
        """Note a session, in place of the one on another node that it was before; that one is deleted there.

        False when a BYE was quicker: what that has deleted is there again, and is deleted once more.
        """
        if before.is_bound and self._state.binding(before.key) is None:
            self._ends.delete(now, "")
            return False
        if now.id != before.id:
            self._sessions.remove(before)
        self._sessions.put(now)
        if node.max_calls and (now.id != before.id or node.set_id != before.binding.set_id):
            self._state.count_bound(node)
        if now.id != before.id:
            self._ends.put_off(before.binding.set_id, before.id)
        return True

    def _reserve_in_dialog(self, call_id: str, hooks: Hooks) -> Outcome:
        """A re-INVITE without SDP: its 2xx brings the offer."""
        session = self._sessions.of_request(call_id)
        if session is None:
            if route.is_elsewhere():
                transaction.forget()
            return NOTHING_DUE
        if session.is_early:
            return NOTHING_DUE
        view = self._state.view()
        if self._give_up_if_lost(view, session, hooks):
            return _LOST
        delayed = in_dialog(session.binding, Kind.DELAYED)
        self._sessions.put(replace(session, binding=delayed, is_bound=True))
        transaction.note(transaction.WITHOUT_SDP, session.number)
        found = view.by_set.get(delayed.set_id)
        return Outcome(node=found[0]) if found is not None else NOTHING_DUE

    def take_back(self) -> None:
        """A re-INVITE without SDP was refused: nobody will answer it."""
        session = self._sessions.of_request(str(KSR.pv.get("$ci")))
        if session is not None and session.binding.kind is Kind.DELAYED and session.is_bound:
            self._sessions.put(replace(session, binding=replace(session.binding, kind=Kind.ANSWERED)))

    # --- which node --------------------------------------------------------------------------------------------------

    def _to_bound_or_moved(self, attempt: Attempt, session: Session, flags: str) -> tuple[Outcome, Session]:
        """Offer on the node that a session is on, and on a chosen one when that one cannot take it.

        On another node it gets another number: there may be an old part of the call that waits for its delete.
        """
        node = _serving(attempt.view, session.binding.set_id)
        outcome = self._to_bound(attempt, node, session.flags(flags)) if node is not None else None
        if outcome is not None:
            return outcome, session
        if session.binding.set_id != NOWHERE and session.is_offered:
            family, dot, _ = session.number.partition(".")
            session = replace(session, number=f"{family if dot else ''}{dot}{new_number()}")
        return self._to_chosen(attempt, session.flags(flags)), session

    def _to_chosen(self, attempt: Attempt, flags: str, first: Node | None = None) -> Outcome:
        """Offer on one node after the other, until one takes it or it is known why none does."""
        command = KSR.rtpengine.rtpengine_offer  # noqa: TID251
        while True:
            node, first = first or attempt.choose(), None
            if node is None:
                if attempt.look_again():
                    continue  # a node may have come back this moment
                break
            reply = self._sending.to_chosen(command, node, flags, attempt.view, attempt)
            if reply is DONE:
                if attempt.refused_by:
                    self._state.cool_down(attempt.refused_by[0], "refused a call that another node accepted")
                return Outcome(node=node)
            if (failure := self._note_failure(attempt, node, reply)) is not None:
                return failure
            if attempt.is_over:
                break
        if attempt.refused_by:
            return _REFUSED
        return Outcome(503, f"no media node for this call: {attempt.view.why_none(attempt.pool)}")

    def _to_bound(self, attempt: Attempt, node: Node, flags: str) -> Outcome | None:
        """Offer on the node that the call is on; None when another one has to be chosen."""
        command = KSR.rtpengine.rtpengine_offer  # noqa: TID251
        reply, _ = self._sending.to_bound(command, node.set_id, flags, WITH_CALLS)
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
                KSR.warn(f"kemi_rtp: {node.name} refused the offer of call {inert(KSR.pv.get('$ci'))}\n")
            elif reply is not WITHDRAWN:  # which says nothing of the node: it went out of service this moment
                self._sending.conclude(node, reply, "offer")
        attempt.look_again()
        return None


def _serving(view: View, set_id: int) -> Node | None:
    """The node of a set, if nodes.yaml still has it and it serves its calls."""
    found = view.by_set.get(set_id)
    return found[0] if found is not None and found[1].serves else None
