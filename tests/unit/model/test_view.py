"""The choice among the nodes of a view."""

from __future__ import annotations

import pytest

from kemi_rtp.model.admin import AdminState
from kemi_rtp.model.nodes import Node
from kemi_rtp.model.standing import Health, derive
from kemi_rtp.model.view import View
from tests.unit.words import DISABLED, DOWN, DRAINING, ENABLED, NOW, UNKNOWN, UP, entry, node

CALLS = [f"call-{number}" for number in range(300)]


def view_of(**states: tuple[Node, AdminState, Health]) -> View:
    return View("g", {n: derive([entry(n, state)] if state is not ENABLED else [], NOW, health)
                      for n, state, health in states.values()})  # fmt: skip


def chosen(view: View, pool: str = "default", excluded: tuple[int, ...] = ()) -> set[Node | None]:
    return {view.choose(pool, call_id, excluded) for call_id in CALLS}


def test_a_call_is_placed_within_its_pool() -> None:
    one, other = node(1), node(2, pool="eu")
    view = view_of(a=(one, ENABLED, UP), b=(other, ENABLED, UP))
    assert (chosen(view), chosen(view, "eu"), chosen(view, "us")) == ({one}, {other}, {None})


@pytest.mark.parametrize("state", [DRAINING, DISABLED])
@pytest.mark.parametrize("health", Health)
def test_a_node_that_people_took_out_is_never_chosen(state: AdminState, health: Health) -> None:
    view = view_of(a=(node(1), state, health), b=(node(2), ENABLED, UP), c=(node(3), ENABLED, UNKNOWN))
    assert chosen(view) == {node(2), node(3)}


def test_a_node_that_is_down_is_not_chosen_while_another_of_the_pool_is_routable() -> None:
    """Not even when the other is of a later tier, or of weight 0."""
    spare = node(2, tier=3, weight=0)
    assert chosen(view_of(a=(node(1), ENABLED, DOWN), b=(spare, ENABLED, UP))) == {spare}


def test_as_a_last_resort_nodes_that_are_down_may_be_tried_but_draining_and_disabled_ones_never() -> None:
    view = view_of(
        a=(node(1), ENABLED, DOWN), b=(node(2), DRAINING, UP), c=(node(3), DISABLED, UP), d=(node(4), DISABLED, DOWN),
        e=(node(5, pool="eu"), ENABLED, UP),
    )  # fmt: skip
    assert chosen(view) == {node(1)}


def test_the_last_resort_goes_by_tiers_too() -> None:
    view = view_of(a=(node(1), ENABLED, DOWN), b=(node(2, tier=1), ENABLED, DOWN))
    assert chosen(view) == {node(1)}
    assert chosen(view, excluded=(1,)) == {node(2, tier=1)}


def test_without_a_node_that_may_be_tried_there_is_none_and_the_view_says_why() -> None:
    view = view_of(a=(node(1), DISABLED, UP), b=(node(2), DRAINING, DOWN), c=(node(5, pool="eu"), ENABLED, UP))
    assert chosen(view) == {None}
    since = "by alice@lb1 since 2026-11-22T15:00:00Z: NIC swap"
    assert view.why_none("default") == f"rtp1 disabled {since}; rtp2 draining {since}; down"


def test_a_pool_that_does_not_exist_is_said_not_to() -> None:
    assert view_of(a=(node(1), ENABLED, UP)).why_none("us") == "there is no pool 'us' in nodes.yaml"


def test_an_excluded_node_is_not_chosen_for_a_call() -> None:
    view = view_of(a=(node(1), ENABLED, UP), b=(node(2), ENABLED, UP))
    assert chosen(view, excluded=(1,)) == {node(2)}
    assert chosen(view, excluded=(1, 2)) == {None}


def test_a_node_is_found_by_its_set_with_its_standing() -> None:
    view = view_of(a=(node(1), ENABLED, UP), b=(node(2), DISABLED, UP))
    found = view.by_set.get(2)
    assert found is not None
    assert (found[0], found[1].admin) == (node(2), DISABLED)
    assert view.by_set.get(3) is None
    assert [one for one, _ in view] == [node(1), node(2)]
