"""The media commands for the current SIP message, as a script calls them."""

from __future__ import annotations

import KSR
from kemi_rtp.model.binding import is_call_id
from kemi_rtp.module.commands import DONE, Command
from kemi_rtp.shm.state.worker import WorkerState
from kemi_rtp.worker import transaction
from kemi_rtp.worker.answers import Answers
from kemi_rtp.worker.ends import Ends
from kemi_rtp.worker.hooks import Fixed
from kemi_rtp.worker.offers import Offers
from kemi_rtp.worker.outcome import NO_IDENTITY, NOTHING_DUE, Outcome
from kemi_rtp.worker.patience import WITH_CALLS
from kemi_rtp.worker.sending import Sending
from kemi_rtp.worker.sessions import Session, Sessions


class Relay:
    """The media commands of one worker. `flags` are the rtpengine module's own, passed through as they are."""

    def __init__(self, state: WorkerState) -> None:
        self.state = state
        self._sending = Sending(state)
        self._sessions = Sessions(state)
        self._ends = Ends(state, self._sending, self._sessions)
        self._offers = Offers(state, self._sending, self._sessions, self._ends)
        self._answers = Answers(state, self._sending, self._sessions)

    def offer(self, flags: str = "", pool: str = "default", *, reanchor: bool = True) -> Outcome:
        """Offer the SDP of the current message on the node of its call, or on one chosen for it from `pool`.

        Without `reanchor` a call that has lost its node gets 481, which ends it (RFC 3261, section 12.2.1.2). 488 when
        two nodes refuse the offer, 503 when no node can take the call.

        In a branch route the branch gets a session of its own, which its own replies answer and end. In a failure
        route nothing is sent: what was offered in the request route holds for the next branch too, if it stands.
        """
        if KSR.tmx.t_is_branch_route() > 0:
            return self._offers.in_branch(flags, pool)
        if KSR.tmx.t_is_failure_route() > 0:
            return self._offers.stands()
        call_id, hooks = str(KSR.pv.get("$ci")), Fixed(flags, pool, reanchor)
        if not is_call_id(call_id):
            return NO_IDENTITY
        KSR.pv.sets(transaction.VARIABLE, transaction.OFFER if KSR.is_INVITE() else transaction.OTHER)
        if KSR.siputils.has_totag() > 0:
            return self._offers.in_dialog(call_id, hooks)
        return self._offers.begin(call_id, hooks)

    def answer(self, flags: str = "") -> Outcome:
        """Pass the SDP answer in the current message to the node that has the offer.

        When that node is disabled or down, or keeps enough workers waiting in vain, nothing is sent and the SDP stays
        as it is. To be called for replies without SDP too: a 2xx makes a dialog.
        """
        if KSR.siputils.is_reply() < 0:
            return self._answers.in_request(str(KSR.pv.get("$ci")), flags)
        kept = transaction.read()
        code = int(KSR.pv.get("$rs") or 0)
        if code >= 300:
            return NOTHING_DUE
        if KSR.sdpops.sdp_content() < 0:
            return self.note_dialog(code)
        return self._answers.in_reply(flags, kept.of_branch or kept.number if kept else "", code)

    def note_dialog(self, code: int) -> Outcome:
        """A reply without SDP: a 2xx makes a dialog all the same, whose answer was in a reliable 1xx (RFC 3262)."""
        kept = transaction.read()
        if kept is not None and kept.what not in (transaction.OTHER, transaction.NEW) and 200 <= code < 300:
            self._answers.note_dialog(kept.of_branch or kept.number)
        return NOTHING_DUE

    def delete(self, flags: str = "") -> Outcome:
        """End what the current message ends, never at the cost of the call's end.

        A BYE ends its dialog, an INVITE in a failure route what was offered for it, in a reply or branch-failure route
        what its branch has of its own. A CANCEL ends nothing: the INVITE's final reply decides (RFC 3261, section 9.2).
        A delete for a node that is down, disabled or slow is put off: the timer sends it when the node answers.
        """
        if KSR.pv.get("$rm") == "CANCEL":
            return NOTHING_DUE
        if KSR.siputils.is_reply() < 0 and KSR.siputils.has_totag() > 0:
            return self._ends.dialog(str(KSR.pv.get("$ci")), flags)
        kept = transaction.read()
        if kept is None:
            return NOTHING_DUE
        if KSR.tmx.t_is_failure_route() > 0 or KSR.tmx.t_is_request_route() > 0:
            return self._end_begun(flags, kept)
        return self._ends.invite(flags, kept.of_branch) if kept.of_branch else NOTHING_DUE

    def _end_begun(self, flags: str, kept: transaction.Kept) -> Outcome:
        """The current request has failed: what was begun for it ends."""
        if kept.what == transaction.NEW:
            session = self._sessions.of_invite(str(KSR.pv.get("$ci")), kept.number)
            return self._ends.session(session, flags) if session is not None else NOTHING_DUE
        if kept.what == transaction.BRANCHES:
            return self._ends.branches(flags, kept.number)
        return self._ends.invite(flags, kept.number)

    # --- other commands of the module --------------------------------------------------------------------------------

    def command(self, name: str, flags: str = "") -> Outcome:
        """Any other function of KSR.rtpengine that takes flags or nothing, on the node of the current call.

        The same rules hold as for an offer: nothing is sent to a node that is disabled, down or gone. 481 when the
        call has no media here, 503 when its node cannot be asked or has not done it.
        """
        session = self._session()
        if session is None:
            return Outcome(481, "this call has no media here")
        function = getattr(KSR.rtpengine, name, None)
        if function is None:
            return Outcome(501, f"this Kamailio's rtpengine module has no {name} for scripts")

        takes_none = name in _WITHOUT_FLAGS
        if takes_none and flags:
            return Outcome(501, f"the module's {name} takes no flags from a script")
        if takes_none and session.id != session.call_id:
            return Outcome(501, f"the module's {name} knows a call by its Call-ID only, and this one has more sessions")
        send: Command = (lambda _: int(function())) if takes_none else function
        reply, node = self._sending.to_bound(send, session.binding.set_id, session.flags(flags), WITH_CALLS)
        if reply is DONE:
            return Outcome(node=node)
        if node is not None:
            self._sending.conclude(node, reply, name)
        return Outcome(503, f"{node.name if node else 'its node'} did not do {name}")

    def _session(self) -> Session | None:
        """The session that the current message is about."""
        call_id = str(KSR.pv.get("$ci"))
        if KSR.siputils.has_totag() > 0 and KSR.siputils.is_request() > 0:
            return self._sessions.of_request(call_id)
        kept = transaction.read()
        return self._sessions.of_invite(call_id, kept.of_branch or kept.number if kept else "")

    def query(self, flags: str = "") -> Outcome:
        """rtpengine_query(): what the node says of the call, in the module's own variables."""
        return self.command("rtpengine_query", flags)

    def start_recording(self, flags: str = "") -> Outcome:
        """start_recording(): it takes no flags from a script."""
        return self.command("start_recording", flags)

    def stop_recording(self, flags: str = "") -> Outcome:
        """stop_recording(): it takes no flags from a script."""
        return self.command("stop_recording", flags)

    def start_forwarding(self, flags: str = "") -> Outcome:
        """start_forwarding(): from Kamailio 6.1 on."""
        return self.command("start_forwarding", flags)

    def stop_forwarding(self, flags: str = "") -> Outcome:
        """stop_forwarding(): from Kamailio 6.1 on."""
        return self.command("stop_forwarding", flags)

    def play_media(self, flags: str) -> Outcome:
        """play_media(): `file=...` or as the module's documentation says."""
        return self.command("play_media", flags)

    def stop_media(self, flags: str = "") -> Outcome:
        """stop_media()."""
        return self.command("stop_media", flags)

    def block_media(self, flags: str = "") -> Outcome:
        """block_media()."""
        return self.command("block_media", flags)

    def unblock_media(self, flags: str = "") -> Outcome:
        """unblock_media()."""
        return self.command("unblock_media", flags)

    def silence_media(self, flags: str = "") -> Outcome:
        """silence_media()."""
        return self.command("silence_media", flags)

    def unsilence_media(self, flags: str = "") -> Outcome:
        """unsilence_media()."""
        return self.command("unsilence_media", flags)

    def block_dtmf(self, flags: str = "") -> Outcome:
        """block_dtmf()."""
        return self.command("block_dtmf", flags)

    def unblock_dtmf(self, flags: str = "") -> Outcome:
        """unblock_dtmf()."""
        return self.command("unblock_dtmf", flags)


_WITHOUT_FLAGS = ("start_recording", "stop_recording")
"""Functions of the module that take no flags, and so no call-id of a numbered session."""
