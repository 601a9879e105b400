"""Load every module of the mock: each puts its functions, variables and RPC commands into the engine's tables.

All files of these folders are loaded, so that a new one needs no entry anywhere. The engine itself imports none of
them; what they need of it they are handed with each call.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

WINGS = ("pv", "htable", "rtpengine", "textops", "tm", "modules")


def load() -> None:
    """Import the files of all wings."""
    here = Path(__file__).parent
    for wing in WINGS:
        for file in sorted(here.joinpath(wing).glob("*.py")):
            if file.stem != "__init__":
                import_module(f"KSR.mock.{wing}.{file.stem}")
