"""The timer's duties, each at its own interval; none stops the others."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable

import KSR
from kemi_rtp.files.documents import DocumentError
from kemi_rtp.files.errors import RegistryError
from kemi_rtp.model.log import log
from kemi_rtp.module.rpcs import ModuleError

_FORESEEN = (DocumentError, RegistryError, ModuleError, OSError)
"""What the world does to a duty; anything else is a fault of the duty's own code."""


class Duties:
    """Runs duties when they are due; a fault is told once, until the duty goes well again."""

    def __init__(self) -> None:
        self.due: dict[str, float] = {}
        """When each duty is due next, by name, as time.monotonic()."""
        self._problems = Problems()

    def run(self, name: str, duty: Callable[[], None], *, every: float = 0.0, share: float = 1.0) -> None:
        """Run a duty if it is due: every so many seconds, and for at most the `share` of the timer's time."""
        began = time.monotonic()
        if began < self.due.get(name, 0):
            return
        try:
            duty()
            self._problems.is_over(name)
        except Exception as error:
            where = "" if isinstance(error, _FORESEEN) else "".join(traceback.format_tb(error.__traceback__))
            self._problems.tell(name, f"{name}: {type(error).__name__}: {error}", where=where)
        spent = time.monotonic() - began
        self.due[name] = began + max(every, spent / share if share < 1 else 0)

    def hurry(self, name: str) -> None:
        """Let a duty be due now."""
        self.due.pop(name, None)


class Problems:
    """Logs what lasts once, not at every tick."""

    def __init__(self) -> None:
        self._told: dict[str, str] = {}

    def tell(self, about: str, text: str, level: Callable[[str], object] | None = None, *, where: str = "") -> None:
        """Log a problem, and `where` in the code it is, unless it is the one that was told last."""
        if self._told.get(about) != text:
            self._told[about] = text
            log(level or KSR.err, text + "\n" + where)

    def is_over(self, about: str) -> None:
        """The problem is gone; the next one is told again."""
        self._told.pop(about, None)
