"""Choosing a node for a Call-ID: by weight, the same for the same Call-ID, at a cost that a call does not notice.

Only nodes that may take a new call can be chosen. What is chosen is drawn among all nodes of the tier, by weight, until
one is drawn that may take the call: so the calls of a node that is taken out are shared by weight among all the others,
and no other call moves.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable
from hashlib import blake2b
from itertools import accumulate
from math import log

from kemi_rtp.model.nodes import Node
from kemi_rtp.model.standing import Standing

_DRAWS = 8
"""Draws in one digest of 64 bytes."""
_DIGESTS = 2
Usable = Callable[[Standing], bool]
"""Whether a node of this standing may take the call."""

_SALTS = tuple(b"%d" % number for number in range(_DIGESTS))
_FIRST = _SALTS[0]


class Tier:
    """The nodes of one tier. Of the `usable` those that answer in time come first, then the slow ones.

    Nodes of weight 0 serve only when no other of the tier can.
    """

    def __init__(self, members: Iterable[tuple[Node, Standing]], usable: Usable) -> None:
        ordered = sorted(members, key=lambda member: member[0].set_id)
        self._nodes = [node for node, _ in ordered if node.weight > 0]
        self._bounds = list(accumulate(node.weight for node in self._nodes))
        able = [(node, standing) for node, standing in ordered if usable(standing)]
        prompt = [node for node, standing in able if not standing.slow and node.weight > 0]
        slow = [node for node, standing in able if standing.slow and node.weight > 0]
        spare = [node for node, _ in able if node.weight == 0]
        self._groups = [(nodes, frozenset(node.set_id for node in nodes)) for nodes in (prompt, slow, spare) if nodes]
        self._all_prompt = len(prompt) == len(self._nodes) > 0

    def choose(self, call_id: str, excluded: Collection[int]) -> Node | None:
        """The node for a Call-ID whose set id is not in `excluded`; None when there is none."""
        data = call_id.encode("utf-8", "surrogateescape")
        if self._all_prompt and not excluded:  # as nearly always: the first draw, at once
            number = int.from_bytes(blake2b(data, salt=_FIRST).digest()[:8], "big")
            return self._nodes[bisect_right(self._bounds, number * self._bounds[-1] >> 64)]
        for nodes, set_ids in self._groups:
            if not set_ids.issubset(excluded) and (node := self._among(nodes, set_ids, data, excluded)) is not None:
                return node
        return None

    def _among(self, nodes: list[Node], set_ids: frozenset[int], data: bytes, excluded: Collection[int]) -> Node | None:
        if nodes[0].weight:
            for salt in _SALTS:
                digest = blake2b(data, salt=salt).digest()
                for draw in range(_DRAWS):
                    node = self._drawn(int.from_bytes(digest[8 * draw : 8 * draw + 8], "big"))
                    if node.set_id in set_ids and node.set_id not in excluded:
                        return node
        # Few of many are left: the highest of their own draws for this Call-ID (weighted rendezvous hashing).
        left = [node for node in nodes if node.set_id not in excluded]
        return max(left, key=lambda node: _score(node, data), default=None)

    def _drawn(self, number: int) -> Node:
        """The node at a 64-bit number, among all of the tier."""
        return self._nodes[bisect_right(self._bounds, number * self._bounds[-1] >> 64)]


class Pool:
    """The nodes of a pool that may take a new call, best tier first.

    A pool without any node that is routable falls back on those that are a last resort.
    """

    def __init__(self, members: Iterable[tuple[Node, Standing]]) -> None:
        by_tier: dict[int, list[tuple[Node, Standing]]] = {}
        for node, standing in members:
            by_tier.setdefault(node.tier, []).append((node, standing))
        routable = any(standing.routable for tier in by_tier.values() for _, standing in tier)
        usable = _is_routable if routable else _is_last_resort
        self._tiers = [Tier(by_tier[number], usable) for number in sorted(by_tier)]

    def choose(self, call_id: str, excluded: Collection[int] = ()) -> Node | None:
        """The node for a Call-ID in the best tier that has one whose set id is not in `excluded`."""
        for tier in self._tiers:
            if (node := tier.choose(call_id, excluded)) is not None:
                return node
        return None


def _is_routable(standing: Standing) -> bool:
    return standing.routable


def _is_last_resort(standing: Standing) -> bool:
    return standing.last_resort


def _score(node: Node, data: bytes) -> float:
    """A node's own draw for a Call-ID: the one with the highest is chosen, in proportion to the weights."""
    digest = blake2b(data, digest_size=8, salt=b"%x" % node.set_id).digest()
    return -(node.weight or 1) / log((int.from_bytes(digest, "big") + 1) / (2**64 + 1))
