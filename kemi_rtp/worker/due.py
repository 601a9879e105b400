"""What is due for the current SIP message: an offer, an answer, a delete, or nothing."""

from __future__ import annotations

import KSR
from kemi_rtp.model.binding import is_call_id, is_tag
from kemi_rtp.worker import transaction
from kemi_rtp.worker.hooks import Fixed, Hooks
from kemi_rtp.worker.outcome import NO_IDENTITY, NOTHING_DUE, Outcome
from kemi_rtp.worker.relay import Relay
from kemi_rtp.worker.transaction import BRANCHES, NEW, OFFER, OTHER, VARIABLE, WITHOUT_SDP

_METHODS = frozenset({"INVITE", "ACK", "BYE", "PRACK", "UPDATE"})
"""Requests that may bring an offer or answer, or end what was made of them."""


class Due(Relay):
    """The relay that finds out by itself which of its commands the current message calls for."""

    def manage(self, flags: str = "", pool: str = "default", *, reanchor: bool = True) -> Outcome:
        """Do what is due for the current message, whatever the route: the cases of the module's rtpengine_manage().

        `flags`, `pool` and `reanchor` are those of offer().
        """
        hooks = Fixed(flags, pool, reanchor)
        if KSR.siputils.is_reply() > 0:
            return self.reply(hooks)
        if KSR.tmx.t_is_failure_route() > 0:
            return self.failure(flags)
        if KSR.tmx.t_is_request_route() > 0:
            return self.request(hooks, str(KSR.pv.get("$rm")), initial=KSR.siputils.has_totag() < 0)
        return NOTHING_DUE  # one branch has failed; others may still answer

    def request(self, hooks: Hooks, method: str, *, initial: bool) -> Outcome:
        """Do what is due for a request of this method, `initial` or within a dialog, before it is relayed.

        An offer for INVITE and UPDATE with SDP, a node for an INVITE without, a delete for BYE. SDP in an ACK is an
        answer, if the INVITE had none; in a PRACK it is an answer then, and else an offer (RFC 3262, section 5).
        """
        if method not in _METHODS:
            return NOTHING_DUE
        if method != "BYE" and KSR.sdpops.sdp_content() < 0:
            return self._without_sdp(method, hooks, initial=initial)
        call_id = str(KSR.pv.get("$ci"))
        if not is_call_id(call_id):
            return NO_IDENTITY
        if method == "BYE":
            return self._ends.dialog(call_id, hooks.flags())
        if method == "INVITE" and initial:
            if not is_tag(str(KSR.pv.get("$ft"))):
                return NO_IDENTITY
            if hooks.offers_per_branch():
                return self._offers.for_each_branch(call_id, hooks)
            KSR.pv.sets(VARIABLE, OFFER)
            return self._offers.begin(call_id, hooks)
        if method == "INVITE":
            KSR.pv.sets(VARIABLE, OFFER)
        elif method != "UPDATE" and self._answers.is_due(call_id):
            return self._answers.in_request(call_id, hooks.flags())
        elif method == "ACK":
            return NOTHING_DUE
        else:
            KSR.pv.sets(VARIABLE, OTHER)
        return self._offers.in_dialog(call_id, hooks)

    def _without_sdp(self, method: str, hooks: Hooks, *, initial: bool) -> Outcome:
        if method == "ACK":
            self._answers.look_at_ack()
        if method != "INVITE":
            return NOTHING_DUE
        call_id = str(KSR.pv.get("$ci"))
        if not is_call_id(call_id):
            return NO_IDENTITY
        if self._offers.tell_if_hidden(call_id):
            return NOTHING_DUE
        KSR.pv.sets(VARIABLE, WITHOUT_SDP)
        return self._offers.reserve(call_id, hooks, initial=initial)

    def branch(self, hooks: Hooks) -> Outcome:
        """Do what is due in a branch route: an offer where request() has left it to the branches."""
        request = KSR.pv.get(VARIABLE)
        if not isinstance(request, str) or not request.startswith(BRANCHES):
            return NOTHING_DUE
        return self._offers.in_branch(hooks.flags(), hooks.pool())

    def reply(self, hooks: Hooks) -> Outcome:
        """Do what is due for a reply: an answer when the request carried SDP, an offer when it did not."""
        code = int(KSR.pv.get("$rs") or 0)
        if code < 200 and not KSR.pv.get("$cT"):
            return NOTHING_DUE
        request = KSR.pv.get(VARIABLE)
        if not request:
            return NOTHING_DUE
        if code >= 300:
            # Other branches may still answer: the failure route deletes what they share when all have failed.
            kept = transaction.read()
            return self._ends.invite(hooks.flags(), kept.of_branch) if kept and kept.of_branch else NOTHING_DUE
        if KSR.sdpops.sdp_content() < 0:
            self._offers.tell_if_hidden(str(KSR.pv.get("$ci")))
            return self.note_dialog(code)
        if request == OFFER:
            return self._answers.in_reply(hooks.flags(), "", code)
        kept = transaction.read()
        if kept is None or kept.what == OTHER:
            return self._answers.in_other_reply(hooks.flags(), kept.number if kept is not None else "")
        if kept.what == WITHOUT_SDP:
            return self._offers.in_reply(hooks.flags(), hooks.pool(), kept.number, code)
        return self._answers.in_reply(hooks.flags(), kept.of_branch or kept.number, code)

    def failure(self, flags: str = "") -> Outcome:
        """Do what is due in a failure route: what was offered for an initial INVITE ends.

        The failure of a re-INVITE leaves the call as it was (RFC 3261, section 14.1), unless it says that the call is
        gone: 481 or 408 (section 12.2.1.2).
        """
        kept = transaction.read()
        if kept is None:
            return NOTHING_DUE
        if kept.what == NEW or KSR.siputils.has_totag() < 0:
            return self._end_begun(flags, kept)
        if KSR.tm.t_check_status("481|408") > 0:
            return self._ends.dialog(str(KSR.pv.get("$ci")), flags)
        if kept.what == WITHOUT_SDP:
            self._offers.take_back()
        return NOTHING_DUE

    def not_relayed(self, flags: str = "") -> Outcome:
        """Do what is due for a request that could not be relayed: what was offered for an initial INVITE ends."""
        kept = transaction.read()
        if kept is None or (kept.what != NEW and KSR.siputils.has_totag() > 0):
            return NOTHING_DUE
        return self._end_begun(flags, kept)

    def tell_once(self) -> bool:
        """Whether it is still to be told that the media of this transaction cannot be served; not so from now on."""
        return transaction.tell_once()
