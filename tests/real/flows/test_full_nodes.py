"""`max_calls` with forks, retries and moved calls: a call counts where it is, and no more when it is over."""

import pytest

from tests.lab.agents import Flow, accept

from .steps import later_fork, reinvite

NODES = 2
NODE_OPTIONS = {"rtp1": {"max_calls": 2}, "rtp2": {"max_calls": 1, "tier": 1}}
SOON = 6.0


def calls(flow: Flow, name: str) -> int:
    return int(flow.world.shown(name)["calls"] or 0)


def test_retries_do_not_fill_a_node(flow: Flow) -> None:
    a, b = flow.agents("A", "B")
    sent = a.invite(b)
    for code in (401, 407, 302, 401):
        b.answer(b.receive("INVITE"), code, headers=[("Contact", b.contact)] if code == 302 else ())
        a.receive(code)
        sent = a.invite(b, again=sent)
    accept(a, b, b.receive("INVITE"))
    flow.until(lambda: calls(flow, "rtp1") == 1, "rtp1 has one call", SOON)
    flow.node_of(sent.call_id)
    flow.hang_up(b, a)


def test_forks_and_refusals_do_not_fill_a_node(flow: Flow) -> None:
    (a,) = flow.agents("A")
    b1, b2 = flow.registered("B1", "B2")
    for _ in range(3):
        a.invite(flow.user)
        for callee in (b1, b2):
            callee.answer(callee.receive("INVITE"), 486)
        a.receive(486)
    a.invite(flow.user)
    at1, at2 = b1.receive("INVITE"), b2.receive("INVITE")
    accept(a, b1, at1)
    b2.answer(at2, 486)
    flow.until(lambda: calls(flow, "rtp1") == 1, "rtp1 has one call", SOON)
    assert calls(flow, "rtp2") == 0
    flow.hang_up(a, b1)


def test_two_2xx_count_as_the_node_says(flow: Flow) -> None:
    """Each answered dialog has a session; at the end there is none, and show says so at once."""
    a, callees, invite = later_fork(flow, "B1", "B2")
    for callee in callees:
        accept(a, callee, invite)
    node = flow.world.nodes["rtp1"]
    flow.until(lambda: calls(flow, "rtp1") == node.sessions(), "show says what the node has", SOON)
    flow.hang_up(a, callees[0])
    flow.hang_up(a, callees[1])
    flow.until(lambda: calls(flow, "rtp1") == 0, "no call is left", SOON)


def test_a_moved_call_counts_where_it_is(flow: Flow) -> None:
    a, b, c, d = flow.agents("A", "B", "C", "D")
    flow.established(a, b)
    flow.disable(flow.world.nodes["rtp1"])
    reinvite(a, b)
    flow.talk(a, b)
    flow.until(lambda: calls(flow, "rtp2") == 1, "rtp2 has it", SOON)
    c.invite(d)
    c.receive(503)
    flow.hang_up(a, b)
    flow.until(lambda: calls(flow, "rtp2") == 0, "rtp2 has none", SOON)
    flow.established(c, d)
    flow.hang_up(c, d)
    flow.enable(flow.world.nodes["rtp1"])


def test_a_moved_call_counts_at_once(flow: Flow) -> None:
    """The next INVITE after the move meets a full node, not the one after the node's next word."""
    a, b, c, d = flow.agents("A", "B", "C", "D")
    flow.established(a, b)
    flow.disable(flow.world.nodes["rtp1"])
    reinvite(a, b)
    c.invite(d)
    c.receive(503)
    flow.hang_up(a, b)
    flow.enable(flow.world.nodes["rtp1"])


@pytest.mark.parametrize("delayed", [False, True], ids=["offer", "delayed offer"])
def test_cancelled_calls_do_not_fill_a_node(flow: Flow, delayed: bool) -> None:
    a, b = flow.agents("A", "B")
    for _ in range(4):
        sent = a.invite(b, None if delayed else "own")
        invite = b.receive("INVITE")
        b.answer(invite, 180)
        a.receive(180)
        a.cancel(sent)
        a.receive(200)
        b.answer(b.receive("CANCEL"), 200)
        b.answer(invite, 487)
        a.receive(487)
    flow.established(a, b)
    assert list(flow.world.served(a.dialog.call_id)) == ["rtp1"]
    flow.hang_up(a, b)
