"""Nodes and Kamailio restart within a call: what cannot be served is logged once per call, and leaves nothing."""

import re

import pytest

from tests.lab.agents import Flow, accept

from .steps import reinvite, two_answer

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
    accept(a, b, invite)
    assert len(said_of(flow, sent.call_id, since)) == 1
    a.reinvite()
    accept(a, b, b.receive("INVITE"))
    flow.talk(a, b)
    flow.hang_up(a, b)


def test_a_call_whose_node_restarted_goes_on_with_its_re_invite(flow: Flow) -> None:
    a, b = flow.agents("A", "B")
    flow.established(a, b)
    flow.node_of(a.dialog.call_id).restart()
    flow.world.wait_routable(*flow.world.nodes)
    b.reinvite()
    accept(b, a, a.receive("INVITE"))
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
    accept(a, b, invite)
    assert len(said_of(flow, sent.call_id, since)) == 1
    a.reinvite()
    accept(a, b, b.receive("INVITE"))
    flow.talk(a, b)
    flow.hang_up(a, b)


def test_an_established_call_outlives_a_restart_of_kamailio(flow: Flow) -> None:
    a, b = flow.agents("A", "B")
    flow.established(a, b)
    flow.world.kamailio.restart()
    flow.talk(a, b)
    b.reinvite()
    accept(b, a, a.receive("INVITE"))
    flow.talk(a, b)
    flow.hang_up(b, a)


def test_two_answered_forks_over_a_restart_of_kamailio_are_mended_by_a_re_invite(flow: Flow) -> None:
    """Nothing in memory tells of two any more, and both have one Record-Route: the BYE of one ends both's media."""
    a, b1, b2 = two_answer(flow)
    flow.world.kamailio.restart()
    flow.hang_up(a, b1)
    reinvite(a, b2)
    flow.talk(a, b2)
    flow.hang_up(a, b2)
    for node in flow.world.nodes.values():
        # The second one's own session is known to nobody; rtpengine ends it when it is silent.
        node.cli("terminate all")
