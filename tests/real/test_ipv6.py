"""The same over IPv6: SIP, the NG protocol and media on ::1."""

from collections.abc import Iterator

import pytest

from tests.lab.kamailio import Line
from tests.lab.ports import has_ipv6_loopback
from tests.lab.world import World

pytestmark = pytest.mark.skipif(not has_ipv6_loopback(), reason="this machine has no ::1")


@pytest.fixture(scope="module")
def module_world(kamailio_line: Line) -> Iterator[World]:
    """Two nodes and Kamailio on ::1."""
    with World(nodes=2, host="::1", line=kamailio_line) as world:
        yield world


@pytest.mark.parametrize("kind", ["plain", "delayed_offer", "bye_from_callee"])
def test_calls_are_relayed(world: World, kind: str) -> None:
    outcome = world.call(kind, calls=3)
    outcome.assert_ok()
    world.wait_deleted(outcome.call_ids)
    for call_id in outcome.call_ids:
        assert list(world.served(call_id).values()) == [["offer", "answer", "delete"]], call_id


def test_a_call_stays_on_its_node_through_a_restart(world: World) -> None:
    calls = world.begin("held", calls=4)
    calls.wait_established()
    world.kamailio.restart()
    calls.reinvite()
    calls.hang_up().assert_ok()
    world.wait_deleted(calls.call_ids)
    for call_id in calls.call_ids:
        assert list(world.served(call_id).values()) == [["offer", "answer"] * 2 + ["delete"]], call_id


def test_a_disabled_node_gets_nothing(world: World) -> None:
    world.command("disable", "rtp2", "--reason", "NIC swap")
    since = world.mark()
    world.wait_for_pings("rtp1", number=4)
    world.call("plain", calls=10, rate=50).assert_ok()
    assert world.counts(since)["rtp2"] == {}
