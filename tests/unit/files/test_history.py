"""The lines of the history."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kemi_rtp.files.history import from_json as change_from_json
from kemi_rtp.files.history import to_json as change_to_json
from kemi_rtp.model.admin import AdminState, Change
from tests.unit import strategies
from tests.unit.strategies import modest
from tests.unit.words import DISABLED, ENABLED, HOUR, NOW

changes = st.builds(
    Change,
    strategies.moments,
    strategies.names,
    st.sampled_from(AdminState),
    st.sampled_from(AdminState),
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
