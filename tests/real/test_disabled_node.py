"""A node that an operator took out stays out: through calls, timer ticks, reloads and restarts."""

from collections.abc import Callable

import pytest

from tests.lab.calls import Calls
from tests.lab.laboratory import Mark
from tests.lab.process import wait_until
from tests.lab.world import World

OTHERS = ("rtp1", "rtp3")


def disable(world: World, *names: str) -> Mark:
    """Disable nodes (rtp2 by default); what reaches them from the returned mark on came after the command."""
    for name in names or ("rtp2",):
        world.command("disable", name, "--reason", "NIC swap", "--by", "alice")
    return world.mark()


def assert_calls_avoid(world: World, since: Mark, *names: str) -> None:
    """New calls go well, and nothing at all has reached these nodes since the mark."""
    world.call("plain", calls=20, rate=50).assert_ok()
    for name in names or ("rtp2",):
        assert world.counts(since)[name] == {}, f"{name} was sent {world.counts(since)[name]}"


def ticks(world: World) -> None:
    """Enabled nodes are pinged, so the timer has run several times."""
    world.wait_for_pings(*OTHERS, number=4)


def reload_by_command(world: World) -> None:
    world.command("reload")


def reload_natively(world: World) -> None:
    world.native_reload()
    ticks(world)


def restart(world: World) -> None:
    world.kamailio.restart()
    ticks(world)


def crash(world: World) -> None:
    """kill -9, and a start afterwards."""
    world.kamailio.kill()
    world.kamailio.start()
    ticks(world)


@pytest.mark.parametrize("happening", [restart, crash, ticks, reload_by_command, reload_natively])
def test_a_disabled_node_gets_nothing(world: World, happening: Callable[[World], None]) -> None:
    """No offer, answer, delete or ping: 0 packets, counted by the daemon; enabled again, it takes calls."""
    since = disable(world)
    assert_calls_avoid(world, since)
    happening(world)
    assert_calls_avoid(world, since)
    world.command("enable", "rtp2")
    world.wait_routable("rtp2")
    enabled = world.mark()
    world.call("plain", calls=30, rate=50).assert_ok()
    assert world.counts(enabled)["rtp2"]["offer"] > 0


def test_not_one_packet_reaches_the_node_once_disable_has_returned(world: World) -> None:
    """Under load, several times: whatever a worker was about to send was sent, or is not sent."""
    load = world.begin("plain", calls=None, rate=100)
    for _ in range(5):
        wait_for_offers(world, "rtp2", 5)
        since = disable(world)
        wait_for_offers(world, "rtp1", 20)
        assert world.counts(since)["rtp2"] == {}
        world.command("enable", "rtp2")
    outcome = load.finish()
    # Calls that rang on the node at the moment of a disable go on without relayed media; no other call suffers.
    unanswered = [c for c in outcome.call_ids if "answer" not in world.served(c).get("rtp2", ["answer"])]
    assert outcome.failed <= len(unanswered), outcome


def wait_for_offers(world: World, name: str, number: int) -> None:
    since = world.mark()
    wait_until(lambda: world.counts(since)[name]["offer"] >= number, f"{name} takes {number} calls")


def test_show_says_who_disabled_a_node_and_why(world: World) -> None:
    disable(world)
    shown = world.shown("rtp2")
    assert (shown["admin"], shown["routable"]) == ("disabled", False)
    assert "NIC swap" in shown["reason"]
    assert shown["by"].startswith("alice")
    assert shown["since"]
    assert world.shown("rtp1")["routable"] is True


def test_a_node_disabled_while_down_stays_out_when_it_is_back(world: World) -> None:
    """Kamailio issue 4247: the module's own mark is lost when a disabled node does not answer."""
    world.nodes["rtp2"].stop()
    since = disable(world)
    assert_calls_avoid(world, since)
    world.nodes["rtp2"].start()
    ticks(world)
    assert_calls_avoid(world, since)


def test_a_disable_while_kamailio_is_down_holds_from_its_start(world: World) -> None:
    """Exit code 3: saved, but Kamailio is not reachable. Not one ping at the start."""
    world.kamailio.stop()
    done = world.kemi_rtp("disable", "rtp2", "--reason", "NIC swap")
    assert done.returncode == 3, done.stderr
    since = world.mark()
    world.kamailio.start()
    assert_calls_avoid(world, since)
    ticks(world)
    assert world.counts(since)["rtp2"] == {}


def test_a_call_whose_node_is_disabled_moves_at_its_next_offer(world: World) -> None:
    """The re-INVITE is offered and answered on another node; the disabled one gets nothing, not even the delete."""
    calls = held_calls(world)
    on_rtp2 = [call_id for call_id in calls.call_ids if "rtp2" in world.served(call_id)]
    since = disable(world)
    calls.reinvite()
    calls.hang_up().assert_ok()
    assert world.counts(since)["rtp2"] == {}
    world.wait_deleted(on_rtp2)
    for call_id in on_rtp2:
        assert list(world.served(call_id, since).values()) == [["offer", "answer", "delete"]], call_id


def test_a_draining_node_serves_its_calls_and_takes_no_new_ones(world: World) -> None:
    """Re-INVITE and BYE of its calls reach it, the delete above all; new calls go elsewhere."""
    sessions = world.nodes["rtp2"].sessions()  # those of calls that moved away while it was disabled stay for long
    calls = held_calls(world)
    on_rtp2 = [call_id for call_id in calls.call_ids if "rtp2" in world.served(call_id)]
    world.command("drain", "rtp2", "--reason", "kernel update")
    since = world.mark()
    new = world.call("plain", calls=20, rate=50)
    new.assert_ok()
    assert not [call_id for call_id in new.call_ids if "rtp2" in world.served(call_id)]
    wait_until(lambda: world.shown("rtp2")["calls"] == len(on_rtp2), "show counts the calls of the draining node")
    calls.reinvite()
    calls.hang_up().assert_ok()
    world.wait_deleted(on_rtp2)
    for call_id in on_rtp2:
        assert world.served(call_id, since) == {"rtp2": ["offer", "answer", "delete"]}, call_id
    wait_until(lambda: world.shown("rtp2")["calls"] == 0, "the draining node has no calls left")
    assert world.nodes["rtp2"].sessions() == sessions


def test_a_drain_holds_through_a_restart(world: World) -> None:
    world.command("drain", "rtp2", "--reason", "kernel update")
    since = world.mark()
    world.kamailio.restart()
    world.call("plain", calls=20, rate=50).assert_ok()
    assert world.counts(since)["rtp2"]["offer"] == 0
    assert world.shown("rtp2")["admin"] == "draining"


def test_a_call_is_refused_with_503_and_a_reason_when_no_node_may_take_it(world: World) -> None:
    """Every node disabled: the caller is told, and no node is sent anything."""
    since = disable(world, *world.nodes)
    world.call("unavailable", calls=2, timeout=10).assert_ok()
    assert world.counts(since) == {name: {} for name in world.nodes}


def test_nobody_is_called_when_no_node_may_take_the_call(world: World) -> None:
    """Draining nodes take no new call either, not even as a last resort."""
    for name in world.nodes:
        world.command("drain", name, "--reason", "kernel update")
    since = world.mark()
    world.call("unavailable", calls=2, timeout=10).assert_ok()
    assert all(counts["offer"] == 0 for counts in world.counts(since).values())


def held_calls(world: World) -> Calls:
    """Calls that are up and wait, some of them on rtp2."""
    calls = world.begin("held", calls=12, rate=100)
    calls.wait_established()
    assert any("rtp2" in world.served(call_id) for call_id in calls.call_ids)
    return calls
