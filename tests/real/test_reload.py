"""Nodes come, go and change their weight at run time: calls that are up stay, new ones follow the file, none fails."""

import time
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from tests.lab.calls import Calls
from tests.lab.kamailio import Line
from tests.lab.process import wait_until
from tests.lab.wire import KEMI_RTP
from tests.lab.world import World, pinging_world

# What the module makes of a reload in the middle of a call.
pytestmark = pytest.mark.faults(r"\brtpengine \[rtpengine\.c:")

EVERY = 11.0  # seconds from one reload to the next: the module takes none within 10 s of the last


@pytest.fixture(scope="module")
def module_world(kamailio_line: Line) -> Iterator[World]:
    """Five daemons, of which nodes.yaml has the first four; the module's own ping timer is on where there is one."""
    world = pinging_world(kamailio_line, nodes=5)
    world.write_nodes(["rtp1", "rtp2", "rtp3", "rtp4"])
    with world, world.wiretap():
        yield world


def add(world: World) -> None:
    """rtp5 takes calls: the module has read its table again."""
    world.write_nodes()
    world.command("reload")
    since = world.mark()
    wait_until(lambda: world.counts(since)["rtp5"]["offer"] > 0, "rtp5 takes calls")


def remove(world: World) -> None:
    """rtp4 is drained first, and takes no calls from then on."""
    world.command("drain", "rtp4", "--reason", "leaves")
    wait_until(lambda: world.shown("rtp4")["calls"] == 0, "rtp4 has no calls left")
    world.write_nodes(["rtp1", "rtp2", "rtp3", "rtp5"])
    world.command("reload")
    since = world.mark()
    wait_until(lambda: world.counts(since)["rtp5"]["offer"] >= 50, "others take calls")
    assert world.counts(since)["rtp4"].keys() <= {"ping", "statistics"}


def reweigh(world: World) -> None:
    """rtp5 has 9 of 11 parts now, and gets more than the others together; before, it had a third."""
    world.write_nodes(["rtp1", "rtp2", "rtp3", "rtp5"], rtp5=9)
    world.command("reload")
    since = world.mark()
    wait_until(lambda: sum(counts["offer"] for counts in world.counts(since).values()) >= 150, "150 calls")
    offers = {name: counts["offer"] for name, counts in world.counts(since).items()}
    assert offers["rtp5"] > offers["rtp1"] + offers["rtp3"], offers


def held_calls(world: World) -> tuple[Calls, dict[str, str]]:
    """Calls that are up, and their nodes by Call-ID."""
    held = world.begin("held", calls=48, rate=50, timeout=180)
    held.wait_established()
    return held, {call_id: next(iter(world.served(call_id))) for call_id in held.call_ids}


def assert_re_invites_stay(world: World, held: Calls, homes: dict[str, str]) -> None:
    """On a busy machine something may be sent again, and then its answer is, too."""
    since = world.mark()
    held.reinvite()
    for call_id, name in homes.items():
        assert world.served(call_id, since).keys() == {name}, call_id


@pytest.mark.long
@pytest.mark.xdist_group("load")  # one after the other, for the machine's sake
def test_a_reload_every_11_s_under_load_costs_no_call(world: World) -> None:
    """100 calls a second, and calls that are up for all the time; a disabled node gets nothing."""
    world.command("disable", "rtp2", "--reason", "NIC swap")
    assert world.wire is not None
    disabled = world.wire.mark()
    world.command("drain", "rtp4", "--reason", "the calls that stay up shall not be on the node that leaves")
    held, homes = held_calls(world)
    assert set(homes.values()) == {"rtp1", "rtp3"}
    world.command("enable", "rtp4")
    world.wait_routable("rtp4")
    load = world.begin("plain", calls=None, rate=100, ring_ms=200, pause_ms=300, timeout=180)
    changes: list[Callable[[World], None]] = [add, remove, reweigh]
    for change in changes:
        begun = time.monotonic()
        change(world)
        assert_re_invites_stay(world, held, homes)
        if change is not reweigh:
            wait_until(partial(has_passed, EVERY, begun), "it is time for the next reload", EVERY + 1)
    held.hang_up().assert_ok()
    world.wait_deleted(held.call_ids)
    outcome = load.finish()
    assert outcome.failed == 0, outcome
    for call_id, name in homes.items():
        assert [(at, asked[-1]) for at, asked in world.served(call_id).items()] == [(name, "delete")], call_id
    assert world.wire.sent("rtp2", disabled, KEMI_RTP) == []


@pytest.mark.only_on("5.6")  # a matter of kemi_rtp alone
def test_calls_on_a_removed_node_stay_on_it_to_their_end(world: World) -> None:
    """It drains: re-INVITE, BYE and the delete reach it."""
    world.write_nodes()
    world.command("reload")
    world.wait_routable(*world.nodes)
    held, homes = held_calls(world)
    assert "rtp4" in homes.values()
    world.write_nodes(["rtp1", "rtp2", "rtp3", "rtp5"])
    world.command("reload")
    assert_re_invites_stay(world, held, homes)
    held.hang_up().assert_ok()
    world.wait_deleted(held.call_ids)
    for call_id, name in homes.items():
        assert [(at, asked[-1]) for at, asked in world.served(call_id).items()] == [(name, "delete")], call_id


def has_passed(seconds: float, since: float) -> bool:
    return time.monotonic() - since >= seconds
