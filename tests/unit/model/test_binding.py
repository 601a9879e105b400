"""Bindings: what is noted of a call reads back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kemi_rtp.model.binding import (
    ENDED,
    ROOT,
    Binding,
    Kind,
    call_id_at_node,
    key_of,
    list_of,
    parse,
    parse_numbers,
    set_of,
)
from tests.unit.strategies import modest

tags = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=20)
settled = st.lists(tags.filter(bool), max_size=3).map(tuple)
bindings = st.builds(Binding, st.sampled_from(Kind), st.integers(1, 0x7FFFFFFF), tags, tags, settled)
numbers = st.lists(st.from_regex(r"[0-9a-f]{1,8}([.~][0-9a-f]{1,8})?", fullmatch=True), unique=True, max_size=5)


@given(bindings)
@modest(100)
def test_a_binding_reads_back(binding: Binding) -> None:
    assert parse(str(binding)) == binding
    assert set_of(str(binding)) == binding.set_id


@given(numbers)
@modest(60)
def test_numbers_read_back_and_are_no_binding(chosen: list[str]) -> None:
    listed = list_of(chosen)
    assert parse_numbers(listed) == tuple(chosen)
    assert parse(listed) is None
    assert set_of(listed) is None


def test_a_plain_number_is_an_offer_that_nobody_has_answered() -> None:
    assert parse(7) == Binding(Kind.OFFERED, 7)
    assert not Binding(Kind.OFFERED, 7).is_dialog


@pytest.mark.parametrize("value", [None, "", ENDED, "nonsense", "=", "=x y z", "=5", "~~", "-"])
def test_what_nobody_wrote_binds_nothing(value: str | None) -> None:
    assert parse(value) is None
    assert set_of(value) is None


@given(bindings)
@modest(60)
def test_no_binding_is_taken_for_a_list_or_for_the_end(binding: Binding) -> None:
    assert parse_numbers(str(binding)) is None
    assert str(binding) != ENDED


def test_a_request_belongs_to_a_dialog_from_either_side_and_by_both_tags() -> None:
    dialog = Binding(Kind.ANSWERED, 1, "a", "b")
    assert dialog.has_tags("a", "b")
    assert dialog.has_tags("b", "a")
    assert not dialog.has_tags("a", "x")
    assert not dialog.has_tags("a", "a")


def test_only_sessions_with_numbers_of_their_own_have_another_call_id_at_the_node() -> None:
    assert call_id_at_node("c", "") == call_id_at_node("c", ROOT) == "c"
    assert call_id_at_node("c", "1.0") == key_of("c", "1.0") == "c#1.0"
