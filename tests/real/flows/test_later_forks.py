"""Forks behind this proxy, early dialogs, delayed offers, and requests of strangers."""

import itertools

import pytest

from tests.lab.agents import Flow, accept
from tests.lab.agents.sdp import PCMA, PCMU

from .steps import later_fork, lost, reinvite, reliable_183, stranger, talk

ORDERS_2 = list(itertools.product([(0, 1), (1, 0)], ["caller", "callee"]))
ORDERS_3 = list(itertools.permutations(range(3)))


# --- forks by a later proxy: one branch here, callees with To tags of their own (RFC 3261, section 13.2.2.4) ---------


@pytest.mark.parametrize(("order", "by"), ORDERS_2)
def test_two_2xx_of_a_later_fork(flow: Flow, order: tuple[int, int], by: str) -> None:
    a, callees, invite = later_fork(flow, "B1", "B2")
    for callee in callees:
        accept(a, callee, invite)
    for number, which in enumerate(order):
        callee = callees[which]
        talk(flow, a, callee)
        flow.hang_up(*((a, callee) if by == "caller" else (callee, a)))
        if number == 0:
            talk(flow, a, callees[order[1]])


@pytest.mark.parametrize("order", ORDERS_3)
def test_three_2xx_of_a_later_fork(flow: Flow, order: tuple[int, ...]) -> None:
    a, callees, invite = later_fork(flow, "B1", "B2", "B3")
    for callee in callees:
        accept(a, callee, invite)
    for callee in callees:
        talk(flow, a, callee)
    for number, which in enumerate(order):
        callee = callees[which]
        talk(flow, a, callee)
        flow.hang_up(*((a, callee) if number % 2 else (callee, a)))


def test_three_2xx_of_a_fork_here(flow: Flow) -> None:
    (a,) = flow.agents("A")
    callees = flow.registered("B1", "B2", "B3")
    a.invite(flow.user)
    forks = [(callee, callee.receive("INVITE")) for callee in callees]
    for callee, invite in forks:
        callee.answer(invite, 180)
        a.receive(180, callee)
    for callee, invite in forks:
        accept(a, callee, invite)
    for callee, _ in forks[1:]:
        callee.answer(callee.receive("CANCEL"), 200)
    for callee in callees:
        talk(flow, a, callee)
    flow.hang_up(a, callees[0])
    talk(flow, a, callees[2])
    flow.hang_up(callees[1], a)
    talk(flow, a, callees[2])
    flow.hang_up(callees[2], a)


@pytest.mark.parametrize("body", ["own", None], ids=["offer", "delayed offer"])
@pytest.mark.parametrize("turn", range(4))
def test_two_2xx_at_once(flow: Flow, body: str | None, turn: int) -> None:
    """Two workers have them at the same moment."""
    a, callees, invite = later_fork(flow, "B1", "B2", body=body)
    for callee in callees:
        callee.answer(invite, 200, callee.sdp())
    for callee in callees:
        a.ack(a.receive(200, callee), None if body else a.sdp())
        callee.receive("ACK")
    for callee in callees:
        talk(flow, a, callee)
    flow.hang_up(a, callees[turn % 2])
    talk(flow, a, callees[1 - turn % 2])
    flow.hang_up(callees[1 - turn % 2], a)


@pytest.mark.parametrize("which", [0, 1])
def test_a_re_invite_in_one_of_two_answered_dialogs(flow: Flow, which: int) -> None:
    a, callees, invite = later_fork(flow, "B1", "B2")
    for callee in callees:
        accept(a, callee, invite)
    reinvite(a, callees[which])
    talk(flow, a, callees[which])
    talk(flow, a, callees[1 - which])
    reinvite(callees[which], a)
    talk(flow, a, callees[which])
    flow.hang_up(a, callees[1 - which])
    talk(flow, a, callees[which])
    flow.hang_up(callees[which], a)


@pytest.mark.parametrize("winner", [0, 1, 2])
@pytest.mark.parametrize("by", ["caller", "callee"])
def test_early_dialogs_of_one_branch(flow: Flow, winner: int, by: str) -> None:
    """183 with tag T1, 183 with T2; then 200 with T1, T2 or another one."""
    a, callees, invite = later_fork(flow, "B1", "B2", "B3")
    for callee in callees[:2]:
        callee.answer(invite, 183, callee.sdp())
        a.receive(183, callee)
        talk(flow, a, callee)
    b = callees[winner]
    accept(a, b, invite)
    talk(flow, a, b)
    flow.hang_up(*((a, b) if by == "caller" else (b, a)))


@pytest.mark.parametrize("by", ["caller", "callee"])
def test_a_200_without_sdp_after_reliable_183s_of_a_fork(flow: Flow, by: str) -> None:
    """Both have answered in a reliable 183; the later one picks up (RFC 3262, section 5)."""
    (a,) = flow.agents("A")
    b1, b2 = flow.registered("B1", "B2")
    a.invite(flow.user)
    at1, at2 = b1.receive("INVITE"), b2.receive("INVITE")
    reliable_183(a, b1, at1)
    reliable_183(a, b2, at2)
    b2.answer(at2, 200)
    a.ack(a.receive(200, b2))
    b2.receive("ACK")
    lost(b1, at1)
    talk(flow, a, b2)
    flow.hang_up(*((a, b2) if by == "caller" else (b2, a)))


@pytest.mark.parametrize(("order", "by"), ORDERS_2)
def test_two_2xx_the_first_without_sdp(flow: Flow, order: tuple[int, int], by: str) -> None:
    """B1's answer came in its reliable 183; B2's comes in its 200."""
    a, callees, invite = later_fork(flow, "B1", "B2")
    b1, b2 = callees
    reliable_183(a, b1, invite)
    b1.answer(invite, 200)
    a.ack(a.receive(200, b1))
    b1.receive("ACK")
    talk(flow, a, b1)
    accept(a, b2, invite)
    for number, which in enumerate(order):
        callee = callees[which]
        flow.hang_up(*((a, callee) if by == "caller" else (callee, a)))
        if number == 0:
            talk(flow, a, callees[order[1]])


@pytest.mark.parametrize("what", ["reinvite", "update"])
@pytest.mark.parametrize("by", ["caller", "callee"])
def test_a_new_offer_after_a_200_without_sdp(flow: Flow, what: str, by: str) -> None:
    a, (b,), invite = later_fork(flow, "B")
    reliable_183(a, b, invite)
    b.answer(invite, 200)
    a.ack(a.receive(200, b))
    b.receive("ACK")
    one, other = (a, b) if by == "caller" else (b, a)
    if what == "reinvite":
        reinvite(one, other)
    else:
        one.update()
        other.answer(other.receive("UPDATE"), 200, other.sdp())
        one.receive(200)
    talk(flow, a, b)
    flow.hang_up(other, one)


# --- early dialogs: BYE, UPDATE, PRACK ----------------------------------------------------------------------------


def test_a_bye_in_one_early_dialog_leaves_the_other(flow: Flow) -> None:
    """RFC 3261, section 15: the caller ends the early dialog with B1 alone; B2 picks up afterwards."""
    (a,) = flow.agents("A")
    b1, b2 = flow.registered("B1", "B2")
    a.invite(flow.user)
    at1, at2 = b1.receive("INVITE"), b2.receive("INVITE")
    b1.answer(at1, 183, b1.sdp())
    a.receive(183, b1)
    b2.answer(at2, 180)
    a.receive(180, b2)
    a.bye(a.dialog_with(b1))
    b1.answer(b1.receive("BYE"), 200)
    a.receive(200)
    b1.answer(at1, 487)
    b1.receive("ACK")
    accept(a, b2, at2)
    flow.talk(a, b2)
    flow.hang_up(b2, a)


def test_an_update_that_finds_no_early_dialog_leaves_the_other(flow: Flow) -> None:
    """481 to an UPDATE ends that early dialog, not what another callee still answers."""
    (a,) = flow.agents("A")
    b1, b2 = flow.registered("B1", "B2")
    a.invite(flow.user)
    at1, at2 = b1.receive("INVITE"), b2.receive("INVITE")
    reliable_183(a, b1, at1)
    b2.answer(at2, 180)
    a.receive(180, b2)
    a.update(dialog=a.dialog_with(b1))
    b1.answer(b1.receive("UPDATE"), 481)
    a.receive(481)
    accept(a, b2, at2)
    lost(b1, at1)
    flow.talk(a, b2)
    flow.hang_up(a, b2)


@pytest.mark.parametrize("by", ["caller", "callee"])
def test_an_update_in_an_early_dialog(flow: Flow, by: str) -> None:
    a, (b,), invite = later_fork(flow, "B")
    reliable_183(a, b, invite)
    one, other = (a, b) if by == "caller" else (b, a)
    one.update()
    other.answer(other.receive("UPDATE"), 200, other.sdp())
    one.receive(200)
    flow.talk(a, b)
    b.answer(invite, 200)
    a.ack(a.receive(200))
    b.receive("ACK")
    flow.talk(a, b)
    flow.hang_up(other, one)


def test_a_prack_with_an_offer_in_a_fork(flow: Flow) -> None:
    (a,) = flow.agents("A")
    b1, b2 = flow.registered("B1", "B2")
    a.invite(flow.user, a.sdp(PCMU))
    at1, at2 = b1.receive("INVITE"), b2.receive("INVITE")
    b2.answer(at2, 180)
    b1.answer(at1, 183, b1.sdp(PCMU), reliable=1)
    a.prack(a.receive(183), a.sdp(PCMA, PCMU))
    b1.answer(b1.receive("PRACK"), 200, b1.sdp(PCMA))
    a.receive(200)
    assert b1.descriptions[-1].streams[0].codecs == (PCMA, PCMU)
    assert a.descriptions[-1].streams[0].codecs == (PCMA,)
    flow.talk(a, b1)
    b1.answer(at1, 200)
    a.ack(a.receive(200))
    b1.receive("ACK")
    lost(b2, at2)
    flow.talk(a, b1)
    flow.hang_up(b1, a)


# --- delayed offers -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("order", "by"), ORDERS_2)
def test_two_delayed_offers_of_a_fork(flow: Flow, order: tuple[int, int], by: str) -> None:
    """Both 2xx offer, both ACKs answer."""
    a, callees, invite = later_fork(flow, "B1", "B2", body=None)
    answers = []
    for callee in callees:
        callee.answer(invite, 200, callee.sdp())
        answers.append((callee, a.receive(200, callee)))
    for callee, answer in answers:
        a.ack(answer, a.sdp())
        callee.receive("ACK")
    for callee in callees:
        talk(flow, a, callee)
    for number, which in enumerate(order):
        callee = callees[which]
        flow.hang_up(*((a, callee) if by == "caller" else (callee, a)))
        if number == 0:
            talk(flow, a, callees[order[1]])


@pytest.mark.parametrize("winner", [0, 1])
def test_two_reliable_183s_with_offers(flow: Flow, winner: int) -> None:
    """INVITE without SDP: both PRACKs are answers, whichever comes first (RFC 3262, section 5)."""
    (a,) = flow.agents("A")
    callees = flow.registered("B1", "B2")
    a.invite(flow.user, None)
    invites = [callee.receive("INVITE") for callee in callees]
    for callee, invite in zip(callees, invites, strict=True):
        callee.answer(invite, 183, callee.sdp(PCMU, PCMA), reliable=1)
    for callee in callees:
        a.prack(a.receive(183, callee), a.sdp(PCMA))
        prack = callee.receive("PRACK")
        assert callee.descriptions[-1].streams[0].codecs == (PCMA,)
        callee.answer(prack, 200)
        a.receive(200, callee)
    b, loser = callees[winner], callees[1 - winner]
    b.answer(invites[winner], 200)
    a.ack(a.receive(200, b))
    b.receive("ACK")
    lost(loser, invites[1 - winner])
    flow.hang_up(b, a)


def test_a_delayed_offer_in_a_183_that_is_refused(flow: Flow) -> None:
    a, (b,), invite = later_fork(flow, "B", body=None)
    b.answer(invite, 183, b.sdp(), reliable=1)
    a.prack(a.receive(183), a.sdp())
    b.answer(b.receive("PRACK"), 200)
    a.receive(200)
    b.answer(invite, 486)
    a.receive(486)


def test_a_delayed_offer_in_a_183_that_nobody_answers(flow: Flow) -> None:
    """The caller cancels before its PRACK: the node knows the callee alone."""
    (a, b) = flow.agents("A", "B")
    sent = a.invite(b, None)
    invite = b.receive("INVITE")
    b.answer(invite, 183, b.sdp(), reliable=1)
    a.receive(183)
    a.cancel(sent)
    a.receive(200)
    b.answer(b.receive("CANCEL"), 200)
    b.answer(invite, 487)
    a.receive(487)


def test_a_delayed_offer_whose_ack_is_lost(flow: Flow) -> None:
    """The callee gives up with a BYE (RFC 3261, section 13.3.1.4)."""
    a, (b,), invite = later_fork(flow, "B", body=None)
    b.answer(invite, 200, b.sdp())
    a.receive(200)
    b.bye()
    a.answer(a.receive("BYE"), 200)
    b.receive(200)


def test_a_delayed_offer_that_the_caller_does_not_answer(flow: Flow) -> None:
    """It acknowledges without SDP and ends the call."""
    a, (b,), invite = later_fork(flow, "B", body=None)
    accept(a, b, invite)
    flow.hang_up(a, b)


@pytest.mark.parametrize("code", [488, 491])
def test_a_delayed_re_invite_that_is_refused_then_a_usual_one(flow: Flow, code: int) -> None:
    a, b = flow.agents("A", "B")
    flow.established(a, b)
    a.reinvite(None)
    b.answer(b.receive("INVITE"), code)
    a.receive(code)
    flow.talk(a, b)
    reinvite(b, a)
    flow.talk(a, b)
    reinvite(a, b)
    flow.talk(a, b)
    flow.hang_up(b, a)


def test_a_delayed_re_invite_that_crosses_a_usual_one(flow: Flow) -> None:
    """Both are refused with 491 (RFC 3261, section 14.2); then the delayed one comes through."""
    a, b = flow.agents("A", "B")
    flow.established(a, b)
    a.reinvite(None)
    b.reinvite()
    a.answer(a.receive("INVITE"), 491)
    b.answer(b.receive("INVITE"), 491)
    a.receive(491)
    b.receive(491)
    flow.talk(a, b)
    a.reinvite(None)
    b.answer(b.receive("INVITE"), 200, b.sdp(PCMU, PCMA))
    a.ack(a.receive(200), a.sdp())
    b.receive("ACK")
    assert list(flow.world.served(a.dialog.call_id).values()) == [["offer", "answer", "offer", "offer", "answer"]]
    flow.talk(a, b)
    flow.hang_up(a, b)


# --- strangers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", ["rings", "established", "200 without SDP", "two answered", "after a restart"])
def test_a_strangers_bye_ends_nothing(flow: Flow, phase: str) -> None:
    """Somebody else's Call-ID and Route, tags made up: the dialog is another (RFC 3261, section 12.2.2)."""
    a, b, other, c = flow.agents("A", "B", "B2", "C")
    a.invite(b)
    invite = b.receive("INVITE")
    reliable_183(a, b, invite)
    if phase == "200 without SDP":
        b.answer(invite, 200)
        a.ack(a.receive(200, b))
        b.receive("ACK")
    elif phase != "rings":
        accept(a, b, invite)
    if phase == "two answered":
        accept(a, other, invite)
    if phase == "after a restart":
        flow.world.kamailio.restart()
    c.bye(stranger(c, a.dialog_with(b), b))
    b.answer(b.receive("BYE"), 481)
    c.receive(481)
    flow.talk(a, b)
    if phase == "rings":
        accept(a, b, invite)
        flow.talk(a, b)
    if phase == "two answered":
        talk(flow, a, other)
        flow.hang_up(a, other)
    flow.hang_up(b, a)


@pytest.mark.parametrize("code", [481, 404])
@pytest.mark.parametrize("phase", ["rings", "established"])
def test_a_strangers_re_invite_changes_nothing(flow: Flow, code: int, phase: str) -> None:
    a, b, c = flow.agents("A", "B", "C")
    a.invite(b)
    invite = b.receive("INVITE")
    reliable_183(a, b, invite)
    if phase == "established":
        accept(a, b, invite)
    c.reinvite(dialog=stranger(c, a.dialog_with(b), b))
    b.answer(b.receive("INVITE"), code)
    c.receive(code)
    flow.talk(a, b)
    if phase == "rings":
        accept(a, b, invite)
        flow.talk(a, b)
    flow.hang_up(b, a)


@pytest.mark.faults(r"tm \[", r"resolve", r"<core>", r"sl_reply", r"could not", r"forward")
def test_a_strangers_re_invite_that_cannot_be_relayed_leaves_nothing(flow: Flow) -> None:
    a, b, c = flow.agents("A", "B", "C")
    flow.established(a, b)
    dialog = stranger(c, a.dialog, b)
    dialog.target = "sip:x@nowhere.invalid"
    c.reinvite(dialog=dialog)
    flow.until(lambda: any(message.status >= 400 for message in c.inbox), "C is refused")
    flow.talk(a, b)
    flow.hang_up(b, a)


@pytest.mark.faults(r"tm \[", r"resolve", r"<core>", r"sl_reply", r"could not", r"forward")
@pytest.mark.parametrize("method", ["INVITE", "delayed", "UPDATE"])
def test_a_new_offer_that_cannot_be_relayed_and_one_that_can(flow: Flow, method: str) -> None:
    a, b = flow.agents("A", "B")
    flow.established(a, b)
    target, a.dialog.target = a.dialog.target, "sip:B@nowhere.invalid"
    if method == "UPDATE":
        a.update()
    else:
        a.reinvite(None if method == "delayed" else "own")
    flow.until(lambda: any(message.status >= 400 for message in a.inbox), "A is refused")
    a.dialog.target = target
    flow.talk(a, b)
    reinvite(b, a)
    flow.talk(a, b)
    flow.hang_up(b, a)


@pytest.mark.parametrize("answered", [False, True], ids=["refused", "answered"])
def test_a_strangers_call_with_the_same_call_id(flow: Flow, answered: bool) -> None:
    a, b, c, d = flow.agents("A", "B", "C", "D")
    flow.established(a, b)
    c.invite(d, call_id=a.dialog.call_id)
    invite = d.receive("INVITE")
    if answered:
        accept(c, d, invite)
        flow.talk(c, d)
    else:
        d.answer(invite, 486)
        c.receive(486)
    flow.talk(a, b)
    reinvite(b, a)
    flow.talk(a, b)
    flow.hang_up(a, b)
    if answered:
        flow.talk(c, d)
        flow.hang_up(d, c)


@pytest.mark.faults("kemi_rtp: call")
def test_a_call_id_that_looks_like_anothers_session(flow: Flow) -> None:
    """`X#0` beside X: refused, as SIP has no # there (RFC 3261, section 25.1), or served; X is left alone."""
    a, b, other, c, d = flow.agents("A", "B", "B2", "C", "D")
    a.invite(b)
    invite = b.receive("INVITE")
    accept(a, b, invite)
    accept(a, other, invite)
    c.invite(d, call_id=f"{a.dialog.call_id}#0")
    flow.until(lambda: c.has_received(400) or d.has_received("INVITE"), "it is refused or relayed")
    if d.has_received("INVITE"):
        accept(c, d, d.receive("INVITE"))
        flow.talk(c, d)
        flow.hang_up(c, d)
    talk(flow, a, b)
    talk(flow, a, other)
    flow.hang_up(b, a)
    flow.hang_up(a, other)
