"""The same Call-ID through the proxy twice, by way of an application server: media is relayed once."""

from tests.lab.agents import Flow, accept


def test_media_is_relayed_once(flow: Flow) -> None:
    a, b = flow.agents("A", "B")
    server = flow.forwarder("server", b)
    invite = a.invite(server.uri)
    accept(a, b, b.receive("INVITE"))
    flow.talk(a, b)
    assert list(flow.world.served(invite.call_id).values()) == [["offer", "answer"]]
    flow.hang_up(a, b)


def test_a_callee_behind_the_server_hangs_up(flow: Flow) -> None:
    a, b = flow.agents("A", "B")
    server = flow.forwarder("server", b)
    a.invite(server.uri)
    invite = b.receive("INVITE")
    b.answer(invite, 183, b.sdp())
    a.receive(183)
    flow.talk(a, b)
    accept(a, b, invite)
    b.reinvite()
    accept(b, a, a.receive("INVITE"))
    flow.talk(a, b)
    flow.hang_up(b, a)


def test_a_delayed_offer_through_the_server(flow: Flow) -> None:
    a, b = flow.agents("A", "B")
    server = flow.forwarder("server", b)
    a.invite(server.uri, None)
    b.answer(b.receive("INVITE"), 200, b.sdp())
    a.ack(a.receive(200), a.sdp())
    b.receive("ACK")
    flow.talk(a, b)
    flow.hang_up(a, b)


def test_a_refusal_behind_the_server(flow: Flow) -> None:
    a, b = flow.agents("A", "B")
    server = flow.forwarder("server", b)
    a.invite(server.uri)
    b.answer(b.receive("INVITE"), 486)
    a.receive(486)
