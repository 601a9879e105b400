"""An offer for each branch: losers that never say so, moves, further answers, what one branch alone cannot do."""

import itertools

import pytest

from tests.lab.agents import Agent, Flow, Message, accept

from .steps import lost, other_than, reinvite, reliable_183

SCRIPT = "branches.py"

unsendable = pytest.mark.faults(r"tm \[", r"resolve", r"no corresponding (listening )?socket", r"forward", r"<core>")
ORDERS = list(itertools.product([(0, 1), (1, 0)], ["caller", "callee"]))


def forked(flow: Flow, *names: str, body: str | None = "own") -> tuple[Agent, list[Agent], list[Message]]:
    (a,) = flow.agents("A")
    callees = flow.registered(*names)
    a.invite(flow.user, body)
    return a, callees, [callee.receive("INVITE") for callee in callees]


def end(flow: Flow, a: Agent, b: Agent, by: str) -> None:
    flow.hang_up(*((a, b) if by == "caller" else (b, a)))


@pytest.mark.parametrize("by", ["caller", "callee"])
@pytest.mark.parametrize("rang", [False, True], ids=["silent", "early media"])
def test_a_loser_that_never_answers_its_cancel(flow: Flow, rang: bool, by: str) -> None:
    a, (b1, b2), (at1, at2) = forked(flow, "B1", "B2")
    if rang:
        b1.answer(at1, 183, b1.sdp())
        a.receive(183, b1)
        flow.talk(a, b1)
    accept(a, b2, at2)
    flow.talk(a, b2)
    end(flow, a, b2, by)


@pytest.mark.parametrize("silent", [False, True], ids=["487", "silent"])
@pytest.mark.parametrize("by", ["caller", "callee"])
def test_a_loser_and_a_call_that_moves(flow: Flow, by: str, silent: bool) -> None:
    a, (b1, b2), (at1, at2) = forked(flow, "B1", "B2")
    b1.answer(at1, 183, b1.sdp())
    a.receive(183, b1)
    accept(a, b2, at2)
    if not silent:
        lost(b1, at1)
    node = flow.node_of(a.dialog.call_id)
    flow.disable(node)
    reinvite(a, b2)
    flow.talk(a, b2)
    flow.enable(node)
    end(flow, a, b2, by)


@pytest.mark.parametrize(("order", "by"), ORDERS)
def test_two_2xx(flow: Flow, order: tuple[int, int], by: str) -> None:
    a, callees, invites = forked(flow, "B1", "B2")
    callees[1].answer(invites[1], 180)
    a.receive(180)
    for callee, invite in zip(callees, invites, strict=True):
        accept(a, callee, invite)
    for callee in callees:
        flow.talk(a, callee)
    for number, which in enumerate(order):
        end(flow, a, callees[which], by)
        if number == 0:
            flow.talk(a, callees[order[1]])


@pytest.mark.parametrize(("order", "by"), ORDERS)
def test_two_2xx_and_a_restart(flow: Flow, order: tuple[int, int], by: str) -> None:
    """Each dialog's Route names its own session."""
    a, callees, invites = forked(flow, "B1", "B2")
    callees[1].answer(invites[1], 180)
    a.receive(180)
    for callee, invite in zip(callees, invites, strict=True):
        accept(a, callee, invite)
    flow.world.kamailio.restart()
    for number, which in enumerate(order):
        end(flow, a, callees[which], by)
        if number == 0:
            flow.talk(a, callees[order[1]])
            reinvite(callees[order[1]], a)
            flow.talk(a, callees[order[1]])


@pytest.mark.parametrize(("order", "by"), ORDERS)
def test_two_2xx_that_move(flow: Flow, order: tuple[int, int], by: str) -> None:
    a, callees, invites = forked(flow, "B1", "B2")
    callees[1].answer(invites[1], 180)
    a.receive(180)
    for callee, invite in zip(callees, invites, strict=True):
        accept(a, callee, invite)
    node = flow.node_of(a.dialog.call_id)
    flow.disable(node)
    for callee in callees:
        reinvite(a, callee)
        flow.talk(a, callee)
    for number, which in enumerate(order):
        end(flow, a, callees[which], by)
        if number == 0:
            flow.talk(a, callees[order[1]])
    flow.enable(node)


@pytest.mark.parametrize("by", ["caller", "callee"])
def test_a_second_2xx_of_a_later_fork_in_a_branch(flow: Flow, by: str) -> None:
    a, (b1, _), (at1, _) = forked(flow, "B1", "B2")  # B2 stays silent
    (b3,) = flow.agents("B3")
    accept(a, b1, at1)
    accept(a, b3, at1)
    end(flow, a, b1, by)
    flow.talk(a, b3)
    end(flow, a, b3, by)


@pytest.mark.parametrize("what", ["PRACK", "UPDATE"])
@pytest.mark.parametrize("by", ["caller", "callee"])
def test_an_offer_in_the_early_dialog_of_a_branch(flow: Flow, what: str, by: str) -> None:
    a, (b1, b2), (at1, at2) = forked(flow, "B1", "B2")
    b2.answer(at2, 180)
    if what == "PRACK":
        b1.answer(at1, 183, b1.sdp(), reliable=1)
        a.prack(a.receive(183, b1), a.sdp())
        one, other = a, b1
    else:
        reliable_183(a, b1, at1)
        one, other = (a, b1) if by == "caller" else (b1, a)
        one.update(dialog=one.dialog_with(other))
    other.answer(other.receive(what), 200, other.sdp())
    one.receive(200)
    flow.talk(a, b1)
    b1.answer(at1, 200)
    a.ack(a.receive(200))
    b1.receive("ACK")
    lost(b2, at2)
    flow.talk(a, b1)
    end(flow, a, b1, by)


@pytest.mark.parametrize("by", ["caller", "callee"])
def test_a_200_without_sdp(flow: Flow, by: str) -> None:
    a, (b1, b2), (at1, at2) = forked(flow, "B1", "B2")
    reliable_183(a, b1, at1)
    reliable_183(a, b2, at2)
    b2.answer(at2, 200)
    a.ack(a.receive(200, b2))
    b2.receive("ACK")
    lost(b1, at1)
    flow.talk(a, b2)
    end(flow, a, b2, by)


def test_a_bye_in_one_early_dialog(flow: Flow) -> None:
    """RFC 3261, section 15."""
    a, (b1, b2), (at1, at2) = forked(flow, "B1", "B2")
    b1.answer(at1, 183, b1.sdp())
    a.receive(183, b1)
    a.bye(a.dialog_with(b1))
    b1.answer(b1.receive("BYE"), 200)
    a.receive(200)
    b1.answer(at1, 487)
    b1.receive("ACK")
    accept(a, b2, at2)
    flow.talk(a, b2)
    end(flow, a, b2, "callee")


@pytest.mark.parametrize("by", ["caller", "callee"])
def test_a_delayed_offer(flow: Flow, by: str) -> None:
    a, (b1, b2), (at1, at2) = forked(flow, "B1", "B2", body=None)
    b1.answer(at1, 180)
    a.receive(180)
    b2.answer(at2, 200, b2.sdp())
    a.ack(a.receive(200), a.sdp())
    b2.receive("ACK")
    lost(b1, at1)
    flow.talk(a, b2)
    end(flow, a, b2, by)


@unsendable
@pytest.mark.parametrize("answers", [False, True], ids=["refused", "answered"])
def test_one_of_two_branches_cannot_be_sent(flow: Flow, answers: bool) -> None:
    (a,) = flow.agents("A")
    (b,) = flow.registered("B")
    ghost = flow.agents("ghost")[0]
    request = ghost._begin("REGISTER", f"sip:{flow.proxy}", f"<sip:{flow.user}@{flow.proxy}>", f"register-{ghost.tag}")
    request.headers += [("Contact", "<sip:ghost@nowhere.invalid>"), ("Expires", "60")]
    ghost.send(request)
    ghost.receive(200)
    a.invite(flow.user)
    invite = b.receive("INVITE")
    if answers:
        accept(a, b, invite)
        flow.talk(a, b)
        flow.hang_up(b, a)
    else:
        b.answer(invite, 486)
        flow.until(lambda: any(message.status >= 400 for message in a.inbox), "A is refused")


@pytest.mark.parametrize("turn", range(6))
def test_two_calls_with_one_call_id_at_once(flow: Flow, turn: int) -> None:
    """From tags of their own; each has sessions of its own, also when two workers begin them at the same moment."""
    pairs = [flow.agents("A", "B"), flow.agents("C", "D")]
    for a, b in pairs:
        a.invite(b, call_id=f"kept-{pairs[0][0].tag}")
    for a, b in pairs:
        accept(a, b, b.receive("INVITE"))
    for a, b in pairs:
        flow.talk(a, b)
    (a, b), (c, d) = pairs if turn % 2 else pairs[::-1]
    flow.hang_up(a, b)
    flow.talk(c, d)
    flow.hang_up(d, c)


def test_a_challenge_and_a_retry(flow: Flow) -> None:
    (a,) = flow.agents("A")
    b1, b2 = flow.registered("B1", "B2")
    first = a.invite(flow.user)
    for callee in (b1, b2):
        callee.answer(callee.receive("INVITE"), 407)
    a.receive(407)
    a.invite(flow.user, again=first)
    at1, at2 = b1.receive("INVITE"), b2.receive("INVITE")
    b1.answer(at1, 486)
    b1.receive("ACK")
    accept(a, b2, at2)
    flow.talk(a, b2)
    flow.hang_up(b2, a)


@pytest.mark.parametrize("by", ["caller", "callee"])
def test_three_in_a_row_with_early_media_and_a_node_that_is_disabled(flow: Flow, by: str) -> None:
    a, b, c, d = flow.agents("A", "B", "C", "D")
    sent = a.invite(b, headers=[("X-Next", f"{c.uri} {d.uri}")])
    invite = b.receive("INVITE")
    b.answer(invite, 183, b.sdp())
    a.receive(183, b)
    flow.talk(a, b)
    node = flow.node_of(sent.call_id)
    flow.disable(node)
    b.answer(invite, 480)
    invite = c.receive("INVITE")
    c.answer(invite, 183, c.sdp())
    a.receive(183, c)
    flow.talk(a, c)
    flow.enable(node)
    flow.world.wait_routable(node.name)
    flow.disable(other_than(flow, node))
    c.answer(invite, 480)
    accept(a, d, d.receive("INVITE"))
    flow.talk(a, d)
    flow.enable(other_than(flow, node))
    flow.no_deletes_wait()
    flow.talk(a, d)
    end(flow, a, d, by)


def test_a_cancel_crosses_the_200_of_one_branch(flow: Flow) -> None:
    (a,) = flow.agents("A")
    b1, b2 = flow.registered("B1", "B2")
    sent = a.invite(flow.user)
    at1, at2 = b1.receive("INVITE"), b2.receive("INVITE")
    for callee, invite in ((b1, at1), (b2, at2)):
        callee.answer(invite, 180)
        a.receive(180, callee)
    a.cancel(sent)
    a.receive(200)
    lost(b2, at2)
    cancel = b1.receive("CANCEL")
    b1.answer(at1, 200, b1.sdp())
    b1.answer(cancel, 200)
    a.ack(a.receive(200, b1))
    b1.receive("ACK")
    flow.talk(a, b1)
    flow.hang_up(b1, a)
