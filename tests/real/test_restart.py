"""Calls that are up stay on their node when Kamailio restarts or its script is reloaded."""

from collections.abc import Callable

import pytest

from tests.lab.world import World


def restart(world: World) -> None:
    world.kamailio.restart()


def crash(world: World) -> None:
    world.kamailio.kill()
    world.kamailio.start()


def reload_script(world: World) -> None:
    """Every worker runs the script anew, and changed package code with it, at its next message."""
    world.kamailio.rpc("app_python.reload")
    # Loading takes a worker some tens of milliseconds: nothing that another one handles must overtake in that time.
    world.call("plain", calls=20, rate=20, ring_ms=300, pause_ms=300).assert_ok()


@pytest.mark.parametrize("happening", [restart, crash, reload_script])
def test_calls_stay_on_their_node(world: World, happening: Callable[[World], None]) -> None:
    """Afterwards re-INVITE and BYE of each call go to the node that has its media.

    The calls begin while one node is out, so that choosing anew by Call-ID would move a third of them.
    """
    world.command("disable", "rtp2", "--reason", "test")
    calls = world.begin("held", calls=12, rate=100)
    calls.wait_established()
    world.command("enable", "rtp2")
    world.wait_routable("rtp2")
    nodes = {call_id: next(iter(world.served(call_id))) for call_id in calls.call_ids}
    assert set(nodes.values()) == {"rtp1", "rtp3"}
    since = world.mark()
    happening(world)
    calls.reinvite()
    calls.hang_up().assert_ok()
    world.wait_deleted(calls.call_ids)
    for call_id, name in nodes.items():
        assert world.served(call_id, since) == {name: ["offer", "answer", "delete"]}, call_id


def test_a_bye_after_a_restart_ends_the_media(world: World) -> None:
    """No re-INVITE in between: the Route header alone names the node."""
    calls = world.begin("held", calls=6, rate=100)
    calls.wait_established()
    world.kamailio.restart()
    calls.hang_up().assert_ok()
    world.wait_deleted(calls.call_ids)
    for call_id in calls.call_ids:
        assert list(world.served(call_id).values()) == [["offer", "answer", "delete"]], call_id


def test_a_script_reload_keeps_a_disable(world: World) -> None:
    world.command("disable", "rtp3", "--reason", "test")
    since = world.mark()
    reload_script(world)
    assert world.counts(since)["rtp3"] == {}


def test_a_disable_after_a_script_reload_holds(world: World) -> None:
    """The workers' new code sees what the command publishes."""
    reload_script(world)
    world.command("disable", "rtp3", "--reason", "test")
    since = world.mark()
    world.call("plain", calls=20, rate=100).assert_ok()
    assert world.counts(since)["rtp3"] == {}
