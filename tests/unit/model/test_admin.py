"""Admin states: how one decision follows another, and whom it is about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kemi_rtp.files.registry_yaml import parse, render
from kemi_rtp.model.admin import AdminState, Change, Entry, decide, differences, matching, matching_each
from kemi_rtp.model.nodes import Node
from kemi_rtp.model.standing import derive
from tests.unit import strategies
from tests.unit.strategies import modest
from tests.unit.words import DISABLED, DRAINING, ENABLED, FILE, HOUR, NOW, RTP2, after

RTP1 = Node("rtp1", "udp:192.0.2.1:2223", "default", 1, 0, 1)


def decision(node: Node, state: AdminState, until: datetime | None = None, *, reason: str = "") -> Entry:
    return Entry(node.name, state, reason, "alice@lb1", NOW, until, node.url)


def state_at(entries: Mapping[str, Entry], node: Node, moment: datetime) -> AdminState:
    """The admin state that routing goes by."""
    return derive(matching(entries, node), moment).admin


# --- one decision after another ---------------------------------------------------------------------------------------


def test_strictness_goes_from_enabled_over_draining_to_disabled() -> None:
    assert [state.strictness for state in (ENABLED, DRAINING, DISABLED)] == [0, 1, 2]


def test_a_decision_without_end_stays_for_ever() -> None:
    entries = after(decision(RTP1, DISABLED))
    assert state_at(entries, RTP1, NOW + 10_000 * HOUR) is DISABLED


def test_a_decision_replaces_the_one_before_also_by_a_freer_one() -> None:
    entries = after(decision(RTP1, DISABLED), decision(RTP1, DRAINING, reason="new"))
    assert entries == {"rtp1": decision(RTP1, DRAINING, reason="new")}


def test_enabling_without_end_removes_everything_that_was_decided_about_the_node() -> None:
    assert after(decision(RTP1, DISABLED), decision(RTP1, DRAINING, NOW + HOUR), decision(RTP1, ENABLED)) == {}


def test_a_decision_about_one_node_leaves_the_others_alone() -> None:
    entries = after(decision(RTP1, DISABLED), decision(RTP2, DRAINING), decision(RTP2, ENABLED))
    assert entries == {"rtp1": decision(RTP1, DISABLED)}


def test_a_timed_decision_ends_at_its_time_to_the_second() -> None:
    entries = after(decision(RTP1, DISABLED, NOW + HOUR))
    assert state_at(entries, RTP1, NOW + HOUR - timedelta(seconds=1)) is DISABLED
    assert state_at(entries, RTP1, NOW + HOUR) is ENABLED


@pytest.mark.parametrize("base", [DRAINING, DISABLED])
@pytest.mark.parametrize("timed", list(AdminState))
def test_what_was_decided_without_end_comes_back_after_a_timed_decision(base: AdminState, timed: AdminState) -> None:
    entries = after(decision(RTP1, base, reason="broken"), decision(RTP1, timed, NOW + HOUR))
    assert state_at(entries, RTP1, NOW) is timed
    assert state_at(entries, RTP1, NOW + HOUR) is base
    current = entries["rtp1"].at(NOW + HOUR)
    assert current is not None
    assert (current.reason, current.by, current.until) == ("broken", "alice@lb1", None)


def test_what_was_decided_without_end_comes_back_after_any_number_of_timed_decisions() -> None:
    timed = [decision(RTP1, state, NOW + n * HOUR) for n, state in enumerate((DRAINING, ENABLED, DISABLED, ENABLED), 1)]
    entries = after(decision(RTP1, DISABLED), *timed)
    assert state_at(entries, RTP1, NOW + 3 * HOUR) is ENABLED
    assert state_at(entries, RTP1, NOW + 4 * HOUR) is DISABLED


def test_enabling_for_a_time_a_node_that_is_enabled_stores_nothing() -> None:
    assert after(decision(RTP1, ENABLED, NOW + HOUR)) == {}


moves = st.tuples(st.sampled_from(AdminState), st.none() | st.integers(1, 30), st.integers(0, 12), st.booleans())


@given(st.lists(moves, max_size=8), st.integers(0, 60), st.data())
@modest(150)
def test_a_timer_never_makes_a_node_more_enabled_than_people_left_it(
    made: list[tuple[AdminState, int | None, int, bool]], later: int, data: st.DataObject
) -> None:
    """In force is the last decision while its time lasts, and then the last one that was made without an end.

    So nothing but a decision of a person frees a node: neither the end of a timed decision, nor the timer storing
    that end, nor decisions about other nodes, nor the node having been renamed in between.
    """
    entries: dict[str, Entry] = {}
    clock, lasting, last, until = NOW, ENABLED, ENABLED, None
    node = RTP1
    for state, hours, pause, rename in made:
        node = replace(node, name=f"{node.name}x") if rename else node
        until = None if hours is None else clock + hours * HOUR
        entries = decide(entries, replace(decision(node, state, until), since=clock))
        entries = decide(entries, decision(RTP2, data.draw(st.sampled_from(AdminState)), None))
        last, lasting = state, state if until is None else lasting
        clock += pause * HOUR
        if data.draw(st.booleans(), "the timer stores what is over"):
            entries = {name: current for name, entry in entries.items() if (current := entry.at(clock)) is not None}
    clock += later * HOUR
    expected = last if until is None or clock < until else lasting
    assert state_at(entries, node, clock) is expected
    assert state_at(parse(render(entries), FILE), node, clock) is expected


# --- whom an entry speaks of ------------------------------------------------------------------------------------------


def test_a_renamed_node_keeps_its_state_through_its_url() -> None:
    entries = after(decision(RTP1, DISABLED))
    assert state_at(entries, replace(RTP1, name="media1"), NOW) is DISABLED


def test_a_node_that_moved_to_another_url_keeps_its_state_through_its_name() -> None:
    entries = after(decision(RTP1, DISABLED))
    assert state_at(entries, replace(RTP1, url="udp:192.0.2.9:2223"), NOW) is DISABLED


def test_an_entry_written_by_hand_may_name_the_node_by_its_url() -> None:
    assert state_at({RTP1.url: Entry(RTP1.url, DRAINING)}, RTP1, NOW) is DRAINING


def test_deciding_about_a_renamed_node_leaves_no_entry_under_the_old_name() -> None:
    renamed = replace(RTP1, name="media1")
    assert after(decision(RTP1, DISABLED), decision(renamed, DRAINING)).keys() == {"media1"}
    assert after(decision(RTP1, DISABLED), decision(renamed, ENABLED)) == {}
    assert decide({RTP1.url: Entry(RTP1.url, DISABLED)}, decision(RTP1, ENABLED)) == {}


def test_what_comes_back_after_a_timed_decision_comes_back_under_the_new_name() -> None:
    entries = after(decision(RTP1, DISABLED), decision(replace(RTP1, name="media1"), ENABLED, NOW + HOUR))
    current = entries["media1"].at(NOW + HOUR)
    assert current is not None
    assert (current.node, current.state) == ("media1", DISABLED)


def test_of_several_entries_about_a_node_the_strictest_comes_first_and_counts() -> None:
    entries = {"rtp1": decision(RTP1, DRAINING), "old": replace(decision(RTP1, DISABLED), node="old")}
    assert [entry.node for entry in matching(entries, RTP1)] == ["old", "rtp1"]
    assert state_at(entries, RTP1, NOW) is DISABLED


def test_of_several_entries_about_a_node_the_strictest_comes_back_after_a_timed_decision() -> None:
    entries = {"rtp1": decision(RTP1, DRAINING), "old": replace(decision(RTP1, DISABLED), node="old")}
    entries = decide(entries, decision(RTP1, ENABLED, NOW + HOUR))
    assert state_at(entries, RTP1, NOW + HOUR) is DISABLED


@given(strategies.registries(), st.data())
@modest(100)
def test_what_is_found_about_many_nodes_at_once_is_what_is_found_about_each(
    entries: dict[str, Entry], data: st.DataObject
) -> None:
    texts = st.sampled_from([text for entry in entries.values() for text in (entry.node, entry.url)] or ["rtp1"])
    nodes = data.draw(st.lists(st.builds(Node, texts, texts, *map(st.just, ("default", 1, 0, 1)))))
    found = list(matching_each(entries, nodes))
    assert [node for node, _ in found] == nodes
    for node, about in found:
        assert sorted(map(repr, about)) == sorted(map(repr, matching(entries, node)))


def test_an_entry_about_one_node_does_not_touch_another() -> None:
    assert matching(after(decision(RTP1, DISABLED)), RTP2) == []


def test_an_entry_describes_itself_with_who_since_until_and_why() -> None:
    entry = decision(RTP1, DISABLED, NOW + HOUR, reason="NIC swap")
    assert entry.describe() == ("disabled by alice@lb1 since 2026-11-22T16:00:00Z until 2026-11-22T17:00:00Z: NIC swap")
    assert Entry("rtp1", DRAINING).describe() == "draining"


# --- differences between two sets -------------------------------------------------------------------------------------


def test_every_difference_of_a_hand_edit_is_a_change_of_way_edit() -> None:
    before = {"a": Entry("a", DISABLED, "x", "bob"), "b": Entry("b", DRAINING), "c": Entry("c", DISABLED)}
    edited = {
        "a": Entry("a", DRAINING, "y", "bob", until=NOW),
        "c": Entry("c", DISABLED),
        "d": Entry("d", DISABLED, "z", "eve"),
    }
    assert differences(before, edited, NOW) == [
        Change(NOW, "a", DISABLED, DRAINING, "y", "", "edit", NOW),
        Change(NOW, "b", DRAINING, ENABLED, "", "", "edit"),
        Change(NOW, "d", ENABLED, DISABLED, "z", "eve", "edit"),
    ]


def test_equal_sets_have_no_differences() -> None:
    assert differences({"a": Entry("a", DISABLED)}, {"a": Entry("a", DISABLED)}, NOW) == []


# --- single lines: shared memory and history --------------------------------------------------------------------------


def test_what_follows_a_decision_is_about_the_node_that_it_is_about() -> None:
    """Also when the decision goes on for another node, because names and URLs were exchanged."""
    first, second = (
        Node("rtp1", "udp:192.0.2.2:2223", "default", 1, 0, 2),
        Node("rtp2", "udp:192.0.2.1:2223", "default", 1, 0, 1),
    )
    then = Entry("rtp1", AdminState.DISABLED, "NIC swap", "alice@lb1", NOW, None, "udp:192.0.2.1:2223")
    timed = replace(then, state=AdminState.DRAINING, until=NOW + HOUR, then=then)
    after = decide(
        {"rtp1": timed}, Entry("rtp2", AdminState.DISABLED, "kernel", "bob@lb1", NOW, None, second.url), [first, second]
    )
    assert after["rtp1"].url == first.url
    assert after["rtp1"].then == replace(then, url=first.url)
