"""The end of a call's media: of a dialog, of an INVITE that failed, of one of its branches. Deletes, or puts off."""

from __future__ import annotations

from dataclasses import replace

import KSR
from kemi_rtp.model.binding import ENDED, Kind
from kemi_rtp.module.commands import DONE, REFUSED
from kemi_rtp.shm.state.worker import WorkerState
from kemi_rtp.worker.outcome import NOTHING_DUE, Outcome
from kemi_rtp.worker.patience import WITH_DELETES
from kemi_rtp.worker.sending import Sending
from kemi_rtp.worker.sessions import LEANS, Session, Sessions


class Ends:
    """Ends the sessions of calls."""

    def __init__(self, state: WorkerState, sending: Sending, sessions: Sessions) -> None:
        self._state = state
        self._sending = sending
        self._sessions = sessions

    def dialog(self, call_id: str, flags: str) -> Outcome:
        """The dialog of the current request is over: a BYE, or a 481 or 408 to what was sent in it.

        Only the dialog's own requests end it: both tags have to be the call's (RFC 3261, section 12.2.2).
        """
        state = self._state
        value = state.binding(call_id)
        if not isinstance(value, str) or value[0] != "=":
            return self._unusual_dialog(call_id, flags)
        set_id, from_tag, to_tag = value[1:].split(" ", 2)
        one, other = KSR.pv.get("$ft"), KSR.pv.get("$tt")
        if not ((one == from_tag and other == to_tag) or (one == to_tag and other == from_tag)):
            return self._unusual_dialog(call_id, flags)
        # First: an offer that is on its way sees that the call is over.
        state.unbind(call_id)
        return self._delete(int(set_id), call_id, f"from-tag={from_tag} {flags}")

    def _unusual_dialog(self, call_id: str, flags: str) -> Outcome:
        session = self._sessions.of_request(call_id)
        if session is None or session.binding.kind is Kind.KEPT:
            return NOTHING_DUE
        if session.is_early:
            return NOTHING_DUE  # an early dialog: what its INVITE's other branches may still answer stays until it ends
        if not session.is_bound:
            # Kamailio has restarted since. Who was the caller is not known, so that a fork's loser may be left by the
            # delete of one party; the timer's is of all.
            outcome = self.delete(session, flags)
            self.put_off(session.binding.set_id, session.id)
            return outcome
        if session.number:
            return self._end_numbered(session, flags)
        self._sessions.remove(session)
        return self.delete(session, flags)

    def invite(self, flags: str, number: str) -> Outcome:
        """The initial INVITE of a transaction has failed, and with it all that was offered for it."""
        call_id = str(KSR.pv.get("$ci"))
        session = self._sessions.of_invite(call_id, number)
        if session is None or session.binding.is_dialog:
            return NOTHING_DUE
        return self.session(session, flags)

    def branches(self, flags: str, base: str) -> Outcome:
        """The same, where each branch has a session of its own."""
        outcome = NOTHING_DUE
        for session in list(self._sessions.all(str(KSR.pv.get("$ci")))):
            if session.number.startswith(f"{base}.") and not session.binding.is_dialog:
                outcome = self.session(session, flags)
        return outcome

    def session(self, session: Session, flags: str) -> Outcome:
        """End one session."""
        self._sessions.remove(session)
        return self.delete(session, flags)

    def _end_numbered(self, session: Session, flags: str) -> Outcome:
        """End a dialog of a call that has, or had, more sessions than one."""
        others = [other for other in self._sessions.all(session.call_id) if other.number != session.number]
        # A branch that has not answered by now has lost, also when its callee never said so.
        branches = f"{session.number.partition('.')[0]}."
        ended = [o for o in others if o.number.startswith(branches) and not o.binding.to_tag]
        if any(other.number.startswith(session.number + LEANS) for other in others):
            self._sessions.put(replace(session, binding=replace(session.binding, kind=Kind.KEPT)))
            outcome = NOTHING_DUE
        else:
            outcome = self.session(session, flags)
            leant_on = session.number.partition(LEANS)[0]
            if not any(other.number.startswith(leant_on + LEANS) for other in others):
                ended += [o for o in others if o.number == leant_on and o.binding.kind is Kind.KEPT]
        for other in ended:
            # By the caller's tag, which is that of all; the request may be of a callee that this one does not know.
            caller = replace(other.binding, from_tag=session.binding.from_tag)
            self.session(replace(other, binding=caller), flags)
        return outcome

    def delete(self, session: Session, flags: str) -> Outcome:
        """Delete a session at its node, which shared memory knows no more."""
        if session.binding.from_tag:
            flags = f"from-tag={session.binding.from_tag} {flags}"
        return self._delete(session.binding.set_id, session.id, session.flags(flags))

    def _delete(self, set_id: int, id: str, flags: str) -> Outcome:
        """Delete what a node has under a call-id, never at the cost of the call's end.

        A delete for a node that is down, disabled or slow is put off: the timer sends it when the node answers. The
        outcome names the node only when it has done it.
        """
        if "delete-delay" not in flags:
            flags = "delete-delay=0 " + flags  # a session that waits for its end would count as a call
        reply, node = self._sending.to_bound(KSR.rtpengine.rtpengine_delete, set_id, flags, WITH_DELETES)  # noqa: TID251
        if node is None:
            return NOTHING_DUE
        if node.max_calls and (reply is DONE or reply is REFUSED):
            self._state.count_ended(node)
        if reply is DONE:
            return Outcome(node=node)
        self._sending.conclude(node, reply, "delete")
        if reply is not REFUSED:
            self.put_off(set_id, id)
        return NOTHING_DUE

    def put_off(self, set_id: int, id: str) -> None:
        """Leave the delete of a session to the timer; no later call of this Call-ID takes it for its own."""
        found = self._state.view().by_set.get(set_id)
        if found is None:
            return
        self._state.defer_delete(found[0], id)
        if self._state.binding(id) is None:
            self._state.bind_text(id, ENDED)
