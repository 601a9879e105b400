"""Messages that are lost, come again, cross or come early; and session descriptions of other kinds (hold, T.38)."""

import pytest

from tests.lab.agents import Agent, Body, Flow, Message, accept

from .steps import lost, reinvite

# --- again, and lost ----------------------------------------------------------------------------------------------


def again(agent: Agent, request: Message, times: int = 3) -> None:
    """The same packet once more, as after a lost reply."""
    for _ in range(times):
        agent.send(request)


def test_an_invite_that_comes_again_while_it_waits_for_the_node(flow: Flow) -> None:
    a, b = flow.agents("A", "B")
    for node in flow.world.nodes.values():
        flow.freeze(node)
    sent = a.invite(b)
    again(a, sent)
    flow.idle(0.03)
    again(a, sent)
    for node in flow.world.nodes.values():
        node.thaw()
    invite = b.receive("INVITE")
    again(a, sent)
    accept(a, b, invite)
    again(a, sent)
    flow.talk(a, b)
    assert list(flow.world.served(sent.call_id).values()) == [["offer", "answer"]]
    flow.hang_up(a, b)


def test_a_200_that_comes_again(flow: Flow) -> None:
    """The ACK is lost: the callee sends its 200 again, before and after the ACK; media is not disturbed."""
    a, b = flow.agents("A", "B")
    sent = a.invite(b)
    invite = b.receive("INVITE")
    answer = b.sdp()
    for _ in range(3):
        b.answer(invite, 200, answer)
    a.ack(a.receive(200))
    b.receive("ACK")
    b.answer(invite, 200, answer)
    flow.until(
        lambda: flow.world.served(sent.call_id) and sum("(again)" in line for line in flow.ladder) >= 3, "all are there"
    )
    flow.talk(a, b)
    flow.hang_up(b, a)


def test_a_200_that_comes_again_after_the_bye(flow: Flow) -> None:
    """It opens nothing anew, on any node."""
    a, b = flow.agents("A", "B")
    a.invite(b)
    invite = b.receive("INVITE")
    accept(a, b, invite)
    flow.hang_up(a, b)
    b.answer(invite, 200)
    flow.idle(0.05)


def test_a_bye_that_comes_again(flow: Flow) -> None:
    a, b = flow.agents("A", "B")
    flow.established(a, b)
    bye = a.bye()
    again(a, bye)
    b.answer(b.receive("BYE"), 200)
    a.receive(200)
    again(a, bye)


def test_a_re_invite_that_comes_again(flow: Flow) -> None:
    a, b = flow.agents("A", "B")
    flow.established(a, b)
    sent = a.reinvite()
    again(a, sent)
    b.answer(b.receive("INVITE"), 200, b.sdp())
    again(a, sent)
    a.ack(a.receive(200))
    b.receive("ACK")
    flow.talk(a, b)
    flow.hang_up(b, a)


@pytest.mark.parametrize("by", ["caller", "callee"])
def test_a_bye_before_the_ack(flow: Flow, by: str) -> None:
    a, b = flow.agents("A", "B")
    a.invite(b)
    b.answer(b.receive("INVITE"), 200, b.sdp())
    answer = a.receive(200)
    if by == "caller":
        a.bye(a.dialog_with(b))
        b.answer(b.receive("BYE"), 200)
        a.receive(200)
    else:
        b.bye()
        a.answer(a.receive("BYE"), 200)
        b.receive(200)
    a.ack(answer)
    b.receive("ACK")


# --- CANCEL -------------------------------------------------------------------------------------------------------


def test_a_cancel_before_any_reply(flow: Flow) -> None:
    """RFC 3261, section 9.1: the proxy has answered with 100; the callee has said nothing yet."""
    a, b = flow.agents("A", "B")
    sent = a.invite(b)
    invite = b.receive("INVITE")
    a.cancel(sent)
    a.receive(200)
    b.answer(invite, 180)
    b.answer(b.receive("CANCEL"), 200)
    b.answer(invite, 487)
    a.receive(487)


def test_a_cancel_that_comes_again(flow: Flow) -> None:
    a, b = flow.agents("A", "B")
    sent = a.invite(b)
    invite = b.receive("INVITE")
    b.answer(invite, 183, b.sdp())
    a.receive(183)
    for _ in range(3):
        a.cancel(sent)
    a.receive(200)
    lost(b, invite)
    a.receive(487)


def test_a_cancel_long_after_the_answer(flow: Flow) -> None:
    """The INVITE is long answered, and the call has had a re-INVITE since (RFC 3261, section 9.2)."""
    a, b = flow.agents("A", "B")
    sent = a.invite(b)
    accept(a, b, b.receive("INVITE"))
    reinvite(b, a)
    a.cancel(sent)
    flow.idle(0.02)
    flow.talk(a, b)
    flow.hang_up(a, b)


def test_a_cancelled_delayed_re_invite(flow: Flow) -> None:
    a, b = flow.agents("A", "B")
    flow.established(a, b)
    sent = b.reinvite(None)
    invite = a.receive("INVITE")
    a.answer(invite, 180)
    b.receive(180)
    b.cancel(sent)
    b.receive(200)
    lost(a, invite)
    b.receive(487)
    flow.talk(a, b)
    reinvite(b, a)
    flow.talk(a, b)
    flow.hang_up(b, a)


# --- crossing -----------------------------------------------------------------------------------------------------


def test_updates_that_cross(flow: Flow) -> None:
    """RFC 3311, section 5.2: 491 both ways."""
    a, b = flow.agents("A", "B")
    flow.established(a, b)
    a.update()
    b.update()
    a.answer(a.receive("UPDATE"), 491)
    b.answer(b.receive("UPDATE"), 491)
    a.receive(491)
    b.receive(491)
    flow.talk(a, b)
    flow.hang_up(a, b)


def refused_here_or_there(flow: Flow, method: str, a: Agent, b: Agent) -> None:
    """B's request comes when A has hung up: 481, by the proxy that knows it already, or by A."""
    flow.until(lambda: a.has_received(method) or b.has_received(481), f"the {method} is refused here, or comes")
    if a.has_received(method):
        a.answer(a.receive(method), 481)
    b.receive(481)


def test_a_bye_crosses_an_update(flow: Flow) -> None:
    a, b = flow.agents("A", "B")
    flow.established(a, b)
    a.bye()
    b.update()
    b.answer(b.receive("BYE"), 200)
    a.receive(200)
    refused_here_or_there(flow, "UPDATE", a, b)


@pytest.mark.parametrize("frozen", [False, True], ids=["", "while the node is slow"])
def test_a_bye_crosses_a_re_invite(flow: Flow, frozen: bool) -> None:
    a, b = flow.agents("A", "B")
    flow.established(a, b)
    node = flow.node_of(a.dialog.call_id)
    if frozen:
        flow.freeze(node)
    b.reinvite()
    a.bye()
    if frozen:
        flow.idle(0.03)
        node.thaw()
    b.answer(b.receive("BYE"), 200)
    a.receive(200)
    refused_here_or_there(flow, "INVITE", a, b)


@pytest.mark.unrelayed
def test_a_bye_in_an_early_dialog_crosses_the_200(flow: Flow) -> None:
    """The callee has answered already; the caller acknowledges, and the callee's BYE ends what is left."""
    a, b = flow.agents("A", "B")
    a.invite(b)
    invite = b.receive("INVITE")
    b.answer(invite, 183, b.sdp())
    a.receive(183)
    a.bye()
    bye = b.receive("BYE")
    b.answer(invite, 200, b.sdp())
    b.answer(bye, 200)
    replies = [a.receive(200), a.receive(200)]  # in whatever order
    a.ack(next(reply for reply in replies if "INVITE" in str(reply.header("CSeq"))))
    b.receive("ACK")
    b.bye()
    a.answer(a.receive("BYE"), 481)
    b.receive(481)


# --- other descriptions -------------------------------------------------------------------------------------------


def changed(body: Body, *changes: tuple[str, str]) -> Body:
    text = body.content.decode()
    for old, new in changes:
        text = text.replace(old, new)
    return Body(body.kind, text.encode())


@pytest.mark.parametrize("by", ["caller", "callee"])
def test_hold_and_resume(flow: Flow, by: str) -> None:
    a, b = flow.agents("A", "B")
    flow.established(a, b)
    one, other = (a, b) if by == "caller" else (b, a)
    one.reinvite(one.sdp(attributes=["sendonly"]))
    other.answer(other.receive("INVITE"), 200, other.sdp(attributes=["recvonly"]))
    one.ack(one.receive(200))
    other.receive("ACK")
    assert "a=sendonly" in other.descriptions[-1].text
    reinvite(one, other)
    flow.talk(a, b)
    flow.hang_up(other, one)


@pytest.mark.unrelayed  # a connection address of 0.0.0.0 stays one (RFC 3264, section 8.4)
def test_hold_by_address(flow: Flow) -> None:
    a, b = flow.agents("A", "B")
    flow.established(a, b)
    a.reinvite(changed(a.sdp(), (f"c=IN IP4 {a.rtp.address.host}", "c=IN IP4 0.0.0.0")))
    accept(a, b, b.receive("INVITE"))
    flow.forget_descriptions()
    reinvite(a, b)
    flow.assert_relayed()
    flow.talk(a, b)
    flow.hang_up(b, a)


@pytest.mark.parametrize("answer", ["taken", "488"])
def test_a_t38_re_invite(flow: Flow, answer: str) -> None:
    a, b = flow.agents("A", "B")
    flow.established(a, b)

    def fax(agent: Agent) -> Body:
        lines = [
            "v=0",
            f"o=- 1 2 IN IP4 {agent.rtp.address.host}",
            "s=-",
            f"c=IN IP4 {agent.rtp.address.host}",
            "t=0 0",
            f"m=image {agent.rtp.address.port} udptl t38",
            "a=T38FaxVersion:0",
        ]
        return Body("application/sdp", "".join(f"{line}\r\n" for line in lines).encode())

    b.reinvite(fax(b))
    invite = a.receive("INVITE")
    if answer == "taken":
        a.answer(invite, 200, fax(a))
        b.ack(b.receive(200))
        a.receive("ACK")
        reinvite(a, b)
    else:
        a.answer(invite, 488)
        b.receive(488)
        reinvite(b, a)
    flow.talk(a, b)
    flow.hang_up(b, a)


def test_video_is_added_and_refused(flow: Flow) -> None:
    a, b = flow.agents("A", "B")
    flow.established(a, b)
    video = f"m=video {a.rtp.address.port} RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
    offer = a.sdp()
    a.reinvite(Body(offer.kind, offer.content + video.encode()))
    reply = b.sdp()
    b.answer(b.receive("INVITE"), 200, Body(reply.kind, reply.content + b"m=video 0 RTP/AVP 96\r\n"))
    a.ack(a.receive(200))
    b.receive("ACK")
    flow.talk(a, b)
    flow.hang_up(a, b)
