"""Session descriptions within multipart bodies (RFC 5621): relayed, or left alone and said so, once per call."""

import re

import pytest

from tests.lab.agents import Body, Flow, accept, multipart

NOTE = Body("text/plain", b"a note")


def test_multipart_mixed_is_relayed(flow: Flow) -> None:
    a, b = flow.agents("A", "B")
    a.invite(b, multipart(NOTE, a.sdp()))
    invite = b.receive("INVITE")
    assert invite.body is not None
    assert b"a note" in invite.body.content
    accept(a, b, invite)
    flow.talk(a, b)
    flow.hang_up(a, b)


@pytest.mark.parametrize("kind", ["related", "alternative"])
def test_other_multipart_is_relayed_or_said(flow: Flow, kind: str) -> None:
    """Served like any other, or passed on as it is with one line in the log that names the call."""
    a, b = flow.agents("A", "B")
    since = flow.world.kamailio.mark()
    sent = a.invite(b, multipart(a.sdp(), NOTE, kind=kind))
    accept(a, b, b.receive("INVITE"))
    nodes = {node.media_host for node in flow.world.nodes.values()}
    relayed = {stream.address.host for one in b.descriptions for stream in one.streams} <= nodes
    log = flow.world.kamailio.log(since).splitlines()
    said = [line for line in log if re.search(r"WARNING.*kemi_rtp: ", line) and sent.call_id in line]
    assert len(said) == (0 if relayed else 1), said
    flow.hang_up(a, b)
    if not relayed:
        flow.forget_descriptions()


def test_a_body_that_is_no_session_description(flow: Flow) -> None:
    """INVITE with text alone: a delayed offer."""
    a, b = flow.agents("A", "B")
    a.invite(b, NOTE)
    b.answer(b.receive("INVITE"), 200, b.sdp())
    a.ack(a.receive(200), a.sdp())
    b.receive("ACK")
    flow.talk(a, b)
    flow.hang_up(a, b)
