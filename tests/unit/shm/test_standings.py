"""The view that shared memory holds."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kemi_rtp.model.admin import Entry, matching
from kemi_rtp.model.nodes import Node
from kemi_rtp.model.standing import Health, derive
from kemi_rtp.shm import layout
from kemi_rtp.shm.layout import decode_health, encode_health
from kemi_rtp.shm.standings import build, keys_of
from tests.unit import strategies
from tests.unit.strategies import modest
from tests.unit.words import DISABLED, DOWN, ENABLED, NOW, UNKNOWN, entry, memory, node

# --- from shared memory -----------------------------------------------------------------------------------------------


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
        expected = derive(matching(entries, one), NOW, UNKNOWN)
        assert (found.admin, found.routable, found.serves) == (expected.admin, expected.routable, expected.serves)


def test_a_renamed_node_keeps_its_state_through_its_url() -> None:
    renamed = Node("media1", node(1).url, "default", 1, 0, 1)
    ((_, found),) = build(memory([renamed], [entry(node(1), DISABLED)]).get, NOW)
    assert found.admin is DISABLED


def test_an_admin_key_that_was_emptied_means_enabled() -> None:
    items = memory([node(1)], []) | {layout.admin_key("rtp1"): "", layout.admin_key(node(1).url): ""}
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
    assert asked[0] == layout.GENERATION
    assert asked.count(layout.GENERATION) == 1


@pytest.mark.parametrize("health", Health)
def test_health_and_its_cause_read_back(health: Health) -> None:
    assert decode_health(encode_health(health, 'no "answer"')) == (health, 'no "answer"')


@pytest.mark.parametrize("value", [None, 0])
def test_health_that_nobody_wrote_is_unknown(value: int | None) -> None:
    assert decode_health(value) == (UNKNOWN, "")


# --- a pool -----------------------------------------------------------------------------------------------------------


def test_every_key_that_a_view_is_built_from_is_told_beforehand() -> None:
    """`kemi-rtp show` fetches them all at once."""
    nodes = [node(1), node(2)]
    held = memory(nodes, [entry(nodes[0], DISABLED)], {nodes[1]: DOWN})
    asked: list[str] = []

    def get(key: str) -> str | None:
        asked.append(key)
        return held.get(key)

    build(get, NOW)
    assert set(asked) <= {layout.GENERATION, layout.CONFIG, layout.HEARTBEAT, *keys_of(nodes)}
