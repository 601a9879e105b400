"""The module's own habit, `manage` in every route: it does in each what the module's own does."""

# ruff: noqa: E402 - the package must be found first, and fresh

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[3]))
import kemi_rtp

kemi_rtp.forget_modules()
import KSR
from kemi_rtp.routes import Routes, route
from kemi_rtp.worker.outcome import Outcome


class ManagedRoutes(Routes):
    def media(self, *, initial: bool = False) -> Outcome:
        return self.rtp.manage(self.flags(), self.pool())

    def relay(self) -> None:
        if KSR.is_INVITE():
            KSR.tm.t_on_branch_failure("ksr_branch_failure_route")
        super().relay()

    def reply_from_callee(self) -> None:
        self.rtp.manage(self.flags(), self.pool())

    def failure(self) -> None:
        self.rtp.manage(self.flags(), self.pool())

    @route
    def ksr_branch_failure_route(self, event: str = "") -> None:
        self.rtp.manage(self.flags(), self.pool())


def mod_init() -> ManagedRoutes:
    return ManagedRoutes.load()
