"""The judges can be trusted: each notices what it is there for."""

from dataclasses import replace

import pytest

from tests.lab.agents import Flow


def test_media_at_the_wrong_party_is_noticed(flow: Flow) -> None:
    a, b, c = flow.agents("A", "B", "C")
    flow.established(a, b)
    flow.talk(a, b)
    right = a.dialog.media
    assert right is not None
    a.dialog.media = replace(right, address=c.rtp.address)
    with pytest.raises(AssertionError, match=r"'C': \{'A': 20\}"):
        flow.talk(a, b)
    a.dialog.media = right
    flow.hang_up(a, b)


def test_a_description_that_names_an_agent_is_noticed(flow: Flow) -> None:
    """A call that goes by the proxy: each gets the other's own description."""
    a, b = flow.agents("A", "B")
    a.send(a.unsent_invite(b), to=b.address)
    b.answer(b.receive("INVITE"), 200, b.sdp())
    a.ack(a.receive(200))
    flow.talk(a, b)
    with pytest.raises(AssertionError, match=r"not a node.s address; A received in SIP/2\.0 200"):
        flow.assert_relayed()
    flow.forget_descriptions()


def test_what_is_left_is_noticed(flow: Flow) -> None:
    a, b = flow.agents("A", "B")
    flow.established(a, b)
    node = flow.node_of(a.dialog.call_id)
    with pytest.raises(AssertionError, match=rf"1 sessions on {node.name} .*; bindings .*; {node.name} with 1 calls"):
        flow.assert_nothing_left()
    flow.hang_up(a, b)


def test_a_session_without_a_binding_is_noticed(flow: Flow) -> None:
    flow.open_session(flow.world.nodes["rtp2"], "somebody's")
    with pytest.raises(AssertionError, match="1 sessions on rtp2 \\(somebody's\\)"):
        flow.assert_nothing_left()
    flow.clean()
