"""The module's own view of its nodes, in both dialects of rtpengine.show."""

from __future__ import annotations

from typing import Any

import pytest

from kemi_rtp.module.rows import Row, parse_rows

URL = "udp:192.0.2.1:2223"
# As Kamailio 5.6.3 and 6.0 print them.
OLD = {"url": URL, "set": 7, "index": 0, "weight": 1, "disabled": 0, "recheck_ticks": 0}
NEW = {"url": URL, "set": 7, "index": 0, "weight": 1, "disabled": 0, "active": 1, "recheck_ticks": 0}


@pytest.mark.parametrize(
    ("item", "active", "permanent", "shown"),
    [
        (OLD, True, False, "active"),
        (OLD | {"disabled": 1, "recheck_ticks": 35}, False, False, "inactive"),
        (OLD | {"disabled": "1(permanent)", "recheck_ticks": "N/A"}, False, True, "disabled"),
        (NEW, True, False, "active"),
        (NEW | {"active": 0, "recheck_ticks": 35}, False, False, "inactive"),
        (NEW | {"disabled": 1, "active": 0, "recheck_ticks": -1}, False, True, "disabled"),
        (NEW | {"disabled": 1, "active": 1}, False, True, "disabled"),
    ],
)
def test_both_dialects_tell_a_permanent_disable_from_a_node_that_is_out_for_a_while(
    item: dict[str, Any], active: bool, permanent: bool, shown: str
) -> None:
    (row,) = parse_rows(item).values()
    assert row == Row(URL, 7, active, permanent, 1)
    assert str(row) == shown


def test_several_nodes_are_a_list_and_one_is_not() -> None:
    other = OLD | {"url": "udp:192.0.2.2:2223", "set": 8}
    assert parse_rows([OLD, other]).keys() == {URL, "udp:192.0.2.2:2223"}
    assert parse_rows(OLD) == parse_rows([OLD])


def test_no_nodes_are_no_rows() -> None:
    assert parse_rows([]) == {}
