"""A call whose node is lost goes on with another one, and leaves nothing on the old one when that is back."""

import pytest

from tests.lab.agents import Flow

from .steps import other_than, reinvite

pytestmark = pytest.mark.faults(r"\brtpengine \[rtpengine")  # the module says that a node does not answer


def test_a_call_whose_node_has_died_moves_with_its_re_invite(flow: Flow) -> None:
    a, b = flow.agents("A", "B")
    flow.established(a, b)
    node = flow.node_of(a.dialog.call_id)
    node.kill()
    reinvite(a, b)
    flow.talk(a, b)
    flow.hang_up(b, a)
    node.start()


def test_a_call_whose_node_froze_leaves_nothing_there(flow: Flow) -> None:
    """The old node has the session still when it answers again: it is deleted then, and the call goes on."""
    a, b = flow.agents("A", "B")
    flow.established(a, b)
    node = flow.node_of(a.dialog.call_id)
    flow.freeze(node)
    reinvite(a, b)
    flow.talk(a, b)
    node.thaw()
    flow.until(lambda: node.sessions() == 0, f"{node.name} has no session of a call that has left it")
    flow.talk(a, b)
    assert other_than(flow, node).sessions() == 1
    flow.hang_up(a, b)


def test_a_call_that_ended_before_its_old_node_is_back_leaves_nothing_there(flow: Flow) -> None:
    a, b = flow.agents("A", "B")
    flow.established(a, b)
    node = flow.node_of(a.dialog.call_id)
    flow.freeze(node)
    reinvite(a, b)
    flow.hang_up(a, b)
    node.thaw()


def test_a_call_leaves_a_disabled_node_and_nothing_is_sent_there(flow: Flow) -> None:
    """Zero packets while it is disabled; the session is deleted when it is enabled again."""
    a, b = flow.agents("A", "B")
    flow.established(a, b)
    node = flow.node_of(a.dialog.call_id)
    flow.disable(node)
    since = node.mark()
    reinvite(a, b)
    flow.talk(a, b)
    flow.world.wait_for_pings(other_than(flow, node).name, number=3)
    assert node.counts(since) == {}
    flow.enable(node)
    flow.until(lambda: node.sessions() == 0, f"{node.name} has no session of a call that has left it")
    flow.talk(a, b)
    flow.hang_up(b, a)


def test_a_call_that_moved_there_and_back_again(flow: Flow) -> None:
    """Its first node serves it again: no delete that waits for that node may end it there."""
    a, b = flow.agents("A", "B")
    flow.established(a, b)
    first = flow.node_of(a.dialog.call_id)
    second = other_than(flow, first)
    flow.disable(first)
    reinvite(a, b)
    flow.enable(first)
    flow.world.wait_routable(first.name)
    flow.disable(second)
    reinvite(a, b)
    flow.no_deletes_wait_for(first)
    flow.talk(a, b)
    flow.enable(second)
    flow.hang_up(a, b)


def test_a_drained_node_serves_its_call_to_the_end(flow: Flow) -> None:
    a, b = flow.agents("A", "B")
    flow.established(a, b)
    node = flow.node_of(a.dialog.call_id)
    flow.world.command("drain", node.name)
    reinvite(a, b)
    flow.node_of(a.dialog.call_id)
    flow.talk(a, b)
    flow.hang_up(a, b)
