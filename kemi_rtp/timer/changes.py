"""Tells the script's on_node_changes() which nodes have changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kemi_rtp.model.nodes import Node
from kemi_rtp.model.standing import Standing
from kemi_rtp.model.view import View
from kemi_rtp.shm.state.timer import TimerState


@dataclass(frozen=True, slots=True)
class NodeChange:
    """A node whose admin state or health has changed, with its standing before and after."""

    node: Node
    before: Standing
    after: Standing

    def __str__(self) -> str:
        words = [str(self.after.admin)] if self.after.admin is not self.before.admin else []
        words += [str(self.after.health)] if self.after.health is not self.before.health else []
        return f"{self.node.name} ({self.node.url}) is {self.after.reason or ' and '.join(words)}"


OnChanges = Callable[[list[NodeChange]], object]


class Changes:
    """Compares each view with the one before."""

    def __init__(self, state: TimerState, on_changes: OnChanges) -> None:
        self._state = state
        self._on_changes = on_changes
        self._view: View | None = None
        self._standings: dict[Node, Standing] = {}

    def tell(self) -> None:
        """Tell what has changed since the last time, all at once."""
        view = self._state.view()
        if view is self._view:
            return
        before, now = self._standings, dict(view)
        self._view, self._standings = view, now
        changes = [
            NodeChange(node, before[node], standing)
            for node, standing in now.items()
            if node in before and (before[node].admin, before[node].health) != (standing.admin, standing.health)
        ]
        if changes:
            self._on_changes(changes)
