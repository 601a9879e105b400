"""The text of registry.yaml: what is written reads back, what people write is judged."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kemi_rtp.files.documents import DocumentError
from kemi_rtp.files.registry_yaml import parse, read, render
from kemi_rtp.model.admin import Entry
from tests.unit import strategies
from tests.unit.strategies import modest
from tests.unit.words import DISABLED, DRAINING, FILE, HOUR, NOW, RTP2


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
