"""The standing of all nodes at one moment, and the choice among them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from kemi_rtp.model.nodes import Node, Settings
from kemi_rtp.model.selection import Pool
from kemi_rtp.model.standing import Standing

MAX_TOLD = 4
"""Nodes that a reason names at most: it travels in a SIP header."""
_DEFAULTS = Settings()


class View:
    """The standing of all nodes at one generation, and the choice among them."""

    def __init__(
        self,
        generation: object,
        standings: Mapping[Node, Standing],
        settings: Settings = _DEFAULTS,
        *,
        stale: bool = False,
    ) -> None:
        self.generation = generation
        self.settings = settings
        self.stale = stale
        # Whether time alone can change it: without the timer, a node is neither down, cooling, slow nor full for ever.
        self.ages = stale or any(s.slow or s.full or s.is_down or s.last_resort for s in standings.values())
        self.by_set = {node.set_id: (node, standing) for node, standing in standings.items()}
        """Each node with its standing, by the set that holds it; a node that nodes.yaml has not is not there."""
        members: dict[str, list[tuple[Node, Standing]]] = {}
        for node, standing in standings.items():
            members.setdefault(node.pool, []).append((node, standing))
        self.pools = {pool: Pool(nodes) for pool, nodes in members.items()}
        """The pools by name."""

    def __iter__(self) -> Iterator[tuple[Node, Standing]]:
        return iter(self.by_set.values())

    def choose(self, pool: str, call_id: str, excluded: Collection[int] = ()) -> Node | None:
        """The node for a new call; None when the pool has none that may take it, or there is no such pool."""
        candidates = self.pools.get(pool)
        return candidates.choose(call_id, excluded) if candidates is not None else None

    def why_none(self, pool: str) -> str:
        """Why a pool has no node for a new call, for people."""
        reasons = [f"{node.name} {standing.reason}" for node, standing in self if node.pool == pool]
        if not reasons:
            return f"there is no pool {pool!r} in nodes.yaml"
        more = [f"and {len(reasons) - MAX_TOLD} more"] if len(reasons) > MAX_TOLD else []
        return "; ".join(reasons[:MAX_TOLD] + more)
