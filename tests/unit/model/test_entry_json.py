"""One decision as one line."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kemi_rtp.model.entry_json import from_json, to_json
from tests.unit import strategies
from tests.unit.strategies import modest


@given(st.data())
@modest(50)
def test_an_entry_is_one_line_of_json_and_reads_back(data: st.DataObject) -> None:
    entry = data.draw(strategies.entries("rtp1"))
    assert len(to_json(entry).splitlines()) == 1
    assert from_json("rtp1", to_json(entry)) == entry
