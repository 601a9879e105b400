"""The search of one offer for a node that takes it: which nodes it has been to, and which one is next."""

from __future__ import annotations

from kemi_rtp.model.nodes import Node
from kemi_rtp.model.standing import Standing
from kemi_rtp.model.view import View
from kemi_rtp.shm.state.worker import WorkerState
from kemi_rtp.worker.patience import PROMPT_MS, SLOW_MS, UNLIMITED

MAX_NODES = 3
"""Nodes that one offer is tried on at most."""
MAX_REFUSALS = 2
"""Nodes that may refuse an offer before the fault is taken to be the offer's own."""


class Attempt:
    """One offer under way. It is the Patience of a new call too: where to go instead decides how long it waits."""

    refused_by: tuple[Node, ...] = ()
    _tried = 0
    _excluded: frozenset[int] = frozenset()
    """Set ids of the nodes that the offer does not go to any more."""
    _busy: frozenset[int] = frozenset()

    def __init__(self, state: WorkerState, call_id: str, pool: str, view: View) -> None:
        self.view = view
        """What the next node is chosen from."""
        self.workers = view.settings.max_waiting
        self.pool = pool
        self._state = state
        self._call_id = call_id

    @property
    def is_over(self) -> bool:
        """Whether enough nodes have been asked."""
        return self._tried == MAX_NODES or len(self.refused_by) == MAX_REFUSALS

    def choose(self) -> Node | None:
        """The next node to try: one that was not tried and is not full, and not one that is busy if possible."""
        pool = self.view.pools.get(self.pool)
        if pool is None:
            return None
        while (node := pool.choose(self._call_id, self._excluded)) is not None:
            if not node.max_calls or not self._state.find_full(node):
                return node
            self._excluded |= {node.set_id}
        # All that are left are busy: better wait for one that is up than refuse the call.
        if self._busy and self.workers != UNLIMITED:
            self.workers = UNLIMITED
            self._excluded -= self._busy
            return self.choose()
        return None

    def look_again(self) -> bool:
        """Go by the newest view from now on; whether it is another one than before."""
        before, self.view = self.view, self._state.view()
        return self.view is not before

    def note_tried(self, node: Node) -> None:
        """The node was asked in vain, or is out of service by now."""
        self._tried += 1
        self._excluded |= {node.set_id}

    def note_busy(self, node: Node) -> None:
        """The node keeps enough workers waiting: it comes last."""
        self._busy |= {node.set_id}
        self._excluded |= {node.set_id}

    def has_ended(self, state: WorkerState, view: View, node: Node, standing: Standing) -> bool:
        """A node is left at once when it is known to be slow, and sooner for another of its tier than for a backup."""
        if standing.slow:
            return True
        other = view.choose(node.pool, "", self._excluded | {node.set_id})
        limit = PROMPT_MS if other is not None and other.tier == node.tier else SLOW_MS
        return state.silent_for(node.set_id) > limit
