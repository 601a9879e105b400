"""Calls that have lost their node end."""

# ruff: noqa: E402 - the package must be found first, and fresh

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[3]))
import kemi_rtp

kemi_rtp.forget_modules()
from kemi_rtp.routes import Routes


class EndingRoutes(Routes):
    def keeps_lost_calls(self) -> bool:
        return False


def mod_init() -> EndingRoutes:
    return EndingRoutes.load()
