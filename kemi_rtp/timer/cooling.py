"""Ends the cooling down of nodes: what a SIP worker began, the timer ends after `cool_down` seconds."""

from __future__ import annotations

import time

from kemi_rtp.model.nodes import Node
from kemi_rtp.model.view import View
from kemi_rtp.shm.state.timer import TimerState


class Cooling:
    """The nodes that cool down, and since when."""

    def __init__(self, state: TimerState) -> None:
        self._state = state
        self._since: dict[Node, float] = {}
        self._view: View | None = None

    def end(self, after: float) -> None:
        """Let those take new calls again that have cooled down for so many seconds."""
        now = time.monotonic()
        view = self._state.view()
        if view is not self._view:  # many nodes, and nothing has changed with any: at nearly every tick
            self._view = view
            cooling = [node for node, _ in view if self._state.cools_down(node)]
            self._since = {node: self._since.get(node, now) for node in cooling}
        for node in [node for node, since in self._since.items() if now - since >= after]:
            del self._since[node]  # when it is full again a moment later, it cools down as long once more
            self._state.end_cool_down(node)
