"""What is due for the current SIP message: an offer, an answer, a delete, or nothing."""

from __future__ import annotations

import KSR
from kemi_rtp.worker.outcome import NOTHING_DUE, Outcome
from kemi_rtp.worker.relay import Relay

# Whether the request of this transaction had SDP, for its replies: "offer" or "none"; unset: not ours.
_REQUEST = "$avp(kemi_rtp_request)"


class Due(Relay):
    """The relay that finds out by itself which of its commands the current message calls for.

    `flags`, `pool` and `reanchor` are those of its commands.
    """

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
                return self.offer_and_name(flags, pool, reanchor=reanchor)
            KSR.pv.sets(_REQUEST, "none")
            return self.reserve(pool) if method == "INVITE" else NOTHING_DUE
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
        return self.offer_and_name(flags, pool) if request == "none" else self.answer(flags)

    def failure(self, flags: str = "") -> Outcome:
        """Do what is due in a failure route: a delete for an initial INVITE.

        The failure of a re-INVITE leaves the call as it was (RFC 3261, section 14.1).
        """
        initial = KSR.pv.get("$rm") == "INVITE" and KSR.siputils.has_totag() < 0
        return self.delete(flags) if initial else NOTHING_DUE
