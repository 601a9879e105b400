"""Serial forking as Routes.failure() says it: the next destination, and on.

The header X-Next of the INVITE names the destinations, each a SIP URI.
"""

# ruff: noqa: E402 - the package must be found first, and fresh

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[3]))
import kemi_rtp

kemi_rtp.forget_modules()
import KSR
from kemi_rtp.routes import Routes

NEXT = "$avp(lab_next)"


class SerialRoutes(Routes):
    def find_callee(self) -> None:
        KSR.pv.sets(NEXT, str(KSR.pv.get("$hdr(X-Next)") or ""))
        super().find_callee()

    def failure(self) -> None:
        following, _, rest = str(KSR.pv.get(NEXT) or "").partition(" ")
        if not following or KSR.tm.t_is_canceled() > 0:
            return
        KSR.pv.sets(NEXT, rest)
        KSR.seturi(following)
        if self.rtp.offer(self.flags(), self.pool()):  # what was offered stands
            self.relay()


def mod_init() -> SerialRoutes:
    return SerialRoutes.load()
