"""Flows as they happen every day: offer and answer in every place that SIP has for them (RFC 3261, 3262, 3264)."""

from tests.lab.agents import Flow, accept


def test_a_plain_call(flow: Flow) -> None:
    a, b = flow.agents("A", "B")
    a.invite(b)
    invite = b.receive("INVITE")
    b.answer(invite, 180)
    a.receive(180)
    accept(a, b, invite)
    flow.talk(a, b)
    flow.hang_up(a, b)


def test_a_call_that_the_callee_ends(flow: Flow) -> None:
    a, b = flow.agents("A", "B")
    flow.established(a, b)
    flow.talk(a, b)
    flow.hang_up(b, a)


def test_early_media(flow: Flow) -> None:
    """The answer in a 183 and again in the 200; media before and after it."""
    a, b = flow.agents("A", "B")
    a.invite(b)
    invite = b.receive("INVITE")
    answer = b.sdp()
    b.answer(invite, 183, answer)
    a.receive(183)
    flow.talk(a, b)
    b.answer(invite, 200, answer)
    a.ack(a.receive(200))
    b.receive("ACK")
    flow.talk(a, b)
    flow.hang_up(a, b)


def test_a_delayed_offer(flow: Flow) -> None:
    """The offer in the 200, the answer in the ACK."""
    a, b = flow.agents("A", "B")
    a.invite(b, None)
    b.answer(b.receive("INVITE"), 200, b.sdp())
    a.ack(a.receive(200), a.sdp())
    b.receive("ACK")
    flow.talk(a, b)
    flow.hang_up(a, b)


def test_a_re_invite_from_each_side(flow: Flow) -> None:
    a, b = flow.agents("A", "B")
    flow.established(a, b)
    for one, other in ((a, b), (b, a)):
        one.reinvite()
        accept(one, other, other.receive("INVITE"))
        flow.talk(a, b)
    flow.hang_up(a, b)


def test_a_re_invite_with_a_delayed_offer(flow: Flow) -> None:
    """INVITE without SDP in an established call: the offer in the 200, the answer in the ACK (RFC 3261, 14.1)."""
    a, b = flow.agents("A", "B")
    flow.established(a, b)
    a.reinvite(None)
    b.answer(b.receive("INVITE"), 200, b.sdp())
    a.ack(a.receive(200), a.sdp())
    b.receive("ACK")
    flow.talk(a, b)
    flow.hang_up(b, a)


def test_an_update_in_an_established_call(flow: Flow) -> None:
    a, b = flow.agents("A", "B")
    flow.established(a, b)
    a.update()
    b.answer(b.receive("UPDATE"), 200, b.sdp())
    a.receive(200)
    flow.talk(a, b)
    flow.hang_up(a, b)


def test_an_update_in_an_early_dialog(flow: Flow) -> None:
    """Offer and answer are done with the reliable 183 and its PRACK; then an UPDATE (RFC 3311, section 5.1)."""
    a, b = flow.agents("A", "B")
    a.invite(b)
    invite = b.receive("INVITE")
    b.answer(invite, 183, b.sdp(), reliable=1)
    a.prack(a.receive(183))
    b.answer(b.receive("PRACK"), 200)
    a.receive(200)
    a.update()
    b.answer(b.receive("UPDATE"), 200, b.sdp())
    a.receive(200)
    flow.talk(a, b)
    b.answer(invite, 200)
    a.ack(a.receive(200))
    b.receive("ACK")
    flow.talk(a, b)
    flow.hang_up(a, b)


def test_a_cancelled_call(flow: Flow) -> None:
    a, b = flow.agents("A", "B")
    sent = a.invite(b)
    invite = b.receive("INVITE")
    b.answer(invite, 180)
    a.receive(180)
    a.cancel(sent)
    a.receive(200)
    b.answer(b.receive("CANCEL"), 200)
    b.answer(invite, 487)
    a.receive(487)


def test_a_cancelled_call_with_early_media(flow: Flow) -> None:
    a, b = flow.agents("A", "B")
    sent = a.invite(b)
    invite = b.receive("INVITE")
    b.answer(invite, 183, b.sdp())
    a.receive(183)
    flow.talk(a, b)
    a.cancel(sent)
    a.receive(200)
    b.answer(b.receive("CANCEL"), 200)
    b.answer(invite, 487)
    a.receive(487)


def test_a_busy_callee(flow: Flow) -> None:
    a, b = flow.agents("A", "B")
    a.invite(b)
    b.answer(b.receive("INVITE"), 486)
    a.receive(486)


def test_prack_without_sdp(flow: Flow) -> None:
    a, b = flow.agents("A", "B")
    a.invite(b)
    invite = b.receive("INVITE")
    b.answer(invite, 183, b.sdp(), reliable=1)
    a.prack(a.receive(183))
    b.answer(b.receive("PRACK"), 200)
    a.receive(200)
    flow.talk(a, b)
    b.answer(invite, 200)
    a.ack(a.receive(200))
    b.receive("ACK")
    flow.talk(a, b)
    flow.hang_up(b, a)


def test_a_call_to_a_registered_user(flow: Flow) -> None:
    (a,) = flow.agents("A")
    (b,) = flow.registered("B")
    a.invite(flow.user)
    accept(a, b, b.receive("INVITE"))
    flow.talk(a, b)
    flow.hang_up(a, b)
