"""What the replies and failures of an INVITE must know of it: whether it had SDP, and in which session it was offered.

It is an AVP of its transaction. Unset: its media is not dealt with here.
"""

from __future__ import annotations

from typing import NamedTuple

import KSR

VARIABLE = "$avp(kemi_rtp_request)"
_TOLD = "$avp(kemi_rtp_told)"
OFFER = "offer"
"""The INVITE had SDP, and is offered in a usual call's session."""
WITHOUT_SDP = "without"
"""It had none: its replies bring the offer."""
OTHER = "other"
"""It is an UPDATE or PRACK with an offer, within a dialog."""
NEW = "new"
"""It is within a dialog that nobody here knows of: what was offered is its own, and ends when it fails."""
BRANCHES = "branches"
"""Each branch of the INVITE has an offer of its own."""


class Kept(NamedTuple):
    """What was noted; `number` is that of the session, or what the numbers of the branches begin with."""

    what: str
    number: str

    @property
    def of_branch(self) -> str:
        """The number of the current branch's own session; empty when it has none."""
        return f"{self.number}.{KSR.pv.get('$T_branch_idx')}" if self.what == BRANCHES else ""


def read() -> Kept | None:
    """What was noted; None when nothing was."""
    value = KSR.pv.get(VARIABLE)
    if not value:
        return None
    what, _, number = str(value).partition(" ")
    return Kept(what, number)


def note(what: str, number: str) -> Kept:
    """What an unusual request is, and the number of its session. (For a usual call's VARIABLE is set to it at once.)"""
    KSR.pv.sets(VARIABLE, f"{what} {number}" if number else what)
    return Kept(what, number)


def forget() -> None:
    """The media of this INVITE is not dealt with here."""
    KSR.pv.sets(VARIABLE, "")


def tell_once() -> bool:
    """True when it is asked for the first time for this transaction, which is noted."""
    told = bool(KSR.pv.get(_TOLD))
    if not told:
        KSR.pv.sets(_TOLD, "yes")
    return not told
