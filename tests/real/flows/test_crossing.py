"""Messages that cross: what decides is the INVITE's final reply, not what was asked meanwhile."""

import pytest

from tests.lab.agents import Flow


def test_a_cancelled_re_invite_leaves_the_call_as_it_was(flow: Flow) -> None:
    """RFC 3261, sections 9 and 14.1."""
    a, b = flow.agents("A", "B")
    flow.established(a, b)
    sent = a.reinvite()
    again = b.receive("INVITE")
    b.answer(again, 180)
    a.receive(180)
    a.cancel(sent)
    a.receive(200)
    b.answer(b.receive("CANCEL"), 200)
    b.answer(again, 487)
    a.receive(487)
    flow.talk(a, b)
    flow.hang_up(a, b)


def test_a_cancel_that_comes_after_the_200_has_no_effect(flow: Flow) -> None:
    """RFC 3261, section 9.2: the proxy has relayed the final reply when the CANCEL comes."""
    a, b = flow.agents("A", "B")
    sent = a.invite(b)
    b.answer(b.receive("INVITE"), 200, b.sdp())
    answer = a.receive(200)
    a.cancel(sent)
    a.receive(200)
    a.ack(answer)
    b.receive("ACK")
    flow.talk(a, b)
    flow.hang_up(a, b)


def test_a_cancel_that_crosses_the_200_has_no_effect(flow: Flow) -> None:
    """The CANCEL has passed the proxy when the callee, which has picked up meanwhile, answers."""
    a, b = flow.agents("A", "B")
    sent = a.invite(b)
    invite = b.receive("INVITE")
    b.answer(invite, 180)
    a.receive(180)
    a.cancel(sent)
    a.receive(200)
    cancel = b.receive("CANCEL")
    b.answer(invite, 200, b.sdp())
    b.answer(cancel, 200)
    a.ack(a.receive(200, b))
    b.receive("ACK")
    flow.talk(a, b)
    flow.hang_up(a, b)


def test_a_bye_before_the_callees_re_invite(flow: Flow) -> None:
    """The caller is gone when the re-INVITE comes: it is refused, and its offer leaves nothing on the node."""
    a, b = flow.agents("A", "B")
    flow.established(a, b)
    a.bye()
    bye = b.receive("BYE")
    b.reinvite()
    a.answer(a.receive("INVITE"), 481)
    b.receive(481)
    b.answer(bye, 200)
    a.receive(200)


def test_a_bye_while_the_callees_re_invite_is_out(flow: Flow) -> None:
    a, b = flow.agents("A", "B")
    flow.established(a, b)
    b.reinvite()
    again = a.receive("INVITE")
    a.bye()
    b.answer(b.receive("BYE"), 200)
    a.receive(200)
    a.answer(again, 487)
    b.receive(487)


@pytest.mark.unrelayed  # there is no session any more that the answer could be relayed by
def test_a_bye_while_an_answered_re_invite_has_no_ack(flow: Flow) -> None:
    """The 200 comes through the proxy after the BYE: its answer must not open a session anew."""
    a, b = flow.agents("A", "B")
    flow.established(a, b)
    b.reinvite()
    again = a.receive("INVITE")
    a.bye()
    bye = b.receive("BYE")
    a.answer(again, 200, a.sdp())
    b.ack(b.receive(200))
    b.answer(bye, 200)
    a.receive(200)
    a.receive("ACK")


def test_two_byes_that_cross(flow: Flow) -> None:
    a, b = flow.agents("A", "B")
    flow.established(a, b)
    a.bye()
    b.bye()
    a.answer(a.receive("BYE"), 200)
    b.answer(b.receive("BYE"), 200)
    a.receive(200)
    b.receive(200)


def test_two_re_invites_that_cross(flow: Flow) -> None:
    """RFC 3261, section 14.2: each refuses the other's with 491; one comes through at the second try."""
    a, b = flow.agents("A", "B")
    flow.established(a, b)
    a.reinvite()
    b.reinvite()
    a.answer(a.receive("INVITE"), 491)
    b.answer(b.receive("INVITE"), 491)
    a.receive(491)
    b.receive(491)
    flow.talk(a, b)
    a.reinvite()
    b.answer(b.receive("INVITE"), 200, b.sdp())
    a.ack(a.receive(200))
    flow.talk(a, b)
    flow.hang_up(a, b)


def test_a_bye_in_an_early_dialog(flow: Flow) -> None:
    """RFC 3261, section 15: a caller may end an early dialog with a BYE; the INVITE is then refused."""
    a, b = flow.agents("A", "B")
    a.invite(b)
    invite = b.receive("INVITE")
    b.answer(invite, 183, b.sdp())
    a.receive(183)
    a.bye()
    b.answer(b.receive("BYE"), 200)
    a.receive(200)
    b.answer(invite, 487)
    a.receive(487)
