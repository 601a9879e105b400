"""Other commands of the rtpengine module for a call: an INFO in it names one in its header X-Media, with its flags.

INFO sip:... X-Media: block_media directional
"""

# ruff: noqa: E402 - the package must be found first, and fresh

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[3]))
import kemi_rtp

kemi_rtp.forget_modules()
import KSR
from kemi_rtp.routes import Routes


class CommandRoutes(Routes):
    def in_dialog(self) -> None:
        if KSR.pv.get("$rm") == "INFO" and KSR.rr.loose_route() > 0:
            name, _, flags = str(KSR.pv.get("$hdr(X-Media)")).partition(" ")
            outcome = getattr(self.rtp, name)(flags)
            self.reply(outcome.code, "Done" if outcome else "Not Done")
        super().in_dialog()


def mod_init() -> CommandRoutes:
    return CommandRoutes.load()
