"""An INVITE that is sent again with the same Call-ID and From tag, as after a 407, has its media like any other."""

import pytest

from tests.lab.agents import Flow, accept
from tests.lab.agents.sdp import descriptions

NODES = 1


@pytest.mark.parametrize("code", [401, 407])
def test_a_retry_with_credentials(flow: Flow, code: int) -> None:
    """RFC 3261, section 22.2: same Call-ID, From tag and To, the next CSeq."""
    a, b = flow.agents("A", "B")
    first = a.invite(b)
    b.answer(b.receive("INVITE"), code)
    a.receive(code)
    a.invite(b, again=first)
    accept(a, b, b.receive("INVITE"))
    flow.talk(a, b)
    flow.hang_up(a, b)


def test_a_retry_at_the_contact_of_a_302(flow: Flow) -> None:
    """RFC 3261, section 8.1.3.4."""
    a, b, c = flow.agents("A", "B", "C")
    first = a.invite(b)
    b.answer(b.receive("INVITE"), 302, headers=[("Contact", c.contact)])
    a.receive(302)
    a.invite(c, again=first)
    accept(a, c, c.receive("INVITE"))
    flow.talk(a, c)
    flow.hang_up(c, a)


def test_a_retry_that_is_refused_too(flow: Flow) -> None:
    a, b = flow.agents("A", "B")
    first = a.invite(b)
    b.answer(b.receive("INVITE"), 407)
    a.receive(407)
    a.invite(b, again=first)
    b.answer(b.receive("INVITE"), 403)
    a.receive(403)


@pytest.mark.parametrize("code", [407, 302])
def test_a_delete_that_waits_does_not_end_the_retry(flow: Flow, code: int) -> None:
    """The delete of the first try is deferred, as another worker waits for the node; the second try is up before it."""
    a, b, c, d = flow.agents("A", "B", "C", "D")
    node = flow.world.nodes["rtp1"]
    with flow.world.wiretap() as wire:
        first = a.invite(b)
        invite = b.receive("INVITE")
        before = wire.mark()
        flow.freeze(node)
        c.invite(d)
        flow.until(lambda: wire.counts("rtp1", before)["offer"], "an offer to the node that is frozen")
        flow.idle(0.02)  # longer than a delete is patient with a node that answers nobody
        b.answer(invite, code, headers=[("Contact", b.contact)] if code == 302 else ())
        a.receive(code)
        node.thaw()
        a.invite(b, again=first)
    accept(a, b, b.receive("INVITE"))
    d.answer(d.receive("INVITE"), 486)
    c.receive(486)
    flow.no_deletes_wait()
    flow.talk(a, b)
    flow.hang_up(a, b)


def test_the_retry_is_offered_once(flow: Flow) -> None:
    """No INVITE of the retries carries more than one session description."""
    a, b = flow.agents("A", "B")
    first = a.invite(b)
    b.answer(b.receive("INVITE"), 401)
    a.receive(401)
    a.invite(b, again=first)
    invite = b.receive("INVITE")
    assert len(descriptions(invite.body)) == 1
    b.answer(invite, 486)
    a.receive(486)
