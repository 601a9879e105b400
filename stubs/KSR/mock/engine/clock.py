"""The clock of the mock: stands still until a test advances it."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count

START = 1_700_000_000


class Clock:
    """Seconds since the epoch (`now`) and since Kamailio's start (`ticks`); timers run while it advances."""

    def __init__(self) -> None:
        """Start at a fixed moment."""
        self.now: float = START
        self._timers: list[tuple[float, int, float, Callable[[], None]]] = []
        self._order = count()

    @property
    def seconds(self) -> int:
        """What C's time(NULL) returns."""
        return int(self.now)

    @property
    def ticks(self) -> int:
        """Whole seconds since the start: get_ticks() in Kamailio."""
        return int(self.now - START)

    def every(self, interval: float, run: Callable[[], None]) -> None:
        """Run something each `interval` seconds from now on."""
        if interval <= 0:
            raise ValueError(f"a timer needs an interval above 0, not {interval}")
        heapq.heappush(self._timers, (self.now + interval, next(self._order), interval, run))

    def advance(self, seconds: float) -> None:
        """Let time pass and run the timers that fall due, in order."""
        if seconds < 0:
            raise ValueError(f"time does not run backwards: {seconds}")
        end = self.now + seconds
        while self._timers and self._timers[0][0] <= end:
            due, _, interval, run = heapq.heappop(self._timers)
            self.now = max(self.now, due)
            try:
                run()
            finally:
                # As in core/timer.c: the interval begins when a run has ended, so a slow one never has to catch up.
                heapq.heappush(self._timers, (self.now + interval, next(self._order), interval, run))
        self.now = max(self.now, end)

    def spend(self, seconds: float) -> None:
        """Let time pass inside one call, such as a timeout: timers run later, at the next advance."""
        self.now += seconds
