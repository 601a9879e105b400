"""Serial forks that share one offer: three in a row, early media, a node that goes in between."""

import pytest

from tests.lab.agents import Flow, accept

from .steps import reliable_183, talk

SCRIPT = "serial.py"


@pytest.mark.parametrize("by", ["caller", "callee"])
def test_three_in_a_row_with_early_media(flow: Flow, by: str) -> None:
    a, b, c, d = flow.agents("A", "B", "C", "D")
    a.invite(b, headers=[("X-Next", f"{c.uri} {d.uri}")])
    for callee in (b, c):
        invite = callee.receive("INVITE")
        callee.answer(invite, 183, callee.sdp())
        a.receive(183, callee)
        talk(flow, a, callee)
        callee.answer(invite, 486)
    accept(a, d, d.receive("INVITE"))
    talk(flow, a, d)
    flow.hang_up(*((a, d) if by == "caller" else (d, a)))


@pytest.mark.parametrize("by", ["caller", "callee"])
def test_a_200_without_sdp_of_the_second(flow: Flow, by: str) -> None:
    a, b, c = flow.agents("A", "B", "C")
    a.invite(b, headers=[("X-Next", c.uri)])
    invite = b.receive("INVITE")
    reliable_183(a, b, invite)
    b.answer(invite, 486)
    invite = c.receive("INVITE")
    reliable_183(a, c, invite)
    c.answer(invite, 200)
    a.ack(a.receive(200))
    c.receive("ACK")
    talk(flow, a, c)
    flow.hang_up(*((a, c) if by == "caller" else (c, a)))


def test_the_node_is_disabled_before_the_second(flow: Flow) -> None:
    """What was offered stands no more: the caller is refused, and nothing is left."""
    a, b, c = flow.agents("A", "B", "C")
    sent = a.invite(b, headers=[("X-Next", c.uri)])
    invite = b.receive("INVITE")
    node = flow.node_of(sent.call_id)
    flow.disable(node)
    b.answer(invite, 486)
    a.receive(486)
    assert not c.has_received("INVITE")
    flow.enable(node)


def test_a_delayed_offer_over_three(flow: Flow) -> None:
    a, b, c, d = flow.agents("A", "B", "C", "D")
    a.invite(b, None, headers=[("X-Next", f"{c.uri} {d.uri}")])
    invite = b.receive("INVITE")
    b.answer(invite, 183, b.sdp(), reliable=1)
    a.prack(a.receive(183), a.sdp())
    b.answer(b.receive("PRACK"), 200)
    a.receive(200)
    b.answer(invite, 486)
    c.answer(c.receive("INVITE"), 486)
    d.answer(d.receive("INVITE"), 200, d.sdp())
    a.ack(a.receive(200, d), a.sdp())
    d.receive("ACK")
    flow.talk(a, d)
    flow.hang_up(d, a)
