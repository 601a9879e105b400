"""The one derivation: what a node may take, and why."""

from __future__ import annotations

import pytest

from kemi_rtp.model.admin import AdminState
from kemi_rtp.model.standing import Health, Standing, derive
from kemi_rtp.shm.standings import build
from tests.unit.words import DISABLED, DOWN, DRAINING, ENABLED, HOUR, NOW, UNKNOWN, UP, entry, memory, node

# admin, health: new calls, calls that it has, new calls when no node of the pool is routable
TABLE = [
    (ENABLED, UP, True, True, False),
    (ENABLED, UNKNOWN, True, True, False),
    (ENABLED, DOWN, False, False, True),
    (DRAINING, UP, False, True, False),
    (DRAINING, UNKNOWN, False, True, False),
    (DRAINING, DOWN, False, False, False),
    (DISABLED, UP, False, False, False),
    (DISABLED, UNKNOWN, False, False, False),
    (DISABLED, DOWN, False, False, False),
]


def standing(state: AdminState, health: Health) -> Standing:
    return derive([] if state is ENABLED else [entry(node(1), state)], NOW, health, down_because="timeout")


@pytest.mark.parametrize(("admin", "health", "routable", "serves", "last_resort"), TABLE)
@pytest.mark.parametrize("from_memory", [False, True], ids=["derived", "from shared memory"])
def test_admin_state_and_health_decide_what_a_node_may_take(
    admin: AdminState, health: Health, routable: bool, serves: bool, last_resort: bool, from_memory: bool
) -> None:
    found = standing(admin, health)
    if from_memory:
        items = memory([node(1)], [] if admin is ENABLED else [entry(node(1), admin)], {node(1): health})
        ((_, found),) = build(items.get, NOW)
    assert (found.admin, found.health) == (admin, health)
    assert (found.routable, found.serves, found.last_resort) == (routable, serves, last_resort)


def test_the_table_is_complete() -> None:
    assert {(row[0], row[1]) for row in TABLE} == {(admin, health) for admin in AdminState for health in Health}


@pytest.mark.parametrize("health", Health)
def test_a_disabled_node_is_never_routable(health: Health) -> None:
    """Not even as a last resort, and not even for the calls that it has."""
    found = standing(DISABLED, health)
    assert (found.routable, found.serves, found.last_resort) == (False, False, False)


@pytest.mark.parametrize("health", Health)
def test_a_draining_node_never_gets_a_new_call(health: Health) -> None:
    found = standing(DRAINING, health)
    assert (found.routable, found.last_resort) == (False, False)


def test_a_node_whose_health_is_unknown_counts_as_up() -> None:
    for state in AdminState:
        up, unknown = standing(state, UP), standing(state, UNKNOWN)
        assert (up.routable, up.serves) == (unknown.routable, unknown.serves)


@pytest.mark.parametrize(
    ("state", "health", "reason"),
    [
        (ENABLED, UP, ""),
        (ENABLED, UNKNOWN, ""),
        (ENABLED, DOWN, "down: timeout"),
        (DISABLED, UP, "disabled by alice@lb1 since 2026-11-22T15:00:00Z: NIC swap"),
        (DRAINING, DOWN, "draining by alice@lb1 since 2026-11-22T15:00:00Z: NIC swap; down: timeout"),
    ],
)
def test_the_answer_comes_with_its_reason(state: AdminState, health: Health, reason: str) -> None:
    assert standing(state, health).reason == reason


def test_a_node_that_is_down_for_no_known_cause_is_just_down() -> None:
    assert derive([], NOW, DOWN).reason == "down"


def test_the_reason_tells_until_when() -> None:
    found = derive([entry(node(1), DISABLED, NOW + HOUR)], NOW, UP)
    assert found.reason == "disabled by alice@lb1 since 2026-11-22T15:00:00Z until 2026-11-22T17:00:00Z: NIC swap"


def test_of_several_entries_the_strictest_that_is_not_over_counts() -> None:
    over = entry(node(1), DISABLED, NOW)
    assert derive([over, entry(node(1), DRAINING), entry(node(1), ENABLED, NOW + HOUR)], NOW, UP).admin is DRAINING
    found = derive([entry(node(1), DRAINING), entry(node(1), DISABLED)], NOW, UP)
    assert (found.admin, found.entry) == (DISABLED, entry(node(1), DISABLED))


def test_a_decision_that_is_over_counts_no_more_even_before_anybody_stored_its_end() -> None:
    assert derive([entry(node(1), DISABLED, NOW)], NOW, UP).routable
    assert derive([entry(node(1), DISABLED, NOW)], NOW, UP).reason == ""
