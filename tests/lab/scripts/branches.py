"""An offer of its own for each branch, with flags of its own: forks in parallel and one after the other.

The header X-Next of the INVITE names destinations to try when all before have refused. A branch to a user whose name
begins with `web` gets RTP/SAVPF, the others RTP/AVP.
"""

# ruff: noqa: E402 - the package must be found first, and fresh

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[3]))
import kemi_rtp

kemi_rtp.forget_modules()
import KSR
from kemi_rtp.routes import Routes, route

NEXT = "$avp(lab_next)"


class BranchRoutes(Routes):
    def offers_per_branch(self) -> bool:
        return True

    def flags(self) -> str:
        profile = "RTP/SAVPF" if str(KSR.pv.get("$rU") or "").startswith("web") else "RTP/AVP"
        return f"{super().flags()} {profile}"

    def find_callee(self) -> None:
        KSR.pv.sets(NEXT, str(KSR.pv.get("$hdr(X-Next)") or ""))
        super().find_callee()

    def relay(self) -> None:
        if KSR.is_INVITE():
            KSR.tm.t_on_branch_failure("ksr_branch_failure_route")
        super().relay()

    def branch_failure(self) -> None:
        """One branch has failed: what is its own ends."""
        self.rtp.delete()

    def failure(self) -> None:
        following, _, rest = str(KSR.pv.get(NEXT) or "").partition(" ")
        if following and KSR.tm.t_is_canceled() < 0:
            KSR.pv.sets(NEXT, rest)
            KSR.seturi(following)
            self.relay()

    @route
    def ksr_branch_failure_route(self, event: str = "") -> None:
        self.branch_failure()


def mod_init() -> BranchRoutes:
    return BranchRoutes.load()
