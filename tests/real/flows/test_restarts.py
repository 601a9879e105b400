"""Nodes and Kamailio restart within a call: what cannot be served is logged once per call, and leaves nothing."""

import re

import pytest

from tests.lab.agents import Flow

REFUSED = r"\brtpengine \[rtpengine.*(Unknown call-id|proxy replied with error)"


def said_of(flow: Flow, call_id: str, since: int) -> list[str]:
    """Our own lines of the log that name a call."""
    log = flow.world.kamailio.log(since)
    return [line for line in log.splitlines() if re.search(r"(WARNING|ERROR).*kemi_rtp: ", line) and call_id in line]


@pytest.mark.unrelayed  # the node has forgotten the offer that this answer belongs to
@pytest.mark.faults(REFUSED)
def test_a_node_that_restarts_between_offer_and_answer(flow: Flow) -> None:
    """Its answer cannot be served, which is logged once; the next re-INVITE mends the call."""
    a, b = flow.agents("A", "B")
    since = flow.world.kamailio.mark()
    sent = a.invite(b)
    invite = b.receive("INVITE")
    flow.node_of(sent.call_id).restart()
    flow.world.wait_routable(*flow.world.nodes)
    b.answer(invite, 183, b.sdp())
    a.receive(183)
    b.answer(invite, 200, b.sdp())
    a.ack(a.receive(200))
    b.receive("ACK")
    assert len(said_of(flow, sent.call_id, since)) == 1
    a.reinvite()
    b.answer(b.receive("INVITE"), 200, b.sdp())
    a.ack(a.receive(200))
    b.receive("ACK")
    flow.talk(a, b)
    flow.hang_up(a, b)


def test_a_call_whose_node_restarted_goes_on_with_its_re_invite(flow: Flow) -> None:
    a, b = flow.agents("A", "B")
    flow.established(a, b)
    flow.node_of(a.dialog.call_id).restart()
    flow.world.wait_routable(*flow.world.nodes)
    b.reinvite()
    a.answer(a.receive("INVITE"), 200, a.sdp())
    b.ack(b.receive(200))
    a.receive("ACK")
    flow.talk(a, b)
    flow.hang_up(b, a)


@pytest.mark.unrelayed  # the transaction is gone, and with it who knew that there was an offer
def test_a_call_that_rings_while_kamailio_restarts(flow: Flow) -> None:
    """What its callee answers cannot be served, which is logged once; its BYE still finds the node."""
    a, b = flow.agents("A", "B")
    sent = a.invite(b)
    invite = b.receive("INVITE")
    b.answer(invite, 180)
    a.receive(180)
    flow.world.kamailio.restart()
    since = flow.world.kamailio.mark()
    b.answer(invite, 200, b.sdp())
    a.ack(a.receive(200))
    b.receive("ACK")
    assert len(said_of(flow, sent.call_id, since)) == 1
    a.reinvite()
    b.answer(b.receive("INVITE"), 200, b.sdp())
    a.ack(a.receive(200))
    b.receive("ACK")
    flow.talk(a, b)
    flow.hang_up(a, b)


def test_an_established_call_outlives_a_restart_of_kamailio(flow: Flow) -> None:
    a, b = flow.agents("A", "B")
    flow.established(a, b)
    flow.world.kamailio.restart()
    flow.talk(a, b)
    b.reinvite()
    a.answer(a.receive("INVITE"), 200, a.sdp())
    b.ack(b.receive(200))
    a.receive("ACK")
    flow.talk(a, b)
    flow.hang_up(b, a)


def test_two_answered_forks_over_a_restart_of_kamailio_are_mended_by_a_re_invite(flow: Flow) -> None:
    """Nothing in memory tells of two any more, and both have one Record-Route: the BYE of one ends both's media."""
    (a,) = flow.agents("A")
    b1, b2 = flow.registered("B1", "B2")
    a.invite(flow.user)
    at1, at2 = b1.receive("INVITE"), b2.receive("INVITE")
    b2.answer(at2, 180)
    a.receive(180)
    b1.answer(at1, 200, b1.sdp())
    a.ack(a.receive(200, b1))
    b2.answer(at2, 200, b2.sdp())
    a.ack(a.receive(200, b2))
    b2.answer(b2.receive("CANCEL"), 200)
    b1.receive("ACK")
    b2.receive("ACK")
    flow.world.kamailio.restart()
    flow.hang_up(a, b1)
    a.reinvite(dialog=a.dialog_with(b2))
    b2.answer(b2.receive("INVITE"), 200, b2.sdp())
    a.ack(a.receive(200, b2))
    b2.receive("ACK")
    flow.talk(a, b2)
    flow.hang_up(a, b2)
    for node in flow.world.nodes.values():
        node.cli(
            "terminate all"
        )  # the second one's own session is known to nobody; rtpengine ends it when it is silent
