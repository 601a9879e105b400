"""Admin states: how one decision follows another, and their text form."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kemi_rtp.files.documents import DocumentError
from kemi_rtp.model.admin import (
    Change,
    Entry,
    State,
    change_from_json,
    change_to_json,
    decide,
    differences,
    from_json,
    matching,
    matching_each,
    parse,
    read,
    render,
    to_json,
)
from kemi_rtp.model.nodes import Node
from kemi_rtp.model.view import Health, derive
from tests.unit import strategies
from tests.unit.strategies import modest

FILE = Path("registry.yaml")
NOW = datetime(2026, 11, 22, 16, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
ENABLED, DRAINING, DISABLED = State.ENABLED, State.DRAINING, State.DISABLED
RTP1 = Node("rtp1", "udp:192.0.2.1:2223", "default", 1, 0, 1)
RTP2 = Node("rtp2", "udp:192.0.2.2:2223", "default", 1, 0, 2)


def decision(node: Node, state: State, until: datetime | None = None, *, reason: str = "") -> Entry:
    return Entry(node.name, state, reason, "alice@lb1", NOW, until, node.url)


def after(*decisions: Entry) -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    for one in decisions:
        entries = decide(entries, one)
    return entries


def state_at(entries: Mapping[str, Entry], node: Node, moment: datetime) -> State:
    """The admin state that routing goes by."""
    return derive(matching(entries, node), Health.UP, "", moment).admin


# --- one decision after another --------------------------------------------------------------------------------------


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
@pytest.mark.parametrize("timed", list(State))
def test_what_was_decided_without_end_comes_back_after_a_timed_decision(base: State, timed: State) -> None:
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


moves = st.tuples(st.sampled_from(State), st.none() | st.integers(1, 30), st.integers(0, 12), st.booleans())


@given(st.lists(moves, max_size=8), st.integers(0, 60), st.data())
@modest(150)
def test_a_timer_never_makes_a_node_more_enabled_than_people_left_it(
    made: list[tuple[State, int | None, int, bool]], later: int, data: st.DataObject
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
        entries = decide(entries, decision(RTP2, data.draw(st.sampled_from(State)), None))
        last, lasting = state, state if until is None else lasting
        clock += pause * HOUR
        if data.draw(st.booleans(), "the timer stores what is over"):
            entries = {name: current for name, entry in entries.items() if (current := entry.at(clock)) is not None}
    clock += later * HOUR
    expected = last if until is None or clock < until else lasting
    assert state_at(entries, node, clock) is expected
    assert state_at(parse(render(entries), FILE), node, clock) is expected


# --- whom an entry speaks of -----------------------------------------------------------------------------------------


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


# --- differences between two sets ------------------------------------------------------------------------------------


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


# --- the registry's text ---------------------------------------------------------------------------------------------


@given(strategies.registries())
@example({})
@modest(100)
def test_every_registry_reads_back_as_it_was_written(entries: dict[str, Entry]) -> None:
    """By the quick parser of untouched files, and by the YAML parser of edited ones."""
    content = render(entries)
    assert parse(content, FILE) == entries
    assert parse("# edited\n" + content, FILE) == entries


@given(strategies.registries())
@modest(50)
def test_the_text_of_a_registry_follows_from_its_entries_alone(entries: dict[str, Entry]) -> None:
    assert (
        render(dict(reversed(entries.items())))
        == render(parse("# edited\n" + render(entries), FILE))
        == render(entries)
    )


@given(strategies.registries(), st.data())
@modest(100)
def test_a_change_of_a_few_entries_gives_the_same_text_as_writing_all_anew(
    entries: dict[str, Entry], data: st.DataObject
) -> None:
    """However little of the file the command composes anew."""
    entries = {name: entry for name, entry in entries.items() if ":" not in name}  # a URL for a name needs YAML
    before = read(render(entries), FILE)
    assert before.lines.keys() == entries.keys()
    after = dict(before.entries)
    for name in data.draw(st.lists(st.sampled_from([*entries, "new"]))):
        after[name] = data.draw(strategies.entries(name))
    for name in data.draw(st.lists(st.sampled_from([*after, "none"]))):
        after.pop(name, None)
    assert render(after, before) == render(after)


def test_lines_that_a_person_wrote_are_written_anew() -> None:
    """They may lean on one another, as YAML's anchors do, and one of them may go."""
    before = read("version: 1\nnodes:\n  rtp1: &same {state: disabled}\n  rtp2: *same\n", FILE)
    after = {"rtp2": before.entries["rtp2"]}
    assert render(after, before) == render(after)


def judge(content: str) -> object:
    """The entries, or that the content was refused; any other exception is a fault of the parser."""
    try:
        return parse(content, FILE)
    except DocumentError as error:
        return "refused" if error.faults else "refused without a word"


@given(strategies.registries(), st.data())
@modest(150)
def test_an_edit_is_read_or_refused_with_document_error(entries: dict[str, Entry], data: st.DataObject) -> None:
    content = render(entries)
    start = data.draw(st.integers(0, len(content)))
    end = data.draw(st.integers(start, min(len(content), start + 30)))
    inserted = data.draw(
        st.text(max_size=8) | st.sampled_from(("until: 3", "enabled", "{", '"', "\n  x: {}", "then: {"))
    )
    edited = content[:start] + inserted + content[end:]
    found = judge(edited)
    assert found == "refused" or judge(render(parse(edited, FILE))) == found


def edited_line(**fields: object) -> str:
    """A registry whose one entry is edited in place: the rest of the file is as the command wrote it."""
    line = json.dumps({"state": "disabled", "reason": "x", "by": "y"} | fields)
    return render({}).replace("nodes: {}", f"nodes:\n  rtp1: {line}")


EDITS = {
    "enabled": edited_line(state="enabled"),
    "control character": edited_line(reason="\x07"),
    "blank reason": edited_line(reason=" "),
    "then without until": edited_line(then={"state": "disabled", "reason": "", "by": ""}),
    "unknown state": edited_line(state="gone"),
    "no time": edited_line(since="soon"),
    "url no text": edited_line(url=7),
    "unknown key": edited_line(extra="x"),
    "draining": edited_line(state="draining"),
    "other zone": edited_line(since="2026-11-22T16:00:00+01:00"),
    "no such day": edited_line(since="2026-02-30T16:00:00Z"),
    "hour 24": edited_line(since="2026-11-22T24:00:00Z"),
    "empty url": edited_line(url=""),
    "text begins with a space": edited_line(by=" y"),
    "last control character": edited_line(by="\x7f"),
    "until": edited_line(until="2026-11-22T16:00:00Z"),
    "twice": edited_line() + edited_line().splitlines()[-1] + "\n",
    "not indented": edited_line().replace("  rtp1", "rtp1"),
    "last line removed": render({"rtp1": Entry("rtp1", DISABLED)}).partition("  rtp1")[0],
}


@pytest.mark.parametrize("content", EDITS.values(), ids=EDITS)
def test_the_quick_parser_and_the_yaml_parser_judge_an_edit_alike(content: str) -> None:
    """Whether a line above was touched too must not decide what a line means."""
    assert judge(content) == judge("# edited\n" + content)


def test_removing_the_last_node_by_hand_enables_it() -> None:
    """The file itself says so: a node that is not listed is enabled. What is left is `nodes:` with nothing below."""
    assert parse("version: 1\nnodes:\n", FILE) == {}


def test_a_year_with_a_digit_missing_can_be_written_and_read_again() -> None:
    entries = parse("version: 1\nnodes:\n  rtp1: {state: disabled, since: 0206-11-22T16:00:00Z}\n", FILE)
    assert parse(render(entries), FILE) == entries


def test_people_may_write_the_registry_in_any_yaml() -> None:
    content = """\
version: 1
nodes:
  # taken out for good
  rtp1:
    state: disabled
    reason: NIC swap
    since: 2026-11-22 17:00:00+01:00
    until: 2026-11-23T16:00:00
  "udp:192.0.2.2:2223": {state: draining}
"""
    assert parse(content, FILE) == {
        "rtp1": Entry("rtp1", DISABLED, "NIC swap", "", NOW, NOW + 24 * HOUR),
        RTP2.url: Entry(RTP2.url, DRAINING),
    }


_TIME = "must be a time such as 2026-11-22T18:30:00Z"


@pytest.mark.parametrize(
    ("content", "faults"),
    [
        ("", ["registry.yaml: version: is missing", "registry.yaml: nodes: is missing: a mapping of node names"]),
        ("nodes: {}", ["registry.yaml:1: version: is missing"]),
        ("version: 2\nnodes: {}", ["registry.yaml:1: version: 2: must be 1"]),
        ("version: 1\nnodes: {}\nnods: {}", ["registry.yaml:3: nods: unknown key (did you mean nodes?)"]),
        ("version: 1\nnodes: [a]", ["registry.yaml:2: nodes: a list: must be a mapping"]),
        ("version: 1\nnodes:\n  a: disabled", ["registry.yaml:3: nodes.a: disabled: must be a mapping"]),
        ("version: 1\nnodes:\n  a: {}", ["registry.yaml:3: nodes.a.state: is missing"]),
        ("version: 1\nnodes:\n  a: {state: off}", ["registry.yaml:3: nodes.a.state: False: must be draining or"]),
        (
            "version: 1\nnodes:\n  a:\n    state: enabled",
            ["registry.yaml:4: nodes.a.state: enabled: must be draining or disabled; to enable a node remove it"],
        ),
        (
            "version: 1\nnodes:\n  a: {state: disabled, reasn: x}",
            ["registry.yaml:3: nodes.a.reasn: unknown key (did you mean reason"],
        ),
        ("version: 1\nnodes:\n  a: {state: disabled, since: 3}", [f"registry.yaml:3: nodes.a.since: 3: {_TIME}"]),
        (
            "version: 1\nnodes:\n  a: {state: disabled, until: '18:30'}",
            [f"registry.yaml:3: nodes.a.until: 18:30: {_TIME}"],
        ),
        ("version: 1\nnodes:\n  a: {state: disabled, reason: 3}", ["registry.yaml:3: nodes.a.reason: 3: must be text"]),
        (
            "version: 1\nnodes:\n  a: {state: disabled, then: {state: draining}}",
            ["registry.yaml:3: nodes.a.then: needs until"],
        ),
        (
            "version: 1\nnodes:\n  a: {state: x}\n  a: {state: disabled}\n  b: {state: y}",
            ["registry.yaml:3: nodes.a.state: x: must be", "registry.yaml:4: nodes.a: appears twice (first in line 3)",
             "registry.yaml:5: nodes.b.state: y: must be"],
        ),
    ],
)  # fmt: skip
def test_every_fault_of_a_registry_is_told_with_its_line_and_what_is_valid(content: str, faults: list[str]) -> None:
    with pytest.raises(DocumentError) as caught:
        parse(content, FILE)
    found = [str(fault) for fault in caught.value.faults]
    assert len(found) == len(faults)
    for told, expected in zip(found, faults, strict=True):
        assert told.startswith(expected)


@pytest.mark.parametrize(
    "entry",
    [
        "&a {state: disabled, until: 2026-01-01T00:00:00Z, then: *a}",
        "{state: disabled, since: 0001-01-01T00:00:00+05:00}",
        "{state: disabled, reason: !!int ''}",
    ],
    ids=["follows itself", "before all time", "no number"],
)
def test_a_strange_entry_is_refused_with_document_error(entry: str) -> None:
    with pytest.raises(DocumentError):
        parse(f"version: 1\nnodes:\n  rtp1: {entry}\n", FILE)


def test_a_line_nested_without_end_is_refused_with_document_error() -> None:
    """The file is otherwise as the command writes it, so the quick parser looks at it first."""
    deep = "[" * 3000 + "]" * 3000
    with pytest.raises(DocumentError):
        parse(render({}).replace("nodes: {}", f'nodes:\n  rtp1: {{"state": {deep}}}'), FILE)


# --- single lines: shared memory and history -------------------------------------------------------------------------


@given(st.data())
@modest(50)
def test_an_entry_is_one_line_of_json_and_reads_back(data: st.DataObject) -> None:
    entry = data.draw(strategies.entries("rtp1"))
    assert len(to_json(entry).splitlines()) == 1
    assert from_json("rtp1", to_json(entry)) == entry


changes = st.builds(
    Change,
    strategies.moments,
    strategies.names,
    st.sampled_from(State),
    st.sampled_from(State),
    strategies.reasons,
    strategies.reasons,
    st.sampled_from(("command", "edit", "until")),
    st.none() | strategies.moments,
)


@given(changes)
@modest(50)
def test_a_change_is_one_line_of_json_and_reads_back(change: Change) -> None:
    assert len(change_to_json(change).splitlines()) == 1
    assert change_from_json(change_to_json(change)) == change


def test_a_line_of_the_history_says_when_who_what_from_to_why_and_by_which_way() -> None:
    change = Change(NOW, "rtp1", ENABLED, DISABLED, "NIC swap", "alice@lb1", "command", NOW + HOUR)
    assert json.loads(change_to_json(change)) == {
        "at": "2026-11-22T16:00:00Z", "node": "rtp1", "from": "enabled", "to": "disabled", "reason": "NIC swap",
        "by": "alice@lb1", "way": "command", "until": "2026-11-22T17:00:00Z",
    }  # fmt: skip


@given(changes, st.integers(0))
@modest(50)
def test_a_line_that_a_crash_cut_short_is_no_change(change: Change, cut: int) -> None:
    line = change_to_json(change)
    assert change_from_json(line[: cut % len(line)]) is None


@pytest.mark.parametrize("line", ["", "[]", "3", "null", "{}", '{"at": 3}', "x", '"text"'])
def test_a_line_that_is_no_change_is_none(line: str) -> None:
    assert change_from_json(line) is None


def test_what_follows_a_decision_is_about_the_node_that_it_is_about() -> None:
    """Also when the decision goes on for another node, because names and URLs were exchanged."""
    first, second = (
        Node("rtp1", "udp:192.0.2.2:2223", "default", 1, 0, 2),
        Node("rtp2", "udp:192.0.2.1:2223", "default", 1, 0, 1),
    )
    then = Entry("rtp1", State.DISABLED, "NIC swap", "alice@lb1", NOW, None, "udp:192.0.2.1:2223")
    timed = replace(then, state=State.DRAINING, until=NOW + HOUR, then=then)
    after = decide(
        {"rtp1": timed}, Entry("rtp2", State.DISABLED, "kernel", "bob@lb1", NOW, None, second.url), [first, second]
    )
    assert after["rtp1"].url == first.url
    assert after["rtp1"].then == replace(then, url=first.url)
