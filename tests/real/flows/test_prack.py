"""ACK and PRACK are answers or offers by what the dialog has exchanged so far (RFC 3262, section 5; RFC 6337)."""

from tests.lab.agents import Flow
from tests.lab.agents.sdp import PCMA, PCMU


def test_a_new_offer_in_a_prack_keeps_its_codecs(flow: Flow) -> None:
    """The 183 answered the INVITE, so SDP in its PRACK is an offer, which the 200 to the PRACK answers."""
    a, b = flow.agents("A", "B")
    a.invite(b, a.sdp(PCMU))
    invite = b.receive("INVITE")
    b.answer(invite, 183, b.sdp(PCMU), reliable=1)
    a.prack(a.receive(183), a.sdp(PCMA, PCMU))
    b.answer(b.receive("PRACK"), 200, b.sdp(PCMA))
    a.receive(200)
    assert b.descriptions[-1].streams[0].codecs == (PCMA, PCMU)
    assert a.descriptions[-1].streams[0].codecs == (PCMA,)
    flow.talk(a, b)
    b.answer(invite, 200)
    a.ack(a.receive(200))
    b.receive("ACK")
    flow.talk(a, b)
    flow.hang_up(a, b)


def test_a_prack_answers_an_offer_in_a_reliable_183(flow: Flow) -> None:
    """INVITE without SDP: the 183 offers, the PRACK answers (RFC 3262, section 5)."""
    a, b = flow.agents("A", "B")
    a.invite(b, None)
    invite = b.receive("INVITE")
    b.answer(invite, 183, b.sdp(), reliable=1)
    a.prack(a.receive(183), a.sdp())
    b.answer(b.receive("PRACK"), 200)
    a.receive(200)
    flow.talk(a, b)
    b.answer(invite, 200)
    a.ack(a.receive(200))
    b.receive("ACK")
    flow.talk(a, b)
    flow.hang_up(a, b)


def test_a_prack_offers_after_a_delayed_offer_was_answered(flow: Flow) -> None:
    """INVITE without SDP, 183 offers, PRACK answers; the second 183 has no SDP, and its PRACK offers anew."""
    a, b = flow.agents("A", "B")
    a.invite(b, None)
    invite = b.receive("INVITE")
    b.answer(invite, 183, b.sdp(PCMU), reliable=1)
    a.prack(a.receive(183), a.sdp(PCMU))
    b.answer(b.receive("PRACK"), 200)
    a.receive(200)
    b.answer(invite, 180, reliable=2)
    a.prack(a.receive(180), a.sdp(PCMA, PCMU))
    b.answer(b.receive("PRACK"), 200, b.sdp(PCMA))
    a.receive(200)
    assert b.descriptions[-1].streams[0].codecs == (PCMA, PCMU)
    assert a.descriptions[-1].streams[0].codecs == (PCMA,)
    b.answer(invite, 200)
    a.ack(a.receive(200))
    b.receive("ACK")
    flow.talk(a, b)
    flow.hang_up(a, b)


def test_the_ack_of_a_delayed_re_invite_is_an_answer(flow: Flow) -> None:
    a, b = flow.agents("A", "B")
    flow.established(a, b)
    b.reinvite(None)
    a.answer(a.receive("INVITE"), 200, a.sdp(PCMU, PCMA))
    b.ack(b.receive(200), b.sdp(PCMA))
    a.receive("ACK")
    assert a.descriptions[-1].streams[0].codecs == (PCMA,)
    flow.talk(a, b)
    flow.hang_up(a, b)
