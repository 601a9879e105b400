"""Choosing a node for a Call-ID: by weight, the same every time, at a cost that nodes do not change."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import kemi_rtp
from kemi_rtp.model.admin import AdminState, Entry
from kemi_rtp.model.nodes import Node
from kemi_rtp.model.selection import Pool
from kemi_rtp.model.standing import derive
from tests.unit import strategies
from tests.unit.strategies import modest

CALLS = [f"{number:x}-call@192.0.2.{number % 250}" for number in range(100_000)]
# 99.9 % quantiles of the chi-square distribution, by degrees of freedom. The Call-IDs are fixed: no run is unlucky.
CRITICAL = {1: 10.828, 2: 13.816, 3: 16.266, 4: 18.467, 9: 27.877}


def nodes_of(*weights: int, tier: int = 0, first: int = 1) -> list[Node]:
    """Nodes with sets 1, 2, ... and these weights."""
    return [
        Node(f"n{number}", f"udp:192.0.2.{number}:2223", "default", weight, tier, number)
        for number, weight in enumerate(weights, first)
    ]


def pool_of(nodes: Iterable[Node]) -> Pool:
    """A pool of nodes that may all take a call."""
    return Pool((node, derive((), datetime.min)) for node in nodes)


def assert_shares(
    pool: Pool, shares: Mapping[int, int], excluded: Collection[int] = (), calls: list[str] = CALLS
) -> None:
    """The calls go to these sets, and in these shares as far as chance allows."""
    counts = Counter(node.set_id for call_id in calls if (node := pool.choose(call_id, excluded)))
    assert counts.keys() == shares.keys()
    total = sum(shares.values())
    expected = {set_id: len(calls) * share / total for set_id, share in shares.items()}
    chi_square = sum((counts[set_id] - expected[set_id]) ** 2 / expected[set_id] for set_id in shares)
    assert chi_square < CRITICAL[len(shares) - 1], counts


@pytest.mark.parametrize("weights", [(1, 1), (10, 1), (1, 2, 3, 4), (5, 5, 0, 7, 90, 1)])
def test_calls_are_shared_by_weight(weights: tuple[int, ...]) -> None:
    assert_shares(pool_of(nodes_of(*weights)), {number: weight for number, weight in enumerate(weights, 1) if weight})


@pytest.mark.parametrize(("weights", "excluded"), [((1, 1, 1), {2}), ((2, 1, 3, 4), {1}), ((1, 1, 2, 3, 4), {1, 5})])
def test_the_calls_of_an_excluded_node_are_shared_by_weight_among_the_others(
    weights: tuple[int, ...], excluded: set[int]
) -> None:
    """Looked at over the calls of that node alone, so that those of the others do not hide them."""
    pool = pool_of(nodes_of(*weights))
    displaced = [call_id for call_id in CALLS if (node := pool.choose(call_id)) and node.set_id in excluded]
    left = {number: weight for number, weight in enumerate(weights, 1) if number not in excluded}
    assert_shares(pool, left, excluded, displaced)


def test_the_calls_of_a_heavy_node_that_is_excluded_are_shared_by_weight_too() -> None:
    """A node that takes nearly every call hands nearly every call over: 1 to 9, and not half and half."""
    assert_shares(pool_of(nodes_of(1_000_000, 1, 9)), {2: 1, 3: 9}, {1}, CALLS[:20_000])


def test_a_call_keeps_its_node_when_another_node_is_excluded() -> None:
    pool = pool_of(nodes_of(1, 2, 3))
    for call_id in CALLS[:1000]:
        node = pool.choose(call_id)
        assert node is not None
        assert pool.choose(call_id, {node.set_id % 3 + 1}) == node


@pytest.mark.parametrize(("weights", "out"), [((1, 1, 1), {2}), ((2, 1, 3, 4), {1}), ((1, 1, 2, 3, 4), {1, 5})])
def test_the_calls_of_a_disabled_node_are_shared_by_weight_and_no_other_call_moves(
    weights: tuple[int, ...], out: set[int]
) -> None:
    nodes = nodes_of(*weights)
    disabled = (Entry("n", AdminState.DISABLED),)
    before = pool_of(nodes)
    after = Pool((node, derive(disabled if node.set_id in out else (), datetime.min)) for node in nodes)
    displaced = []
    for call_id in CALLS[:30_000]:
        first, then = before.choose(call_id), after.choose(call_id)
        assert first is not None
        if first.set_id in out:
            displaced.append(call_id)
        else:
            assert then == first
    left = {number: weight for number, weight in enumerate(weights, 1) if number not in out}
    assert_shares(after, left, calls=displaced)


pools = strategies.node_lists(max_size=6)


@given(pools, st.text(max_size=30))
@modest(80)
def test_the_same_call_id_gets_the_same_node_in_whatever_order_the_nodes_are_written(
    nodes: list[Node], call_id: str
) -> None:
    assert pool_of(nodes).choose(call_id) == pool_of(nodes).choose(call_id) == pool_of(reversed(nodes)).choose(call_id)


def test_the_same_call_id_gets_the_same_node_in_every_process() -> None:
    """Python's own hash() differs from process to process; SIP workers are processes."""
    program = (
        "import json, sys\nfrom datetime import datetime\nfrom kemi_rtp.model.nodes import Node\n"
        "from kemi_rtp.model.selection import Pool\nfrom kemi_rtp.model.standing import derive\n"
        "nodes = [Node(f'n{n}', f'udp:192.0.2.{n}:2223', 'default', n, 0, n) for n in range(1, 8)]\n"
        "pool = Pool((node, derive((), datetime.min)) for node in nodes)\n"
        "print(json.dumps([pool.choose(c, {3}).set_id for c in json.load(sys.stdin)]))\n"
    )
    calls = CALLS[:200]
    environment = os.environ | {"PYTHONPATH": str(Path(kemi_rtp.__file__).parent.parent), "PYTHONHASHSEED": "12345"}
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=json.dumps(calls),
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    pool = pool_of(nodes_of(*range(1, 8)))
    assert json.loads(done.stdout) == [node.set_id for call in calls if (node := pool.choose(call, {3}))]


@given(pools, st.text(max_size=30), st.data())
@modest(150)
def test_the_choice_is_a_node_of_the_best_tier_that_is_not_excluded_and_weight_0_comes_last_there(
    nodes: list[Node], call_id: str, data: st.DataObject
) -> None:
    excluded = {node.set_id for node in nodes if data.draw(st.booleans(), node.name)}
    left = [node for node in nodes if node.set_id not in excluded]
    chosen = pool_of(nodes).choose(call_id, excluded)
    if not left:
        assert chosen is None
        return
    tier = [node for node in left if node.tier == min(node.tier for node in left)]
    assert chosen in ([node for node in tier if node.weight] or tier)


def test_a_node_of_weight_0_is_never_chosen_while_another_of_its_tier_can_be() -> None:
    pool = pool_of(nodes_of(0, 1, 0))
    assert {node for call_id in CALLS[:2000] if (node := pool.choose(call_id))} == {nodes_of(0, 1, 0)[1]}


def test_a_node_of_weight_0_is_chosen_before_the_next_tier() -> None:
    spare, later = nodes_of(0)[0], nodes_of(5, tier=1, first=9)[0]
    pool = pool_of([later, spare])
    assert pool.choose("a") == spare
    assert pool.choose("a", {spare.set_id}) == later


def test_nodes_of_weight_0_share_the_calls_evenly_when_no_other_is_left() -> None:
    assert_shares(pool_of(nodes_of(0, 3, 0)), {1: 1, 3: 1}, {2}, CALLS[:20_000])


def test_the_next_tier_gets_no_call_while_one_node_of_the_tier_before_is_left() -> None:
    first, second, third = nodes_of(1, 1), nodes_of(100, tier=1, first=11), nodes_of(100, tier=7, first=21)
    pool = pool_of([*third, *second, *first])
    assert {node for call in CALLS[:500] if (node := pool.choose(call))} == set(first)
    assert {pool.choose(call, {1}) for call in CALLS[:500]} == {first[1]}
    assert {pool.choose(call, {1, 2}) for call in CALLS[:500]} == set(second)
    assert {pool.choose(call, {1, 2, 11}) for call in CALLS[:500]} == set(third)
    assert {pool.choose(call, {1, 2, 11, 21}) for call in CALLS[:500]} == {None}


def test_a_pool_without_nodes_has_none_to_choose() -> None:
    assert pool_of([]).choose("a") is None


@pytest.mark.parametrize("call_id", ["", "ä€😀", "\udcff\udc80", "x" * 10_000])
def test_any_call_id_gets_a_node(call_id: str) -> None:
    """Bytes that are not UTF-8 come from Kamailio as lone surrogates."""
    assert pool_of(nodes_of(1, 1)).choose(call_id) is not None


class CountingWeight(int):
    """A weight that counts how often a running total is compared with a point."""

    comparisons = 0

    def __add__(self, other: int) -> CountingWeight:
        return CountingWeight(int(self) + other)

    def __lt__(self, other: int) -> bool:
        CountingWeight.comparisons += 1
        return int(self) < other

    def __gt__(self, other: int) -> bool:
        CountingWeight.comparisons += 1
        return int(self) > other


class CountingSet(set[int]):
    """Excluded sets that count how often they are asked."""

    questions = 0

    def __contains__(self, set_id: object) -> bool:
        CountingSet.questions += 1
        return super().__contains__(set_id)


def work_per_call(count: int, excluded: Iterable[int]) -> float:
    pool = pool_of(nodes_of(*[CountingWeight(1)] * count))
    CountingWeight.comparisons = CountingSet.questions = 0
    for call_id in CALLS[:500]:
        assert pool.choose(call_id, CountingSet(excluded)) is not None
    return (CountingWeight.comparisons + CountingSet.questions) / 500


@pytest.mark.parametrize("excluded", [(), (1,), (1, 2, 3)])
def test_the_work_of_choosing_does_not_grow_with_the_nodes_in_any_way_a_call_would_notice(
    excluded: tuple[int, ...],
) -> None:
    """Comparisons are counted, not time: from 10 nodes to 10,000 there are some ten more, as for a binary search."""
    small = work_per_call(10, excluded)
    assert small > 1, "the work is seen at all"
    assert work_per_call(10_000, excluded) < small + 12
