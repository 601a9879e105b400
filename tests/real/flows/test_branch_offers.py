"""An offer for each branch, with flags and `via-branch` of its own."""

import pytest

from tests.lab.agents import Flow, Message, accept
from tests.lab.agents.sdp import descriptions

from .steps import lost, one_refuses, two_answer

SCRIPT = "branches.py"
DEAD_NODE = r"\brtpengine \[rtpengine\.c:"  # the module says that the node does not answer


def kr(message: Message) -> int:
    """The set id of the node that a request's Record-Route names."""
    values = [part for route in message.all("Record-Route") for part in route.strip("<>").split(";")]
    found = [value.removeprefix("kr=") for value in values if value.startswith("kr=")]
    assert len(found) == 1, f"{len(found)} nodes are named in {message.all('Record-Route')}"
    return int(found[0].partition(".")[0], 16)


def test_each_branch_has_flags_of_its_own(flow: Flow) -> None:
    """A browser and a telephone ring; the telephone answers."""
    (a,) = flow.agents("A")
    web, phone = flow.registered("web", "phone")
    a.invite(flow.user)
    at_web, at_phone = web.receive("INVITE"), phone.receive("INVITE")
    assert web.descriptions[0].streams[0].profile == "RTP/SAVPF"
    assert phone.descriptions[0].streams[0].profile == "RTP/AVP"
    web.answer(at_web, 180)
    a.receive(180)
    phone.answer(at_phone, 200, phone.sdp())
    answer = a.receive(200)
    assert a.descriptions[0].streams[0].profile == "RTP/AVP"
    a.ack(answer)
    phone.receive("ACK")
    lost(web, at_web)
    flow.talk(a, phone)
    flow.hang_up(a, phone)


def test_the_refusal_of_one_branch_leaves_the_other(flow: Flow) -> None:
    """486 of one, whose part is deleted in the branch-failure route; then the other answers, and is relayed."""
    one_refuses(flow)


def test_the_refusal_after_early_media_leaves_the_other(flow: Flow) -> None:
    (a,) = flow.agents("A")
    b1, b2 = flow.registered("B1", "B2")
    a.invite(flow.user)
    at1, at2 = b1.receive("INVITE"), b2.receive("INVITE")
    b1.answer(at1, 183, b1.sdp())
    a.receive(183)
    flow.talk(a, b1)
    b1.answer(at1, 486)
    b1.receive("ACK")
    accept(a, b2, at2)
    flow.talk(a, b2)
    flow.hang_up(b2, a)


def test_a_winner_that_hangs_up_itself(flow: Flow) -> None:
    """The loser never answered, and was cancelled after the winner had: nothing of it is left either."""
    (a,) = flow.agents("A")
    b1, b2 = flow.registered("B1", "B2")
    a.invite(flow.user)
    at1, at2 = b1.receive("INVITE"), b2.receive("INVITE")
    b1.answer(at1, 180)
    a.receive(180)
    accept(a, b2, at2)
    lost(b1, at1)
    flow.talk(a, b2)
    flow.hang_up(b2, a)


def test_two_answer_and_the_caller_ends_one(flow: Flow) -> None:
    a, b1, b2 = two_answer(flow)
    flow.hang_up(a, b2)
    flow.talk(a, b1)
    flow.hang_up(a, b1)


def test_all_branches_refuse(flow: Flow) -> None:
    (a,) = flow.agents("A")
    b1, b2 = flow.registered("B1", "B2")
    a.invite(flow.user)
    for callee in (b1, b2):
        callee.answer(callee.receive("INVITE"), 486)
    a.receive(486)


def test_a_cancel_ends_all_branches(flow: Flow) -> None:
    (a,) = flow.agents("A")
    b1, b2 = flow.registered("B1", "B2")
    sent = a.invite(flow.user)
    forks = [(b, b.receive("INVITE")) for b in (b1, b2)]
    for callee, invite in forks:
        callee.answer(invite, 180)
        a.receive(180, callee)
    a.cancel(sent)
    a.receive(200)
    for callee, invite in forks:
        callee.answer(callee.receive("CANCEL"), 200)
        callee.answer(invite, 487)
    a.receive(487)


def test_serial_forks_have_offers_of_their_own(flow: Flow) -> None:
    """First a browser, then a telephone: one description in each INVITE, and the profile of each."""
    a, web, phone = flow.agents("A", "web", "phone")
    a.invite(web, headers=[("X-Next", phone.uri)])
    web.answer(web.receive("INVITE"), 486)
    invite = phone.receive("INVITE")
    assert len(descriptions(invite.body)) == 1
    assert web.descriptions[0].streams[0].profile == "RTP/SAVPF"
    assert phone.descriptions[0].streams[0].profile == "RTP/AVP"
    accept(a, phone, invite)
    flow.talk(a, phone)
    flow.hang_up(a, phone)


def test_a_serial_fork_stays_on_its_node(flow: Flow) -> None:
    a, b, c = flow.agents("A", "B", "C")
    sent = a.invite(b, headers=[("X-Next", c.uri)])
    b.answer(b.receive("INVITE"), 486)
    accept(a, c, c.receive("INVITE"))
    flow.node_of(sent.call_id)
    flow.talk(a, c)
    flow.hang_up(c, a)


@pytest.mark.faults(DEAD_NODE)
def test_the_route_names_the_second_node_when_the_first_has_died(flow: Flow) -> None:
    """Also after a restart, which knows the node from there alone."""
    a, b, c = flow.agents("A", "B", "C")
    sent = a.invite(b, headers=[("X-Next", c.uri)])
    at_b = b.receive("INVITE")
    first = flow.node_of(sent.call_id)
    first.kill()
    b.answer(at_b, 486)
    invite = c.receive("INVITE")
    assert len(descriptions(invite.body)) == 1
    (second,) = [node for node in flow.world.nodes.values() if node is not first]
    assert kr(invite) == int(flow.world.shown(second.name)["set"])
    accept(a, c, invite)
    flow.talk(a, c)
    first.start()
    flow.world.kamailio.restart()
    flow.world.wait_routable(*flow.world.nodes)
    flow.talk(a, c)
    flow.hang_up(a, c)
