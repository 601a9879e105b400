"""Parallel forks with the package's own routes: several contacts of one user, one offer for all of them."""

import pytest

from tests.lab.agents import Flow, accept

from .steps import lost, reinvite, two_answer


def test_one_of_three_answers(flow: Flow) -> None:
    (a,) = flow.agents("A")
    b1, b2, b3 = flow.registered("B1", "B2", "B3")
    a.invite(flow.user)
    forks = {b: b.receive("INVITE") for b in (b1, b2, b3)}
    b3.answer(forks[b3], 486)
    b1.answer(forks[b1], 180)
    a.receive(180)
    accept(a, b2, forks[b2])
    lost(b1, forks[b1])
    flow.talk(a, b2)
    flow.hang_up(a, b2)


def test_a_winner_that_hangs_up_itself(flow: Flow) -> None:
    """The loser had early media: its part of the session is over too."""
    (a,) = flow.agents("A")
    b1, b2 = flow.registered("B1", "B2")
    a.invite(flow.user)
    at1, at2 = b1.receive("INVITE"), b2.receive("INVITE")
    b1.answer(at1, 183, b1.sdp())
    a.receive(183)
    accept(a, b2, at2)
    lost(b1, at1)
    flow.talk(a, b2)
    flow.hang_up(b2, a)


def test_all_refuse(flow: Flow) -> None:
    (a,) = flow.agents("A")
    b1, b2 = flow.registered("B1", "B2")
    a.invite(flow.user)
    at1, at2 = b1.receive("INVITE"), b2.receive("INVITE")
    b1.answer(at1, 486)
    b2.answer(at2, 486)
    a.receive(486)


@pytest.mark.parametrize("kept", [0, 1], ids=["keeps the first", "keeps the second"])
def test_two_answer_and_the_caller_ends_one(flow: Flow, kept: int) -> None:
    """RFC 3261, section 13.2.2.4: the caller acknowledges both 2xx, and ends the one that it does not want."""
    a, *callees = two_answer(flow)
    flow.hang_up(a, callees[1 - kept])
    flow.talk(a, callees[kept])
    flow.hang_up(a, callees[kept])


@pytest.mark.parametrize("kept", [0, 1], ids=["the first stays", "the second stays"])
def test_two_answer_and_one_of_them_hangs_up(flow: Flow, kept: int) -> None:
    a, *callees = two_answer(flow)
    flow.hang_up(callees[1 - kept], a)
    flow.talk(a, callees[kept])
    flow.hang_up(callees[kept], a)


def test_what_is_left_of_two_answers_is_a_call_like_any_other(flow: Flow) -> None:
    """A re-INVITE in it stays on the node, and its end ends the media."""
    a, b1, b2 = two_answer(flow)
    flow.hang_up(a, b2)
    reinvite(a, b1)
    flow.talk(a, b1)
    flow.hang_up(b1, a)


def test_early_media_of_a_loser_does_not_redirect_the_call(flow: Flow) -> None:
    """One has answered; another sends a 183 before it knows that it is cancelled."""
    (a,) = flow.agents("A")
    b1, b2 = flow.registered("B1", "B2")
    a.invite(flow.user)
    at1, at2 = b1.receive("INVITE"), b2.receive("INVITE")
    b1.answer(at1, 180)
    a.receive(180)
    accept(a, b2, at2)
    b1.answer(at1, 183, b1.sdp())
    cancel = b1.receive("CANCEL")
    b1.answer(cancel, 200)
    b1.answer(at1, 487)
    b1.receive("ACK")  # so the proxy has handled what came before
    flow.talk(a, b2)
    flow.hang_up(a, b2)


def test_early_media_that_crosses_the_200_does_not_redirect_the_call(flow: Flow) -> None:
    """A worker has the 200 of one and waits for the node; another takes the 183 that comes a moment later."""
    (a,) = flow.agents("A")
    b1, b2 = flow.registered("B1", "B2")
    sent = a.invite(flow.user)
    at1, at2 = b1.receive("INVITE"), b2.receive("INVITE")
    b1.answer(at1, 180)
    a.receive(180)
    node = flow.node_of(sent.call_id)
    flow.freeze(node)
    b2.answer(at2, 200, b2.sdp())
    flow.idle(0.03)
    b1.answer(at1, 183, b1.sdp())
    flow.idle(0.03)
    node.thaw()
    a.ack(a.receive(200))
    b2.receive("ACK")
    lost(b1, at1)
    flow.talk(a, b2)
    flow.hang_up(a, b2)


def test_early_media_of_both_goes_to_the_one_that_answers(flow: Flow) -> None:
    (a,) = flow.agents("A")
    b1, b2 = flow.registered("B1", "B2")
    a.invite(flow.user)
    at1, at2 = b1.receive("INVITE"), b2.receive("INVITE")
    b2.answer(at2, 183, b2.sdp())
    a.receive(183, b2)
    b1.answer(at1, 183, b1.sdp())
    a.receive(183, b1)
    accept(a, b2, at2)
    lost(b1, at1)
    flow.talk(a, b2)
    flow.hang_up(a, b2)
