"""Answers: the SDP of a reply, an ACK or a PRACK goes to the node that has the offer (RFC 3264)."""

from __future__ import annotations

import time
from dataclasses import replace

import KSR
from kemi_rtp.model.binding import ROOT, Binding, Kind, is_tag
from kemi_rtp.model.log import inert
from kemi_rtp.model.nodes import Node
from kemi_rtp.module.commands import DONE, WITHDRAWN, Reply
from kemi_rtp.shm.state.worker import WorkerState
from kemi_rtp.worker import route
from kemi_rtp.worker.outcome import NOTHING_DUE, Outcome
from kemi_rtp.worker.patience import WITH_CALLS
from kemi_rtp.worker.sending import Sending
from kemi_rtp.worker.sessions import LEANS, Session, Sessions, flags_of, in_dialog, new_number, tag_in

_RINGS = 180.0
"""Seconds that a call rings at most: so long after its start a worker looks for those that it has not seen begin."""
_OUT_OF_SERVICE = Outcome(503, "the node that has the offer is out of service")


class Answers:
    """Passes answers on. When the node cannot take one, nothing is sent and the SDP stays as it is."""

    def __init__(self, state: WorkerState, sending: Sending, sessions: Sessions) -> None:
        self._state = state
        self._sending = sending
        self._sessions = sessions
        self._looks_until = time.monotonic() + _RINGS

    def in_reply(self, flags: str, number: str, code: int) -> Outcome:
        """The SDP in a reply to an INVITE that came with an offer, which went to the session of this number or none."""
        state = self._state
        call_id = str(KSR.pv.get("$ci"))
        set_id = state.binding(call_id)
        if number or not isinstance(set_id, int):
            return self._in_unusual_reply(call_id, flags, number, code)
        if code >= 200:  # first: a BYE that is quicker than the node ends it
            from_tag, to_tag = str(KSR.pv.get("$ft")), str(KSR.pv.get("$tt"))
            if not is_tag(to_tag):
                to_tag = tag_in("$tt")
            state.bind_text(call_id, f"={set_id} {from_tag} {to_tag}")
        reply, node = self._sending.to_bound(KSR.rtpengine.rtpengine_answer, set_id, flags, WITH_CALLS)  # noqa: TID251
        if reply is not DONE:
            return self._failure(reply, node)
        return Outcome(node=node)

    def note_dialog(self, number: str) -> None:
        """A 2xx without SDP begins a dialog: what its callee has offered or answered was in a provisional reply."""
        session = self._sessions.of_invite(str(KSR.pv.get("$ci")), number)
        if session is None or session.binding.to_tag:
            return
        binding = session.binding
        waits = binding.kind is Kind.DELAYED and tag_in("$tt") not in binding.settled
        kind = Kind.DELAYED if waits else Kind.ANSWERED
        self._sessions.put(replace(session, binding=in_dialog(binding, kind)))

    def in_other_reply(self, flags: str, number: str) -> Outcome:
        """The SDP in a reply to an UPDATE or PRACK that came with an offer: no dialog begins with it."""
        session = self._sessions.of_invite(str(KSR.pv.get("$ci")), number)
        return self._to(session, flags) if session is not None else NOTHING_DUE

    def in_request(self, call_id: str, flags: str) -> Outcome:
        """The SDP in an ACK or PRACK: the answer to the offer that a reply has brought."""
        session = self._sessions.of_request(call_id)
        if session is None:
            return NOTHING_DUE
        outcome = self._to(session, flags)
        if outcome:
            if session.is_early:
                binding = replace(session.binding, settled=(*session.binding.settled, tag_in("$tt")))
            else:
                binding = in_dialog(session.binding, Kind.ANSWERED)
            self._sessions.put(replace(session, binding=binding, is_bound=True))
        return outcome

    def is_due(self, call_id: str) -> bool:
        """Whether the SDP in the current ACK or PRACK is an answer: it is, unless an INVITE has brought the offer."""
        session = self._sessions.of_request(call_id)
        if session is None or not session.is_bound:
            return True
        return session.binding.kind is Kind.DELAYED and tag_in("$tt") not in session.binding.settled

    def look_at_ack(self) -> None:
        """Tell of a call that was answered while nobody looked: Kamailio has restarted while it rang."""
        if time.monotonic() > self._looks_until:
            return
        if self._state.is_unbound() and route.named() is not None:
            call = inert(KSR.pv.get("$ci"))
            KSR.warn(
                f"kemi_rtp: call {call} goes on without relayed media until its next offer: it was answered while this "
                "proxy did not watch it\n"
            )

    def _in_unusual_reply(self, call_id: str, flags: str, number: str, code: int) -> Outcome:
        session = self._sessions.of_invite(call_id, number)
        if session is None:
            return NOTHING_DUE  # the call has ended meanwhile
        tag = tag_in("$tt")
        binding = session.binding
        if not binding.to_tag:
            if code >= 200:  # first, as above
                self._sessions.put(replace(session, binding=in_dialog(binding, Kind.ANSWERED)))
            return self._to(session, flags)
        if tag in (binding.from_tag, binding.to_tag):
            return self._to(session, flags)  # to a re-INVITE, or once more
        # After a 2xx nothing that another callee still sends may redirect the media.
        return self._second_dialog(session, flags, tag) if code >= 200 else NOTHING_DUE

    def _second_dialog(self, first: Session, flags: str, tag: str) -> Outcome:
        """A second 2xx to one offer, from another callee (RFC 3261, section 13.2.2.4).

        A node sends the caller's media to the callee that answered last. So the second one gets a session of its own
        for that direction, by an offer the other way round; what it sends itself goes to the ports that it was offered.
        """
        call_id = first.call_id
        known = self._sessions.of_callee(call_id, tag)
        number = known.number if known is not None else f"{first.number or ROOT}{LEANS}{new_number()}"
        command = KSR.rtpengine.rtpengine_offer  # noqa: TID251
        marked = flags_of(flags, call_id, number)
        reply, node = self._sending.to_bound(command, first.binding.set_id, marked, WITH_CALLS)
        if reply is not DONE or node is None:
            return self._failure(reply, node)
        self._sessions.put(Session(call_id, number, Binding(Kind.LEANING, node.set_id, first.binding.from_tag, tag)))
        if node.max_calls and known is None:
            self._state.count_bound(node)
        return Outcome(node=node)

    def _to(self, session: Session, flags: str) -> Outcome:
        command = KSR.rtpengine.rtpengine_answer  # noqa: TID251
        reply, node = self._sending.to_bound(command, session.binding.set_id, session.flags(flags), WITH_CALLS)
        return Outcome(node=node) if reply is DONE else self._failure(reply, node)

    def _failure(self, reply: Reply, node: Node | None) -> Outcome:
        if node is None or reply is WITHDRAWN:
            return _OUT_OF_SERVICE
        self._sending.conclude(node, reply, "answer")
        return Outcome(503, f"{node.name} did not take the answer")
