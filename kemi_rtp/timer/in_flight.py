"""Tells the operator's commands when no worker sends to a node any more as it was before a change."""

from __future__ import annotations

import time

from kemi_rtp.model.view import View
from kemi_rtp.shm import places
from kemi_rtp.shm.state.timer import TimerState

_PAUSES, _PAUSE = 10, 0.001
"""How often, and how many seconds, a tick waits for commands that are in flight at a change."""


class InFlight:
    """Which commands in flight may have begun before the last change was published."""

    def __init__(self, state: TimerState) -> None:
        self._state = state
        self._older: frozenset[tuple[int, int, int]] = frozenset()
        self._than: View | None = None

    def tell(self) -> None:
        """Publish it, when it has changed."""
        view = self._state.view()
        changed = view is not self._than
        if not changed and not self._older:
            return
        older = places.in_flight() if changed else self._older & places.in_flight()
        for _ in range(_PAUSES if changed else 0):  # most commands end within a millisecond
            if not older:
                break
            time.sleep(_PAUSE)
            older &= places.in_flight()
        self._state.publish_in_flight({set_id for _, set_id, _ in older})
        self._than, self._older = view, older
