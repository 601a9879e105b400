"""The layout of shared memory."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from kemi_rtp.model.admin import AdminState, Entry
from kemi_rtp.model.entry_json import from_json, to_json
from kemi_rtp.model.nodes import Config, Node, Settings
from kemi_rtp.shm import layout
from tests.unit import strategies
from tests.unit.strategies import modest

NOW = datetime(2026, 11, 22, 16, 0, tzinfo=UTC)
URL = "udp:192.0.2.1:2223"


@given(strategies.node_lists(), strategies.all_settings)
@modest(50)
def test_a_configuration_reads_back(nodes: list[Node], chosen: Settings) -> None:
    config = Config(tuple(nodes), chosen)
    assert layout.decode_config(layout.encode_config(config)) == config


def test_a_configuration_that_nobody_published_has_no_nodes() -> None:
    assert layout.decode_config(None) == layout.decode_config(0) == Config((), Settings())


@given(st.data())
@modest(50)
def test_an_entry_is_found_under_its_name_and_under_its_url(data: st.DataObject) -> None:
    entry = data.draw(strategies.entries("rtp1"))
    items = layout.admin_items([entry])
    assert items.keys() == {layout.admin_key("rtp1"), layout.admin_key(entry.url or "rtp1")}
    assert {from_json("rtp1", value) for value in items.values()} == {entry}


def test_of_two_entries_with_one_key_the_strictest_is_found_in_either_order() -> None:
    draining = Entry("zz", AdminState.DRAINING, "z", "z", NOW, None, URL)
    disabled = Entry("aa", AdminState.DISABLED, "a", "a", NOW, None, URL)
    for entries in ([draining, disabled], [disabled, draining]):
        items = layout.admin_items(entries)
        assert items[layout.admin_key(URL)] == to_json(disabled)
        assert items[layout.admin_key("zz")] == to_json(draining)


def test_no_entries_are_no_keys() -> None:
    assert layout.admin_items([]) == {}


def test_keys_of_different_kinds_never_meet() -> None:
    names = (layout.admin_key(URL), layout.health_key(URL), layout.calls_key(7))
    fixed = (layout.GENERATION, layout.CONFIG, layout.RELOAD_REQUEST, layout.RELOAD_REPLY)
    assert len({*names, *fixed}) == len(names) + len(fixed)


def test_what_is_being_sent_is_told_with_its_generation() -> None:
    assert layout.decode_in_flight(layout.encode_in_flight("1.2", {7, 3})) == ("1.2", [3, 7])
    assert layout.decode_in_flight(None) == (None, [])


def test_no_two_generations_are_the_same() -> None:
    assert len({layout.new_generation() for _ in range(1000)}) == 1000
