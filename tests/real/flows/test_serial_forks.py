"""Serial forking in the failure route, as the docstring of Routes.failure() says."""

import pytest

from tests.lab.agents import Agent, Flow, Message, accept
from tests.lab.agents.sdp import descriptions

SCRIPT = "serial.py"


def kr(message: Message) -> int:
    """The set id of the node that a request's Record-Route names."""
    values = [part for route in message.all("Record-Route") for part in route.strip("<>").split(";")]
    found = [value.removeprefix("kr=") for value in values if value.startswith("kr=")]
    assert len(found) == 1, f"{len(found)} nodes are named in {message.all('Record-Route')}"
    return int(found[0], 16)


def set_of(flow: Flow, node: str) -> int:
    return int(flow.world.shown(node)["set"])


def tried(a: Agent, b: Agent, c: Agent) -> Message:
    """B refuses, C is asked."""
    a.invite(b, headers=[("X-Next", c.uri)])
    b.answer(b.receive("INVITE"), 486)
    return c.receive("INVITE")


def test_the_second_callee_gets_one_description(flow: Flow) -> None:
    a, b, c = flow.agents("A", "B", "C")
    invite = tried(a, b, c)
    assert len(descriptions(invite.body)) == 1
    accept(a, c, invite)
    flow.talk(a, c)
    flow.hang_up(a, c)


def test_early_media_of_the_first_is_over_for_the_second(flow: Flow) -> None:
    a, b, c = flow.agents("A", "B", "C")
    a.invite(b, headers=[("X-Next", c.uri)])
    at_b = b.receive("INVITE")
    b.answer(at_b, 183, b.sdp())
    a.receive(183)
    flow.talk(a, b)
    b.answer(at_b, 480)
    invite = c.receive("INVITE")
    c.answer(invite, 183, c.sdp())
    a.receive(183, c)
    flow.talk(a, c)
    accept(a, c, invite)
    flow.talk(a, c)
    flow.hang_up(c, a)


def test_a_delayed_offer_goes_to_the_second(flow: Flow) -> None:
    a, b, c = flow.agents("A", "B", "C")
    a.invite(b, None, headers=[("X-Next", c.uri)])
    b.answer(b.receive("INVITE"), 486)
    invite = c.receive("INVITE")
    assert descriptions(invite.body) == []
    c.answer(invite, 200, c.sdp())
    a.ack(a.receive(200), a.sdp())
    c.receive("ACK")
    flow.talk(a, c)
    flow.hang_up(a, c)


def test_three_in_a_row_and_the_last_refuses_too(flow: Flow) -> None:
    a, b, c, d = flow.agents("A", "B", "C", "D")
    a.invite(b, headers=[("X-Next", f"{c.uri} {d.uri}")])
    for callee in (b, c, d):
        invite = callee.receive("INVITE")
        assert len(descriptions(invite.body)) == 1
        callee.answer(invite, 486)
    a.receive(486)


def test_a_cancel_while_the_second_rings(flow: Flow) -> None:
    a, b, c = flow.agents("A", "B", "C")
    sent = a.invite(b, headers=[("X-Next", c.uri)])
    b.answer(b.receive("INVITE"), 486)
    invite = c.receive("INVITE")
    c.answer(invite, 180)
    a.receive(180)
    a.cancel(sent)
    a.receive(200)
    c.answer(c.receive("CANCEL"), 200)
    c.answer(invite, 487)
    a.receive(487)


@pytest.mark.faults(r"tm \[", "resolve", "<core>")
def test_a_second_destination_that_cannot_be_reached(flow: Flow) -> None:
    a, b = flow.agents("A", "B")
    a.invite(b, headers=[("X-Next", "sip:x@nowhere.invalid")])
    b.answer(b.receive("INVITE"), 486)
    flow.until(lambda: any(message.status >= 400 for message in a.inbox), "A is refused")


def test_the_route_names_the_node_that_serves(flow: Flow) -> None:
    """Also after a restart, which knows the node from there alone: the BYE's delete reaches it."""
    a, b, c = flow.agents("A", "B", "C")
    invite = tried(a, b, c)
    node = flow.node_of(invite.call_id)
    assert kr(invite) == set_of(flow, node.name)
    accept(a, c, invite)
    flow.world.kamailio.restart()
    flow.talk(a, c)
    flow.hang_up(a, c)
