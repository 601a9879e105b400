"""The layout of shared memory."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from kemi_rtp.model.admin import Entry, State, from_json, to_json
from kemi_rtp.model.nodes import Config, Node, Settings
from kemi_rtp.shm import layout as shared
from tests.unit import strategies
from tests.unit.strategies import modest

NOW = datetime(2026, 11, 22, 16, 0, tzinfo=UTC)
URL = "udp:192.0.2.1:2223"


@given(strategies.node_lists(), strategies.all_settings)
@modest(50)
def test_a_configuration_reads_back(nodes: list[Node], chosen: Settings) -> None:
    config = Config(tuple(nodes), chosen)
    assert shared.decode_config(shared.encode_config(config)) == config


def test_a_configuration_that_nobody_published_has_no_nodes() -> None:
    assert shared.decode_config(None) == shared.decode_config(0) == Config((), Settings())


@given(st.data())
@modest(50)
def test_an_entry_is_found_under_its_name_and_under_its_url(data: st.DataObject) -> None:
    entry = data.draw(strategies.entries("rtp1"))
    items = shared.admin_items([entry])
    assert items.keys() == {shared.admin_key("rtp1"), shared.admin_key(entry.url or "rtp1")}
    assert {from_json("rtp1", value) for value in items.values()} == {entry}


def test_of_two_entries_with_one_key_the_strictest_is_found_in_either_order() -> None:
    draining = Entry("zz", State.DRAINING, "z", "z", NOW, None, URL)
    disabled = Entry("aa", State.DISABLED, "a", "a", NOW, None, URL)
    for entries in ([draining, disabled], [disabled, draining]):
        items = shared.admin_items(entries)
        assert items[shared.admin_key(URL)] == to_json(disabled)
        assert items[shared.admin_key("zz")] == to_json(draining)


def test_no_entries_are_no_keys() -> None:
    assert shared.admin_items([]) == {}


def test_keys_of_different_kinds_never_meet() -> None:
    names = (shared.admin_key(URL), shared.health_key(URL), shared.calls_key(7))
    fixed = (shared.GENERATION, shared.CONFIG, shared.RELOAD_REQUEST, shared.RELOAD_REPLY)
    assert len({*names, *fixed}) == len(names) + len(fixed)


def test_what_is_being_sent_is_told_with_its_generation() -> None:
    assert shared.decode_sending(shared.encode_sending("1.2", {7, 3})) == ("1.2", [3, 7])
    assert shared.decode_sending(None) == (None, [])


def test_no_two_generations_are_the_same() -> None:
    assert len({shared.new_generation() for _ in range(1000)}) == 1000
