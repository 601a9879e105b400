"""Steps that many flows have in common."""

from tests.lab.agents import Agent, Flow, Message, accept
from tests.lab.agents.agent import Dialog
from tests.lab.rtpengine import Rtpengine


def reinvite(a: Agent, b: Agent) -> None:
    a.reinvite(dialog=a.dialog_with(b))
    accept(a, b, b.receive("INVITE"))


def reliable_183(a: Agent, b: Agent, invite: Message, number: int = 1) -> None:
    """An answer in a reliable 183, and its PRACK (RFC 3262)."""
    b.answer(invite, 183, b.sdp(), reliable=number)
    a.prack(a.receive(183, b))
    b.answer(b.receive("PRACK"), 200)
    a.receive(200, b)


def talk(flow: Flow, a: Agent, b: Agent) -> None:
    """Media both ways, where another callee has sent to the same port before: B is heard first.

    A node sends to where media came from last, for some seconds: a packet of B's turns it round (see README's limits).
    """
    b.rtp.received.clear()
    a.rtp.received.clear()
    media = b.dialog_with(a).media
    assert media is not None
    b.rtp.send(media.address)
    flow.until(lambda: a.rtp.received[b.name], f"{a.name} hears {b.name}")
    flow.talk(a, b)


def stranger(c: Agent, victim: Dialog, target: Agent) -> Dialog:
    """A dialog that C makes up with the victim's Call-ID and Route: no tag of it is the victim's."""
    return Dialog(
        victim.call_id,
        f"<{c.uri}>;tag=made-up-1",
        f"<{target.uri}>;tag=made-up-2",
        target.uri,
        victim.routes,
        50,
    )


def two_answer(flow: Flow) -> tuple[Agent, Agent, Agent]:
    """B1 answers, and B2 as well: it has picked up when the CANCEL comes. The caller acknowledges both."""
    (a,) = flow.agents("A")
    b1, b2 = flow.registered("B1", "B2")
    a.invite(flow.user)
    at1, at2 = b1.receive("INVITE"), b2.receive("INVITE")
    b2.answer(at2, 180)
    a.receive(180)
    accept(a, b1, at1)
    accept(a, b2, at2)
    b2.answer(b2.receive("CANCEL"), 200)
    return a, b1, b2


def one_refuses(flow: Flow) -> None:
    """Two are called; one refuses, and then the other answers: the call is its own."""
    (a,) = flow.agents("A")
    b1, b2 = flow.registered("B1", "B2")
    a.invite(flow.user)
    at1, at2 = b1.receive("INVITE"), b2.receive("INVITE")
    b2.answer(at2, 180)
    b1.answer(at1, 486)
    b1.receive("ACK")
    accept(a, b2, at2)
    flow.talk(a, b2)
    flow.hang_up(a, b2)


def later_fork(flow: Flow, *names: str, body: str | None = "own") -> tuple[Agent, list[Agent], Message]:
    """A calls; a proxy behind this one forks: all callees answer the one INVITE."""
    a, *callees = flow.agents("A", *names)
    a.invite(callees[0], body)
    return a, callees, callees[0].receive("INVITE")


def lost(b: Agent, invite: Message) -> None:
    """A branch that has lost: it is cancelled, and its INVITE refused."""
    b.answer(b.receive("CANCEL"), 200)
    b.answer(invite, 487)
    b.receive("ACK")


def other_than(flow: Flow, node: Rtpengine) -> Rtpengine:
    (other,) = [one for one in flow.world.nodes.values() if one is not node]
    return other
