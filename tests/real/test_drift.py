"""The situations of test_stock.py and worse, with kemi_rtp: not one packet of ours, and the module's state comes back.

The configuration is a user's own that leaves the module's ping timer on, at 1 s (6.x; 5.6 has none). Packets are
counted on the wire, those to a node that is down too, and by sender: pings of the module's own timer and of the
operator's own RPC are not ours to answer for; everything else is.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import cycle
from typing import Any

import pytest

from tests.lab import situations
from tests.lab.kamailio import Line
from tests.lab.process import wait_until
from tests.lab.wire import KEMI_RTP, TIMER, Wire
from tests.lab.world import World, pinging_world

Observe = Callable[[str], None]

# The module says that a node does not answer, and what it makes of a reload in the middle of a call.
pytestmark = pytest.mark.faults(r"\brtpengine \[rtpengine\.c:", r"kemi_rtp: .* works? against the registry")


@pytest.fixture(scope="module")
def module_world(kamailio_line: Line) -> Iterator[World]:
    with pinging_world(kamailio_line, nodes=3) as world, world.wiretap():
        yield world


@pytest.fixture(autouse=True)
def _fresh(world: World) -> Iterator[None]:
    """A Kamailio that has repaired nothing yet: it repairs a node less often that drifts again and again."""
    world.kamailio.restart()
    world.wait_routable(*world.nodes)
    yield
    for name, node in world.nodes.items():
        node.thaw()
        if not node.process.is_running:
            node.start()
        if world.shown(name)["admin"] != "enabled":
            world.command("enable", name)
        if not world.is_active(name):
            world.native("enable", node.url, 1)  # also where a test has failed half-way


def wire_of(world: World) -> Wire:
    assert world.wire is not None
    return world.wire


def ours(world: World, since: int, name: str = "rtp2") -> "Counter[str]":
    """What kemi_rtp sent to a node, itself or by way of the module."""
    return wire_of(world).counts(name, since, KEMI_RTP)


def disable(world: World) -> int:
    """Disable rtp2 by the command; returns the moment after."""
    world.command("disable", "rtp2", "--reason", "NIC swap", "--by", "alice")
    return wire_of(world).mark()


def assert_calls_avoid(world: World, since: int) -> None:
    """New calls go well and are all served by the others, and nothing of ours has gone to rtp2 since."""
    before = wire_of(world).mark()
    world.call("plain", calls=20, rate=100).assert_ok()
    assert sum(ours(world, before, name)["offer"] for name in ("rtp1", "rtp3")) >= 20
    assert ours(world, since) == {}, wire_of(world).sent("rtp2", since, KEMI_RTP)[:10]


def assert_takes_calls(world: World, name: str = "rtp2") -> None:
    world.wait_routable(name)
    since = world.mark()
    world.call("plain", calls=30, rate=100).assert_ok()
    assert world.counts(since)[name]["offer"] > 0


def rounds(world: World, since: int) -> int:
    """How many rounds of pings kemi_rtp has begun since: as many timer ticks have passed."""
    return ours(world, since, "rtp1")["ping"]


def pass_rounds(world: World, number: int = 2) -> None:
    since = wire_of(world).mark()
    wait_until(lambda: rounds(world, since) > number, f"{number} timer ticks")


def assert_mark_is_back(world: World) -> None:
    """The module holds rtp2 for permanently disabled again, within two ticks from now.

    The ticks are counted before each look: this process may be late, but the mark must not. While the node is down the
    timer of 6.0.1 takes the mark away each second; once kemi_rtp has said that it is fought, it repairs more slowly.
    """
    since = wire_of(world).mark()
    while True:
        passed = rounds(world, since)
        if world.is_permanent("rtp2"):
            return
        if "rtp2 has drifted" in world.kamailio.log().rpartition(" nodes; ")[2]:  # since the last start
            return
        assert passed <= 2, f"not after {passed} ticks: {world.native_state('rtp2')}"


def drifts(world: World, name: str = "rtp2") -> list[dict[str, Any]]:
    """The entries of kind `drift` in the history of a node, the oldest first."""
    entries: list[dict[str, Any]] = json.loads(world.command("history", name, "--json"))
    return sorted((entry for entry in entries if entry["way"] == "drift"), key=lambda entry: str(entry["at"]))


# --- a disabled node --------------------------------------------------------------------------------------------------


def timer(world: World) -> None:
    """The module's own timer has looked at all nodes, where there is one."""
    wire = wire_of(world)
    if world.kamailio.line.version().startswith("5."):
        pass_rounds(world)
        return
    since = wire.mark()
    wait_until(lambda: wire.counts("rtp1", since, TIMER)["ping"] >= 2, "the module's timer pings")


def ping(world: World) -> None:
    world.native("ping", "all")


def enable(world: World) -> None:
    world.native("enable", world.nodes["rtp2"].url, 1)


def disable_again(world: World) -> None:
    world.native("enable", world.nodes["rtp2"].url, 0)


def stop(world: World) -> None:
    world.nodes["rtp2"].stop()


def start(world: World) -> None:
    world.nodes["rtp2"].start()


def ping_and_enable(world: World) -> None:
    ping(world)
    enable(world)
    world.native("ping", world.nodes["rtp2"].url)


def restart(world: World) -> None:
    world.kamailio.restart()


def case(happening: Callable[[World], None], situation: str) -> Any:
    return pytest.param(happening, marks=pytest.mark.situation(situation, "kemi_rtp"), id=happening.__name__)


@pytest.mark.parametrize("state", ["up", "down"])
@pytest.mark.parametrize(
    "happening",
    [
        case(timer, situations.TIMER),
        case(ping, situations.PING),
        case(enable, situations.ENABLE),
        case(disable_again, situations.DISABLE),
        case(ping_and_enable, situations.ENABLE),
        case(restart, situations.RESTART),
    ],
)
def test_a_disabled_node_gets_nothing_of_ours(
    world: World, observe: Observe, happening: Callable[[World], None], state: str
) -> None:
    """No offer, answer, delete or ping, while it is down and when it is back; the mark is back within two ticks."""
    if state == "down":
        world.nodes["rtp2"].stop()
    since = disable(world)
    assert_mark_is_back(world)
    happening(world)
    assert_mark_is_back(world)
    assert_calls_avoid(world, since)
    if state == "down":
        world.nodes["rtp2"].start()
        timer(world)
        assert_calls_avoid(world, since)
    observe("0 packets")
    world.command("enable", "rtp2")
    assert_takes_calls(world)


@pytest.mark.situation(situations.RELOAD, "kemi_rtp")
@pytest.mark.parametrize("state", ["up", "down"])
def test_a_disabled_node_gets_nothing_of_ours_through_a_reload(world: World, observe: Observe, state: str) -> None:
    """Also when somebody pings it and enables it in the module at once.

    Each process makes its list of nodes anew after a reload, and the module's RPCs ping all that seem enabled then.
    """
    if state == "down":
        world.nodes["rtp2"].stop()
    since = disable(world)
    world.native_reload()
    ping(world)
    enable(world)
    assert_mark_is_back(world)
    assert_calls_avoid(world, since)
    if state == "down":
        world.nodes["rtp2"].start()
    timer(world)
    assert_calls_avoid(world, since)
    observe("0 packets")


@pytest.mark.long
@pytest.mark.xdist_group("load")  # one after the other, for the machine's sake
@pytest.mark.situation(situations.ALL_AT_ONCE, "kemi_rtp")
def test_a_cron_job_and_an_operator_at_once(world: World, observe: Observe) -> None:
    """`rtpengine.reload` every 11 s, pings, native enables and disables, a node that comes and goes: no call fails."""
    since = disable(world)
    load = world.begin("plain", calls=None, rate=100, ring_ms=200, pause_ms=300)
    actions = cycle([ping, enable, stop, ping, enable, disable_again, ping, start])
    reloads = 0
    while reloads < 2:
        next(actions)(world)
        pass_rounds(world, 1)
        reloads += world.try_native_reload()  # refused within 10 s: this cron job comes as soon as it may
        assert ours(world, since) == {}, wire_of(world).sent("rtp2", since, KEMI_RTP)[:10]
    pass_rounds(world)
    outcome = load.finish()
    assert outcome.failed == 0, outcome
    assert ours(world, since) == {}, wire_of(world).sent("rtp2", since, KEMI_RTP)[:10]
    observe("0 packets, no call fails")


# --- repairs ----------------------------------------------------------------------------------------------------------


def test_a_native_enable_is_undone_and_answered_with_the_command_to_use(world: World) -> None:
    """One log line and one history entry, however many ticks pass."""
    disable(world)
    assert_mark_is_back(world)
    log, before = world.kamailio.mark(), len(drifts(world))
    enable(world)
    assert_mark_is_back(world)
    pass_rounds(world, 5)
    told = [line for line in world.kamailio.log(log).splitlines() if "drift" in line]
    assert len(told) == 1, told
    assert "kemi-rtp enable rtp2" in told[0]
    entries = drifts(world)[before:]
    assert len(entries) == 1, entries
    assert (entries[0]["from"], entries[0]["to"]) == ("disabled", "disabled")
    shown = world.shown("rtp2")
    assert (shown["admin"], shown["by"].partition("@")[0]) == ("disabled", "alice")


@pytest.mark.parametrize("state", ["up", "down"])
def test_a_native_disable_is_adopted(world: World, state: str) -> None:
    """`rtpengine.enable URL 0` becomes an entry of the registry, with its origin, and holds through a restart."""
    if state == "down":
        world.nodes["rtp2"].stop()
    before = len(drifts(world))
    timer(world)  # 6.0.1 would make an end of the mark with its next look at a node that is down, a second from now
    disable_again(world)
    wait_until(lambda: world.shown("rtp2")["admin"] == "disabled", "the disable is adopted")
    since = wire_of(world).mark()
    assert f"rtpengine.enable {world.nodes['rtp2'].url} 0" in world.shown("rtp2")["reason"]
    assert_calls_avoid(world, since)
    entries = drifts(world)[before:]
    assert [(entry["from"], entry["to"]) for entry in entries if entry["from"] != "disabled"] == [
        ("enabled", "disabled")
    ]
    if state == "down":
        world.nodes["rtp2"].start()
    world.kamailio.restart()
    pass_rounds(world)
    assert_calls_avoid(world, since)
    assert_mark_is_back(world)
    world.command("enable", "rtp2")
    assert_takes_calls(world)


def test_calls_go_on_while_a_native_disable_is_adopted(world: World) -> None:
    """Between the RPC and the tick the module refuses the node: its calls move on, none fails."""
    load = world.begin("plain", calls=None, rate=50)
    since = world.mark()
    wait_until(lambda: world.counts(since)["rtp2"]["offer"] > 0, "rtp2 takes calls")
    world.command("drain", "rtp2", "--reason", "so that no call is half set up")
    wait_until(lambda: world.shown("rtp2")["calls"] == 0, "rtp2 has no calls left", 20)
    world.command("enable", "rtp2")
    world.wait_routable("rtp2")
    disable_again(world)
    wait_until(lambda: world.shown("rtp2")["admin"] == "disabled", "the disable is adopted")
    pass_rounds(world)
    outcome = load.finish()
    # Calls that rang on it at that moment get no relayed media; no other call suffers.
    unanswered = [call_id for call_id in outcome.call_ids if world.served(call_id).get("rtp2") == ["offer"]]
    assert outcome.failed <= len(unanswered), outcome


def test_who_fights_back_is_reported_and_not_fought_at_full_speed(world: World) -> None:
    """A program that enables the node natively again and again: reported once, and calls are not touched by it."""
    since = disable(world)
    assert_mark_is_back(world)
    log, before = world.kamailio.mark(), len(drifts(world))
    fights = 15
    for _ in range(fights):
        enable(world)
        pass_rounds(world, 1)
    assert 0 < len(drifts(world)) - before <= fights / 2
    told = [line for line in world.kamailio.log(log).splitlines() if re.search(r"rtp2 has drifted .* times", line)]
    assert len(told) == 1, told
    assert_calls_avoid(world, since)


def test_repairs_do_not_repeat_themselves(world: World) -> None:
    """6.0.1's timer demotes a node that is down, once a second: at most one entry for each of its pings."""
    world.nodes["rtp2"].stop()
    since, before = disable(world), len(drifts(world))
    timer(world)
    timer(world)
    assert len(drifts(world)) - before <= wire_of(world).counts("rtp2", since, TIMER)["ping"]
    assert ours(world, since) == {}
