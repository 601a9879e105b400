"""How many calls each node has, by its own word: asked every few seconds of all that are not disabled."""

from __future__ import annotations

import time

from kemi_rtp.model.nodes import Node, Settings
from kemi_rtp.shm.state.timer import TimerState
from kemi_rtp.timer.ng import STATISTICS, Client, sessions_of

INTERVALS = 5
"""A node is asked once in so many intervals of its pings."""


class Counts:
    """Asks the nodes, never waiting, and publishes what they say."""

    def __init__(self, state: TimerState, pinging: Client) -> None:
        self._state = state
        self._client = Client(pinging)
        self._known: dict[Node, int] = {}
        self.due = 0.0
        """When the nodes are asked next, as time.monotonic()."""

    def ask(self, settings: Settings) -> None:
        """Gather what has been answered, and ask again when it is time."""
        replies = self._client.collect()
        late = self._client.overdue(settings.probe_timeout)
        for node, standing in self._state.view() if replies or late else ():
            calls = sessions_of(replies[node.url]) if node.url in replies else None
            if calls is not None and standing.is_pinged:
                self._state.put_calls(node, calls, self._known.get(node, 0))
            elif node.url in late or node.url in replies:
                self._state.forget_calls(node)
        now = time.monotonic()
        if now < self.due:
            return
        self.due = now + INTERVALS * settings.probe_interval
        self._known = {node: self._state.bound(node) for node, _ in self._state.view() if node.max_calls}
        for node, standing in self._state.view():
            if not standing.is_pinged or standing.is_down or self._client.send(node.url, node.address, STATISTICS):
                self._state.forget_calls(node)
