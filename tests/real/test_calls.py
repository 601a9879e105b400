"""Calls of every shape, with their media on one node from the first offer to the delete."""

import pytest

from tests.lab.calls import Outcome
from tests.lab.process import wait_until
from tests.lab.world import World


def assert_on_one_node(world: World, outcome: Outcome, expected: list[str]) -> None:
    """Every call went well, and exactly one node was asked exactly this for it."""
    outcome.assert_ok()
    world.wait_deleted(outcome.call_ids)
    for call_id in outcome.call_ids:
        assert list(world.served(call_id).values()) == [expected], f"{call_id}: {world.served(call_id)}"


def test_a_plain_call_has_its_media_on_one_node(world: World) -> None:
    """INVITE with SDP, answer in the 200, BYE by the caller."""
    assert_on_one_node(world, world.call("plain", calls=5), ["offer", "answer", "delete"])


def test_a_call_to_a_registered_user_is_relayed_too(world: World) -> None:
    """The callee is found by way of REGISTER and the location table."""
    assert_on_one_node(world, world.call("plain", calls=2, registered=True), ["offer", "answer", "delete"])


def test_a_delayed_offer_is_relayed(world: World) -> None:
    """INVITE without SDP, offer in the 200, answer in the ACK."""
    assert_on_one_node(world, world.call("delayed_offer", calls=5), ["offer", "answer", "delete"])


def test_early_media_is_relayed(world: World) -> None:
    """The answer in a 183, and once more in the 200."""
    assert_on_one_node(world, world.call("early_media", calls=3), ["offer", "answer", "answer", "delete"])


def test_a_re_invite_stays_on_its_node(world: World) -> None:
    """Two re-INVITEs in one call, each with offer and answer."""
    calls = world.begin("held", calls=5)
    calls.wait_established()
    calls.reinvite()
    calls.reinvite()
    assert_on_one_node(world, calls.hang_up(), ["offer", "answer"] * 3 + ["delete"])


def test_a_bye_from_the_callee_deletes_the_media(world: World) -> None:
    assert_on_one_node(world, world.call("bye_from_callee", calls=3), ["offer", "answer", "delete"])


def test_a_cancelled_call_leaves_no_media(world: World) -> None:
    """CANCEL while the callee is ringing."""
    assert_on_one_node(world, world.call("cancel", calls=3), ["offer", "delete"])


def test_a_refused_call_leaves_no_media(world: World) -> None:
    """The callee answers 486."""
    assert_on_one_node(world, world.call("busy", calls=3), ["offer", "delete"])


def test_calls_are_shared_among_the_nodes(world: World) -> None:
    """Nodes of equal weight: with 60 calls a node that gets none is a fault, not chance (odds 1 to 10^10)."""
    before = world.mark()
    world.call("plain", calls=60, rate=50).assert_ok()
    offers = {name: counts["offer"] for name, counts in world.counts(before).items()}
    assert sum(offers.values()) == 60
    assert all(offers.values()), offers


def test_no_media_is_left_on_any_node(world: World) -> None:
    """After calls of every kind have ended, the daemons hold no more sessions than before."""
    before = {name: node.sessions() for name, node in world.nodes.items()}
    for kind in ("plain", "delayed_offer", "bye_from_callee", "cancel", "busy"):
        world.call(kind, calls=2).assert_ok()
    wait_until(lambda: all(world.nodes[name].sessions() <= before[name] for name in before), "no sessions are left")


@pytest.mark.faults(r"\brtpengine \[rtpengine\.c:")  # the module says that the node does not answer
@pytest.mark.parametrize("name", ["rtp1", "rtp2", "rtp3"])
def test_a_node_that_died_costs_no_call(world: World, name: str) -> None:
    """kill -9 on one node of three: new calls go to the others; when it is back it takes calls again."""
    world.nodes[name].kill()
    world.call("plain", calls=15, rate=50).assert_ok()
    world.nodes[name].start()
    world.wait_routable(name)
    before = world.mark()
    world.call("plain", calls=30, rate=50).assert_ok()
    assert world.counts(before)[name]["offer"] > 0


@pytest.mark.faults(r"\brtpengine \[rtpengine\.c:")
def test_a_node_that_the_module_took_for_dead_is_brought_back(world: World) -> None:
    """Kamailio issue 4354: the module leaves a node alone that was down for a moment; our pings know better."""
    world.nodes["rtp2"].stop()
    world.native("ping", world.nodes["rtp2"].url)
    assert not world.is_active("rtp2")
    world.nodes["rtp2"].start()
    wait_until(lambda: world.is_active("rtp2"), "the module uses rtp2 again")
    world.wait_routable("rtp2")
    before = world.mark()
    world.call("plain", calls=30, rate=50).assert_ok()
    assert world.counts(before)["rtp2"]["offer"] > 0
