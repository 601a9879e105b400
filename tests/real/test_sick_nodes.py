"""A media node that freezes, dies or fills up costs the calls on it, never the proxy."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.lab.calls import Calls, Outcome
from tests.lab.process import wait_until
from tests.lab.world import World

# What the rtpengine module itself logs of a node that does not answer.
pytestmark = pytest.mark.faults(
    "can't (send|read|reply)",
    "timeout waiting",
    "no available proxies",
    "failed to select new",
    "already been queried",  # 6.x
    "did not respond to ping",
)


WORKERS = 4  # of the laboratory's Kamailio


def half_set_up(world: World, outcome: Outcome, *names: str) -> list[str]:
    """Calls that had been offered on a node, and not yet answered, when it went; nothing can save their media.

    Of what a node has read last, as much as there are workers, it may not have answered.
    """
    served = {call_id: world.served(call_id) for call_id in outcome.call_ids}
    unanswered = {packet.call_id for name in names for packet in world.nodes[name].packets()[-WORKERS:]}
    return [
        call_id
        for call_id, by in served.items()
        if any(name in by and ("answer" not in by[name] or call_id in unanswered) for name in names)
    ]


def load_while(world: World, happening: Callable[[], None]) -> Outcome:
    """100 calls a second; something happens to a node while all three take calls."""
    # Longer than a worker may wait: what has piled up meanwhile is taken by all workers at once, and SIPp does not
    # forgive a BYE that overtakes its call's ACK.
    load = world.begin("plain", calls=None, rate=100, pause_ms=1000)
    wait_for_offers(world, *world.nodes)
    happening()
    wait_for_offers(world, "rtp1", "rtp3", number=60)
    return load.finish()


def wait_for_offers(world: World, *names: str, number: int = 20) -> None:
    since = world.mark()
    wait_until(
        lambda: all(world.counts(since)[name]["offer"] >= number for name in names),
        f"{', '.join(names)} take {number} calls",
        timeout=20,
    )


def held_calls(world: World) -> tuple[Calls, list[str]]:
    """Calls that are up, and the Call-IDs of those on rtp2."""
    calls = world.begin("held", calls=12, rate=100)
    calls.wait_established()
    on_rtp2 = [call_id for call_id in calls.call_ids if "rtp2" in world.served(call_id)]
    assert on_rtp2
    return calls, on_rtp2


@pytest.mark.parametrize("sickness", ["freeze", "kill"])
def test_no_new_call_fails_when_a_node_freezes_or_dies(world: World, sickness: str) -> None:
    node = world.nodes["rtp2"]
    outcome = load_while(world, getattr(node, sickness))
    assert outcome.caller.failed <= len(half_set_up(world, outcome, "rtp2")), outcome


def freeze(world: World) -> None:
    world.nodes["rtp2"].freeze()


def freeze_and_kill(world: World) -> None:
    """As a watchdog does: a worker waits for the node when it dies, and asks once more, which is refused."""
    with world.wiretap() as wire:
        since = wire.mark()
        world.nodes["rtp2"].freeze()
        wait_until(lambda: wire.counts("rtp2", since).keys() - {"ping"}, "a worker waits for rtp2", interval=0.005)
        world.nodes["rtp2"].kill()


@pytest.mark.parametrize("sickness", [freeze, freeze_and_kill])
def test_a_node_that_comes_back_takes_calls_again(world: World, sickness: Callable[[World], None]) -> None:
    """What workers have waited for in vain does not spoil their next command: no call goes without relayed media."""
    node = world.nodes["rtp2"]
    load_while(world, lambda: sickness(world))
    wait_until(lambda: world.shown("rtp2")["health"] == "down", "rtp2 is down")
    node.thaw()
    if not node.process.is_running:
        node.start()
    world.wait_routable("rtp2")
    load = world.begin("plain", calls=None, rate=50)
    wait_for_offers(world, "rtp2", number=20)
    load.finish().assert_ok()


def test_the_proxy_answers_while_all_nodes_are_frozen_and_serves_calls_when_they_are_back(world: World) -> None:
    """Calls are refused with 503, quickly; not one of them makes the next wait."""
    for node in world.nodes.values():
        node.freeze()
    wait_until(lambda: all(n["health"] == "down" for n in world.show()["nodes"]), "all nodes are down")
    world.call("unavailable", calls=20, rate=20, timeout=30).assert_ok()
    for node in world.nodes.values():
        node.thaw()
    world.wait_routable(*world.nodes)
    world.call("plain", calls=20, rate=50).assert_ok()


def test_the_end_of_a_call_does_not_wait_for_a_frozen_node_which_gets_its_delete_when_it_is_back(world: World) -> None:
    calls, on_rtp2 = held_calls(world)
    world.nodes["rtp2"].freeze()
    wait_until(lambda: world.shown("rtp2")["health"] == "down", "rtp2 is down")
    since = world.mark()
    calls.hang_up().assert_ok()
    assert world.counts(since)["rtp2"] == {}
    world.nodes["rtp2"].thaw()
    wait_until(
        lambda: all("delete" in world.served(call_id).get("rtp2", []) for call_id in on_rtp2),
        "the deletes that waited reach rtp2",
    )


def test_a_call_whose_node_died_moves_with_its_next_re_invite(world: World) -> None:
    """Both sides get the new node's address: the scenarios check every SDP."""
    calls, on_rtp2 = held_calls(world)
    world.nodes["rtp2"].kill()
    wait_until(lambda: world.shown("rtp2")["health"] == "down", "rtp2 is down")
    since = world.mark()
    calls.reinvite()
    calls.hang_up().assert_ok()
    for call_id in on_rtp2:
        ((_, commands),) = world.served(call_id, since).items()
        assert commands == ["offer", "answer", "delete"]


def test_every_worker_notes_for_itself_what_it_sends_and_has_seen(world: World) -> None:
    """Kamailio's own $pp is the main process's id in all of them."""
    workers = {pid for pid, what in world.kamailio.processes.items() if what.startswith("udp receiver")}
    assert len(workers) == WORKERS

    def have_all_seen() -> bool:
        world.call("plain", calls=20, rate=100).assert_ok()
        slots: Any = world.kamailio.rpc("htable.dump", "kemi_rtp_views")
        return workers <= {int(item["name"]) for slot in slots for item in slot["slot"]}

    wait_until(have_all_seen, "every worker has seen the last change", timeout=20)
    places: Any = world.kamailio.rpc("htable.get", "kemi_rtp", "places")
    assert places["item"]["value"] >= WORKERS


def as_it_was_loaded(world: World) -> None:
    pass


def loaded_again(world: World) -> None:
    world.kamailio.rpc("app_python.reload")
    world.call("plain", calls=20, rate=20, ring_ms=300, pause_ms=300).assert_ok()  # every worker has loaded it


@pytest.mark.parametrize("script", [as_it_was_loaded, loaded_again])
def test_disable_waits_for_a_worker_that_waits_for_the_node(world: World, script: Callable[[World], None]) -> None:
    """The module asks a silent node a second time: not after the command has returned."""
    script(world)
    for name in ("rtp1", "rtp3"):
        world.command("disable", name, "--reason", "test")
    with world.wiretap() as wire:
        world.nodes["rtp2"].freeze()
        call = world.begin("plain", calls=1)
        wait_until(lambda: wire.counts("rtp2")["offer"] > 0, "an offer is on its way to rtp2")
        world.command("disable", "rtp2", "--reason", "test")
        since = wire.mark()
        assert call.wait().failed == 1
        assert wire.counts("rtp2", since) == {}
