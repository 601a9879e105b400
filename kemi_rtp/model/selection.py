"""Choosing a node for a Call-ID: weighted, the same for the same Call-ID, O(log n).

Only nodes that may take a new call can be chosen: a node that is down, draining, disabled or cooling down is left out
when the pool is made.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable
from hashlib import blake2b
from itertools import accumulate

from kemi_rtp.model.nodes import Node
from kemi_rtp.model.standing import Standing

_DRAWS = 16
_SALTS = tuple(b"%d" % draw for draw in range(_DRAWS + 1))


class Tier:
    """Nodes of equal preference; those of weight 0 serve only when no other can."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        ordered = sorted(nodes, key=lambda node: node.set_id)
        self._nodes = [node for node in ordered if node.weight > 0]
        self._bounds = list(accumulate(node.weight for node in self._nodes))
        self._spare = [node for node in ordered if node.weight == 0]

    def choose(self, call_id: str, excluded: Collection[int]) -> Node | None:
        """The node for a Call-ID whose set id is not in `excluded`; None when there is none."""
        if self._bounds:
            if not excluded:
                return _pick(self._nodes, self._bounds, call_id, 0)
            # Drawing again with another salt shares the calls of an excluded node among the others by weight.
            for draw in range(_DRAWS):
                node = _pick(self._nodes, self._bounds, call_id, draw)
                if node.set_id not in excluded:
                    return node
        for group in (self._nodes, self._spare):
            left = [node for node in group if node.set_id not in excluded]
            if left:
                return _pick(left, list(accumulate(node.weight or 1 for node in left)), call_id, _DRAWS)
        return None


class Pool:
    """The nodes of a pool that may take a new call, best tier first; in each tier, those that answer late come last.

    A pool without any such node falls back on those that are a last resort.
    """

    def __init__(self, members: Iterable[tuple[Node, Standing]]) -> None:
        members = list(members)
        candidates = [(node, standing) for node, standing in members if standing.routable]
        candidates = candidates or [(node, standing) for node, standing in members if standing.last_resort]
        by_tier: dict[tuple[int, bool], list[Node]] = {}
        for node, standing in candidates:
            by_tier.setdefault((node.tier, standing.slow), []).append(node)
        self._tiers = [Tier(by_tier[number]) for number in sorted(by_tier)]

    def choose(self, call_id: str, excluded: Collection[int] = ()) -> Node | None:
        """The node for a Call-ID in the best tier that has one whose set id is not in `excluded`."""
        for tier in self._tiers:
            if (node := tier.choose(call_id, excluded)) is not None:
                return node
        return None


def _pick(nodes: list[Node], bounds: list[int], call_id: str, draw: int) -> Node:
    """The node that follows from the Call-ID and the draw, in every process and on every machine."""
    digest = blake2b(call_id.encode("utf-8", "surrogateescape"), digest_size=8, salt=_SALTS[draw]).digest()
    return nodes[bisect_right(bounds, int.from_bytes(digest, "big") * bounds[-1] >> 64)]
