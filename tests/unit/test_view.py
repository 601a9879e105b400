"""What every node may take: one derivation for routing and for display."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kemi_rtp.model.admin import Entry, State, matching
from kemi_rtp.model.nodes import Config, Node, Settings
from kemi_rtp.model.view import Health, Standing, View, build, decode_health, derive, encode_health, keys_of
from kemi_rtp.shm import layout as shared
from tests.unit import strategies
from tests.unit.strategies import modest

NOW = datetime(2026, 11, 22, 16, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
ENABLED, DRAINING, DISABLED = State.ENABLED, State.DRAINING, State.DISABLED
UP, DOWN, UNKNOWN = Health.UP, Health.DOWN, Health.UNKNOWN

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


def node(number: int, *, pool: str = "default", tier: int = 0, weight: int = 1) -> Node:
    return Node(f"rtp{number}", f"udp:192.0.2.{number}:2223", pool, weight, tier, number)


def entry(about: Node, state: State, until: datetime | None = None, reason: str = "NIC swap") -> Entry:
    return Entry(about.name, state, reason, "alice@lb1", NOW - HOUR, until, about.url)


def standing(state: State, health: Health) -> Standing:
    return derive([] if state is ENABLED else [entry(node(1), state)], health, "timeout", NOW)


def memory(nodes: list[Node], entries: list[Entry], health: dict[Node, Health] | None = None) -> dict[str, str]:
    """What shared memory holds for these."""
    items = {shared.GENERATION: "g1", shared.CONFIG: shared.encode_config(Config(tuple(nodes), Settings()))}
    items |= shared.admin_items(entries)
    return items | {shared.health_key(n.url): encode_health(h, "timeout") for n, h in (health or {}).items()}


# --- one node --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("admin", "health", "routable", "serves", "last_resort"), TABLE)
@pytest.mark.parametrize("from_memory", [False, True], ids=["derived", "from shared memory"])
def test_admin_state_and_health_decide_what_a_node_may_take(
    admin: State, health: Health, routable: bool, serves: bool, last_resort: bool, from_memory: bool
) -> None:
    found = standing(admin, health)
    if from_memory:
        items = memory([node(1)], [] if admin is ENABLED else [entry(node(1), admin)], {node(1): health})
        ((_, found),) = build(items.get, NOW)
    assert (found.admin, found.health) == (admin, health)
    assert (found.routable, found.serves, found.last_resort) == (routable, serves, last_resort)


def test_the_table_is_complete() -> None:
    assert {(row[0], row[1]) for row in TABLE} == {(admin, health) for admin in State for health in Health}


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
    for state in State:
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
def test_the_answer_comes_with_its_reason(state: State, health: Health, reason: str) -> None:
    assert standing(state, health).reason == reason


def test_a_node_that_is_down_for_no_known_cause_is_just_down() -> None:
    assert derive([], DOWN, "", NOW).reason == "down"


def test_the_reason_tells_until_when() -> None:
    found = derive([entry(node(1), DISABLED, NOW + HOUR)], UP, "", NOW)
    assert found.reason == "disabled by alice@lb1 since 2026-11-22T15:00:00Z until 2026-11-22T17:00:00Z: NIC swap"


def test_of_several_entries_the_strictest_that_is_not_over_counts() -> None:
    over = entry(node(1), DISABLED, NOW)
    assert derive([over, entry(node(1), DRAINING), entry(node(1), ENABLED, NOW + HOUR)], UP, "", NOW).admin is DRAINING
    found = derive([entry(node(1), DRAINING), entry(node(1), DISABLED)], UP, "", NOW)
    assert (found.admin, found.entry) == (DISABLED, entry(node(1), DISABLED))


def test_a_decision_that_is_over_counts_no_more_even_before_anybody_stored_its_end() -> None:
    assert derive([entry(node(1), DISABLED, NOW)], UP, "", NOW).routable
    assert derive([entry(node(1), DISABLED, NOW)], UP, "", NOW).reason == ""


# --- from shared memory ----------------------------------------------------------------------------------------------


@given(strategies.node_lists(max_size=4), st.data())
@modest(80)
def test_shared_memory_tells_the_same_as_the_registry(nodes: list[Node], data: st.DataObject) -> None:
    """Entries speak of nodes by name, by URL, or by the name or URL of another: `show` without Kamailio agrees."""
    identities = [identity for n in nodes for identity in (n.name, n.url)]
    entries: dict[str, Entry] = {}
    for name in data.draw(st.lists(st.sampled_from([*identities, "gone"]), unique=True)):
        about = data.draw(strategies.entries(name, timed=False))
        entries[name] = Entry(
            name, about.state, about.reason, url=data.draw(st.sampled_from(["", *(n.url for n in nodes)]))
        )
    view = build(memory(nodes, list(entries.values())).get, NOW)
    for one, found in view:
        expected = derive(matching(entries, one), UNKNOWN, "", NOW)
        assert (found.admin, found.routable, found.serves) == (expected.admin, expected.routable, expected.serves)


def test_a_renamed_node_keeps_its_state_through_its_url() -> None:
    renamed = Node("media1", node(1).url, "default", 1, 0, 1)
    ((_, found),) = build(memory([renamed], [entry(node(1), DISABLED)]).get, NOW)
    assert found.admin is DISABLED


def test_an_admin_key_that_was_emptied_means_enabled() -> None:
    items = memory([node(1)], []) | {shared.admin_key("rtp1"): "", shared.admin_key(node(1).url): ""}
    ((_, found),) = build(items.get, NOW)
    assert found.admin is ENABLED


def test_a_timed_decision_in_shared_memory_ends_at_its_time() -> None:
    items = memory([node(1)], [entry(node(1), DISABLED, NOW)])
    assert [found.admin for _, found in build(items.get, NOW - timedelta(seconds=1))] == [DISABLED]
    assert [found.admin for _, found in build(items.get, NOW)] == [ENABLED]


def test_empty_shared_memory_is_a_view_without_nodes() -> None:
    view = build(lambda _: None, NOW)
    assert list(view) == []
    assert view.generation is None
    assert view.choose("default", "a") is None


def test_the_generation_is_read_before_anything_else() -> None:
    """A change while the view is built then shows as another generation at the next look."""
    asked: list[str] = []
    items = memory([node(1)], [])

    def get(key: str) -> str | None:
        asked.append(key)
        return items.get(key)

    assert build(get, NOW).generation == "g1"
    assert asked[0] == shared.GENERATION
    assert asked.count(shared.GENERATION) == 1


@pytest.mark.parametrize("health", Health)
def test_health_and_its_cause_read_back(health: Health) -> None:
    assert decode_health(encode_health(health, 'no "answer"')) == (health, 'no "answer"')


@pytest.mark.parametrize("value", [None, 0])
def test_health_that_nobody_wrote_is_unknown(value: int | None) -> None:
    assert decode_health(value) == (UNKNOWN, "")


# --- a pool ----------------------------------------------------------------------------------------------------------

CALLS = [f"call-{number}" for number in range(300)]


def view_of(**states: tuple[Node, State, Health]) -> View:
    return View("g", {n: derive([entry(n, state)] if state is not ENABLED else [], health, "", NOW)
                      for n, state, health in states.values()})  # fmt: skip


def chosen(view: View, pool: str = "default", excluded: tuple[int, ...] = ()) -> set[Node | None]:
    return {view.choose(pool, call_id, excluded) for call_id in CALLS}


def test_a_call_is_placed_within_its_pool() -> None:
    one, other = node(1), node(2, pool="eu")
    view = view_of(a=(one, ENABLED, UP), b=(other, ENABLED, UP))
    assert (chosen(view), chosen(view, "eu"), chosen(view, "us")) == ({one}, {other}, {None})


@pytest.mark.parametrize("state", [DRAINING, DISABLED])
@pytest.mark.parametrize("health", Health)
def test_a_node_that_people_took_out_is_never_chosen(state: State, health: Health) -> None:
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
    found = view.node(2)
    assert found is not None
    assert (found[0], found[1].admin) == (node(2), DISABLED)
    assert view.node(3) is None
    assert [one for one, _ in view] == [node(1), node(2)]


def test_every_key_that_a_view_is_built_from_is_told_beforehand() -> None:
    """`kemi-rtp show` fetches them all at once."""
    nodes = [node(1), node(2)]
    held = memory(nodes, [entry(nodes[0], DISABLED)], {nodes[1]: DOWN})
    asked: list[str] = []

    def get(key: str) -> str | None:
        asked.append(key)
        return held.get(key)

    build(get, NOW)
    assert set(asked) <= {shared.GENERATION, shared.CONFIG, shared.HEARTBEAT, *keys_of(nodes)}
