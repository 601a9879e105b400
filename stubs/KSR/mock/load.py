"""Load every module of the mock: each puts its functions, variables and RPC commands into the engine's tables.

All files of these folders are loaded, so that a new one needs no entry anywhere. The engine itself imports none of
them; what they need of it they are handed with each call.
"""

from __future__ import annotations

import os
from importlib import import_module

WINGS = ("pv", "htable", "rtpengine", "textops", "tm", "modules")


def load() -> None:
    """Import the files of all wings."""
    here = os.path.dirname(__file__)
    for wing in WINGS:
        for file in sorted(os.listdir(os.path.join(here, wing))):
            name, _, kind = file.partition(".")
            if kind == "py" and name != "__init__":
                import_module(f"KSR.mock.{wing}.{name}")
