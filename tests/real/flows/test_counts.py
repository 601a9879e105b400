"""The node's own word counts for how many calls it has: for `show`, for `max_calls`, after every restart."""

import pytest

from tests.lab.agents import Flow

NODES = 1
NODE_OPTIONS = {"rtp1": {"max_calls": 2}}
SOON = 6.0
"""Seconds: a node is asked every few seconds."""


def wait_for_calls(flow: Flow, number: int) -> None:
    flow.until(lambda: flow.world.shown("rtp1")["calls"] == number, f"show has {number} calls on rtp1", SOON)


def test_calls_are_counted_after_a_restart_of_kamailio(flow: Flow) -> None:
    a, b = flow.agents("A", "B")
    flow.established(a, b)
    wait_for_calls(flow, 1)
    flow.world.kamailio.restart()
    wait_for_calls(flow, 1)
    flow.hang_up(a, b)
    wait_for_calls(flow, 0)


def test_calls_are_counted_after_a_restart_of_the_node(flow: Flow) -> None:
    a, b = flow.agents("A", "B")
    flow.established(a, b)
    wait_for_calls(flow, 1)
    flow.world.nodes["rtp1"].restart()
    wait_for_calls(flow, 0)
    flow.world.wait_routable("rtp1")
    flow.hang_up(a, b)


@pytest.mark.parametrize("delayed", [False, True], ids=["offer", "delayed offer"])
def test_a_full_node_takes_no_call(flow: Flow, delayed: bool) -> None:
    """`max_calls` is 2: the third call gets 503, with SDP or without."""
    a, b, c, d = flow.agents("A", "B", "C", "D")
    flow.established(a, b)
    flow.established(c, d)
    assert not flow.world.shown("rtp1")["routable"]
    (e,) = flow.agents("E")
    e.invite(b, None if delayed else e.sdp())
    e.receive(503)
    assert not b.has_received("INVITE")
    flow.hang_up(a, b)
    flow.hang_up(c, d)
    flow.world.wait_routable("rtp1")


def test_a_full_node_is_full_after_a_restart_of_kamailio(flow: Flow) -> None:
    a, b, c, d, e = flow.agents("A", "B", "C", "D", "E")
    flow.established(a, b)
    flow.established(c, d)
    flow.world.kamailio.restart()
    wait_for_calls(flow, 2)
    e.invite(b)
    e.receive(503)
    flow.hang_up(a, b)
    flow.hang_up(c, d)
    flow.world.wait_routable("rtp1")


@pytest.mark.faults(r"tm \[", "resolve", "<core>", r"sl \[")
def test_calls_that_cannot_be_relayed_do_not_fill_a_node(flow: Flow) -> None:
    """As many as it may have, to a host that nobody knows; then a call that can be relayed."""
    a, b, c = flow.agents("A", "B", "C")
    for _ in range(2):
        c.invite("sip:x@nowhere.invalid")
        flow.until(lambda: any(message.status >= 400 for message in c.inbox), "C is refused")
        c.inbox.clear()
    flow.established(a, b)
    flow.talk(a, b)
    flow.hang_up(a, b)


def test_sessions_that_others_opened_count_too(flow: Flow) -> None:
    """Another proxy uses the node as well: what it says itself is what it has."""
    node = flow.world.nodes["rtp1"]
    for number in (1, 2):
        flow.open_session(node, f"foreign-{number}")
    flow.until(lambda: not flow.world.shown("rtp1")["routable"], "rtp1 is full", SOON)
    a, b = flow.agents("A", "B")
    a.invite(b)
    a.receive(503)
    assert not b.has_received("INVITE")
    node.cli("terminate all")
    wait_for_calls(flow, 0)
    flow.world.wait_routable("rtp1")
