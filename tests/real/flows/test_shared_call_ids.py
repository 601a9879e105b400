"""One Call-ID for more than one INVITE: retries, back-to-back agents that keep it, spirals; and odd identities."""

import itertools

import pytest

from tests.lab.agents import Agent, Flow, accept

from .steps import lost, reinvite, reliable_183, stranger, talk

PAIRS = list(itertools.product([0, 1], ["caller", "callee"]))


def hang_up(flow: Flow, a: Agent, b: Agent, by: str) -> None:
    flow.hang_up(*((a, b) if by == "caller" else (b, a)))


# --- retries ------------------------------------------------------------------------------------------------------


def test_three_challenges(flow: Flow) -> None:
    a, b = flow.agents("A", "B")
    sent = a.invite(b)
    for _ in range(3):
        b.answer(b.receive("INVITE"), 401)
        a.receive(401)
        sent = a.invite(b, again=sent)
    accept(a, b, b.receive("INVITE"))
    flow.talk(a, b)
    flow.hang_up(b, a)


def test_a_retry_with_another_from_tag(flow: Flow) -> None:
    """After a 302: RFC 3261, section 8.1.3.4 recommends the same tag, and does not demand it."""
    a, b, c = flow.agents("A", "B", "C")
    first = a.invite(b)
    b.answer(b.receive("INVITE"), 302, headers=[("Contact", c.contact)])
    a.receive(302)
    a.tag += "-again"
    a.invite(c, call_id=first.call_id)
    accept(a, c, c.receive("INVITE"))
    flow.talk(a, c)
    flow.hang_up(c, a)


@pytest.mark.parametrize("refused", [0, 1])
def test_a_retry_while_the_first_rings(flow: Flow, refused: int) -> None:
    """Same Call-ID and From tag, the next CSeq, another callee; one of both refuses, the other answers."""
    a, b, c = flow.agents("A", "B", "C")
    first = a.invite(b)
    at_b = b.receive("INVITE")
    b.answer(at_b, 180)
    a.invite(c, again=first)
    at_c = c.receive("INVITE")
    callees = [(b, at_b), (c, at_c)]
    loser, winner = callees[refused], callees[1 - refused]
    loser[0].answer(loser[1], 486)
    a.receive(486)
    accept(a, *winner)
    flow.talk(a, winner[0])
    flow.hang_up(winner[0], a)


@pytest.mark.parametrize(("first", "by"), PAIRS)
def test_a_retry_while_the_first_rings_and_both_answer(flow: Flow, first: int, by: str) -> None:
    a, *callees = flow.agents("A", "B", "C")
    sent = a.invite(callees[0])
    invites = [callees[0].receive("INVITE")]
    a.invite(callees[1], again=sent)
    invites.append(callees[1].receive("INVITE"))
    for callee, invite in zip(callees, invites, strict=True):
        accept(a, callee, invite)
    flow.talk(a, callees[0])
    flow.talk(a, callees[1])
    hang_up(flow, a, callees[first], by)
    flow.talk(a, callees[1 - first])
    hang_up(flow, a, callees[1 - first], by)


@pytest.mark.parametrize("what", ["PRACK", "UPDATE"])
def test_an_early_offer_in_a_retry_while_the_first_rings(flow: Flow, what: str) -> None:
    a, b, c = flow.agents("A", "B", "C")
    sent = a.invite(b)
    at_b = b.receive("INVITE")
    a.invite(c, again=sent)
    at_c = c.receive("INVITE")
    if what == "PRACK":
        c.answer(at_c, 183, c.sdp(), reliable=1)
        a.prack(a.receive(183, c), a.sdp())
    else:
        reliable_183(a, c, at_c)
        a.update(dialog=a.dialog_with(c))
    c.answer(c.receive(what), 200, c.sdp())
    a.receive(200)
    flow.talk(a, c)
    b.answer(at_b, 486)
    a.receive(486)
    c.answer(at_c, 200)
    a.ack(a.receive(200))
    c.receive("ACK")
    flow.talk(a, c)
    flow.hang_up(a, c)


def test_a_cancelled_retry_leaves_the_first(flow: Flow) -> None:
    a, b, c = flow.agents("A", "B", "C")
    first = a.invite(b)
    at_b = b.receive("INVITE")
    second = a.invite(c, again=first)
    at_c = c.receive("INVITE")
    c.answer(at_c, 180)
    a.receive(180)
    a.cancel(second)
    a.receive(200)
    lost(c, at_c)
    a.receive(487)
    accept(a, b, at_b)
    flow.talk(a, b)
    flow.hang_up(a, b)


# --- two calls with one Call-ID -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("first", "by"), PAIRS)
@pytest.mark.parametrize("at_once", [False, True], ids=["one after the other", "at once"])
@pytest.mark.parametrize("body", ["own", None], ids=["offer", "delayed offer"])
def test_two_calls_with_one_call_id(flow: Flow, body: str | None, at_once: bool, first: int, by: str) -> None:
    """As behind a back-to-back user agent that keeps Call-IDs: From tags of their own."""
    pairs = [flow.agents("A", "B"), flow.agents("C", "D")]
    call_id = f"kept-{pairs[0][0].tag}"
    if at_once:
        for node in flow.world.nodes.values():
            flow.freeze(node)
    for a, b in pairs:
        a.invite(b, body, call_id=call_id)
        if at_once:
            flow.idle(0.01)  # which of them is first is certain, and both offers are on their way
        else:
            flow.until(lambda callee=b: callee.has_received("INVITE"), f"{b.name} is called")  # type: ignore[misc]
    if at_once:
        flow.idle(0.03)  # the workers of both wait for the node
        for node in flow.world.nodes.values():
            node.thaw()
    for a, b in pairs:
        b.answer(b.receive("INVITE"), 200, b.sdp())
        a.ack(a.receive(200), None if body else a.sdp())
        b.receive("ACK")
    for a, b in pairs:
        flow.talk(a, b)
    a, b = pairs[first]
    hang_up(flow, a, b, by)
    a, b = pairs[1 - first]
    flow.talk(a, b)
    reinvite(b, a)
    flow.talk(a, b)
    hang_up(flow, a, b, by)


@pytest.mark.parametrize("method", ["BYE", "INVITE"])
def test_a_stranger_in_two_calls_with_one_call_id(flow: Flow, method: str) -> None:
    a, b, c, d, e = flow.agents("A", "B", "C", "D", "E")
    flow.established(a, b)
    c.invite(d, call_id=a.dialog.call_id)
    accept(c, d, d.receive("INVITE"))
    for victim, callee in ((a, b), (c, d)):
        dialog = stranger(e, victim.dialog, callee)
        if method == "BYE":
            e.bye(dialog)
        else:
            e.reinvite(dialog=dialog)
        callee.answer(callee.receive(method), 481)
        e.receive(481)
        flow.talk(a, b)
        flow.talk(c, d)
    flow.hang_up(a, b)
    flow.talk(c, d)
    flow.hang_up(d, c)


@pytest.mark.parametrize("by", ["caller", "callee"])
def test_a_back_to_back_agent_that_keeps_the_call_id(flow: Flow, by: str) -> None:
    """It passes on the session descriptions: media goes through both sessions."""
    a, s, b = flow.agents("A", "S", "B")
    a.invite(s)
    at_s = s.receive("INVITE")
    s.invite(b, at_s.body, call_id=at_s.call_id)
    b.answer(b.receive("INVITE"), 200, b.sdp())
    answer = s.receive(200)
    s.ack(answer)
    b.receive("ACK")
    s.answer(at_s, 200, answer.body)
    a.ack(a.receive(200))
    s.receive("ACK")
    for sender, receiver in ((b, a), (a, b), (b, a)):
        media = sender.dialog_with(s).media
        assert media is not None
        before = receiver.rtp.received[sender.name]
        sender.rtp.send(media.address)
        flow.until(lambda r=receiver, s=sender, n=before: r.rtp.received[s.name] > n, f"{receiver.name} hears it")  # type: ignore[misc]
    if by == "caller":
        flow.hang_up(a, s)
        flow.hang_up(s, b)
    else:
        flow.hang_up(b, s)
        flow.hang_up(s, a)


# --- spirals ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("restart", [False, True], ids=["", "after a restart"])
@pytest.mark.parametrize("what", ["INVITE", "UPDATE", "delayed"])
@pytest.mark.parametrize("by", ["caller", "callee"])
def test_a_new_offer_through_the_server(flow: Flow, what: str, by: str, restart: bool) -> None:
    a, b = flow.agents("A", "B")
    server = flow.forwarder("server", b)
    a.invite(server.uri)
    accept(a, b, b.receive("INVITE"))
    if restart:
        flow.world.kamailio.restart()
    one, other = (a, b) if by == "caller" else (b, a)
    if what == "UPDATE":
        one.update()
        other.answer(other.receive("UPDATE"), 200, other.sdp())
        one.receive(200)
    elif what == "INVITE":
        reinvite(one, other)
    else:
        one.reinvite(None)
        other.answer(other.receive("INVITE"), 200, other.sdp())
        one.ack(one.receive(200), one.sdp())
        other.receive("ACK")
    assert list(flow.world.served(a.dialog.call_id).values()) == [["offer", "answer"] * 2]  # once, not in each pass
    flow.talk(a, b)
    flow.hang_up(other, one)


@pytest.mark.parametrize("by", ["caller", "callee"])
def test_the_end_through_the_server_after_a_restart(flow: Flow, by: str) -> None:
    a, b = flow.agents("A", "B")
    server = flow.forwarder("server", b)
    a.invite(server.uri)
    accept(a, b, b.receive("INVITE"))
    flow.world.kamailio.restart()
    flow.talk(a, b)
    hang_up(flow, a, b, by)


def test_a_cancel_through_the_server(flow: Flow) -> None:
    a, b = flow.agents("A", "B")
    server = flow.forwarder("server", b)
    sent = a.invite(server.uri)
    invite = b.receive("INVITE")
    b.answer(invite, 183, b.sdp())
    a.receive(183)
    a.cancel(sent)
    a.receive(200)
    lost(b, invite)
    a.receive(487)


def test_early_offers_through_the_server(flow: Flow) -> None:
    """PRACK with an offer, then UPDATE from the callee, in the early dialog."""
    a, b = flow.agents("A", "B")
    server = flow.forwarder("server", b)
    a.invite(server.uri)
    invite = b.receive("INVITE")
    b.answer(invite, 183, b.sdp(), reliable=1)
    a.prack(a.receive(183), a.sdp())
    b.answer(b.receive("PRACK"), 200, b.sdp())
    a.receive(200)
    flow.talk(a, b)
    b.update()
    a.answer(a.receive("UPDATE"), 200, a.sdp())
    b.receive(200)
    flow.talk(a, b)
    b.answer(invite, 200)
    a.ack(a.receive(200))
    b.receive("ACK")
    flow.talk(a, b)
    flow.hang_up(b, a)


def test_a_retry_through_the_server(flow: Flow) -> None:
    a, b = flow.agents("A", "B")
    server = flow.forwarder("server", b)
    first = a.invite(server.uri)
    b.answer(b.receive("INVITE"), 407)
    a.receive(407)
    a.invite(server.uri, again=first)
    accept(a, b, b.receive("INVITE"))
    flow.talk(a, b)
    flow.hang_up(a, b)


def test_two_2xx_through_the_server(flow: Flow) -> None:
    a, b1, b2 = flow.agents("A", "B1", "B2")
    server = flow.forwarder("server", b1)
    a.invite(server.uri)
    invite = b1.receive("INVITE")
    for callee in (b1, b2):
        accept(a, callee, invite)
    flow.hang_up(a, b1)
    talk(flow, a, b2)
    flow.hang_up(b2, a)


# --- odd identities -----------------------------------------------------------------------------------------------

TAGS = ["~!%*_+`'.-", "'quoted'", "a%3Bb", "t" * 200, "to-tag"]


@pytest.mark.parametrize("tag", TAGS)
def test_odd_tags(flow: Flow, tag: str) -> None:
    """In a call, and in one with two answers, where tags tell what a BYE ends."""
    a, b1, b2 = flow.agents("A", "B1", "B2")
    a.tag, b1.tag, b2.tag = f"a{tag}", f"b{tag}", f"c{tag}"
    a.invite(b1, call_id=f"odd-tags-{id(flow)}")
    invite = b1.receive("INVITE")
    accept(a, b1, invite)
    flow.talk(a, b1)
    accept(a, b2, invite)
    reinvite(b2, a)
    talk(flow, a, b2)
    flow.hang_up(b1, a)
    talk(flow, a, b2)
    flow.hang_up(b2, a)


@pytest.mark.parametrize(
    "call_id",
    ["-.!%*_+`'~()<>:\\\"/[]?{}@host", "x" * 3000, "a+b+c", "'a'", '"a"', "=a", "+0", "x", "a=b", "{s}", "~1"],
    ids=lambda value: value[:30],
)
def test_odd_call_ids_with_two_answers(flow: Flow, call_id: str) -> None:
    a, b1, b2 = flow.agents("A", "B1", "B2")
    a.invite(b1, call_id=f"{call_id}{a.tag}")
    invite = b1.receive("INVITE")
    accept(a, b1, invite)
    accept(a, b2, invite)
    talk(flow, a, b1)
    flow.hang_up(a, b1)
    talk(flow, a, b2)
    reinvite(b2, a)
    talk(flow, a, b2)
    flow.hang_up(b2, a)


def test_a_long_call_id_whose_delete_waits(flow: Flow) -> None:
    a, b = flow.agents("A", "B")
    a.invite(b, call_id="y" * 3000)
    accept(a, b, b.receive("INVITE"))
    (node,) = [one for one in flow.world.nodes.values() if one.sessions()]
    flow.disable(node)
    flow.hang_up(a, b)
    flow.enable(node)
    flow.no_deletes_wait()
