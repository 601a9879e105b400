"""Requests that fail: what they have opened is closed again, and what was there before is there after it."""

import pytest

from tests.lab.agents import Agent, Flow

NOWHERE = {
    "a host that nobody knows": "sip:x@nowhere.invalid",
    "a transport that is off": "sip:x@127.0.0.1:9;transport=tcp",
    "no socket for IPv6": "sip:x@[::1]:9",
}
# What Kamailio itself logs of a destination that it cannot send to
unsendable = pytest.mark.faults(
    r"tm \[", r"resolve", r"no corresponding (listening )?socket", r"forward", r"sl_reply", r"could not", r"<core>"
)


@unsendable
@pytest.mark.parametrize("uri", NOWHERE.values(), ids=NOWHERE.keys())
def test_an_invite_that_cannot_be_relayed_leaves_nothing(flow: Flow, uri: str) -> None:
    (a,) = flow.agents("A")
    a.invite(uri)
    refused(flow, a)


@unsendable
@pytest.mark.parametrize("uri", NOWHERE.values(), ids=NOWHERE.keys())
def test_a_delayed_offer_that_cannot_be_relayed_leaves_nothing(flow: Flow, uri: str) -> None:
    (a,) = flow.agents("A")
    a.invite(uri, None)
    refused(flow, a)


def refused(flow: Flow, agent: Agent) -> None:
    """Any final refusal will do."""
    flow.until(lambda: any(message.status >= 400 for message in agent.inbox), f"{agent.name} is refused")


@unsendable
def test_a_re_invite_that_cannot_be_relayed_leaves_the_call(flow: Flow) -> None:
    """The callee's Contact cannot be reached for this one request; the call itself goes on."""
    a, b = flow.agents("A", "B")
    flow.established(a, b)
    target, a.dialog.target = a.dialog.target, "sip:B@nowhere.invalid"
    a.reinvite()
    refused(flow, a)
    a.dialog.target = target
    flow.talk(a, b)
    flow.hang_up(a, b)


@pytest.mark.parametrize("code", [481, 408])
def test_a_re_invite_that_finds_no_call_leaves_nothing(flow: Flow, code: int) -> None:
    """RFC 3261, section 12.2.1.2: the caller takes the dialog for ended, and no BYE comes any more."""
    a, b = flow.agents("A", "B")
    flow.established(a, b)
    a.reinvite()
    b.answer(b.receive("INVITE"), code)
    a.receive(code)


@pytest.mark.parametrize("code", [481, 408])
def test_a_re_invite_without_sdp_that_finds_no_call_leaves_nothing(flow: Flow, code: int) -> None:
    a, b = flow.agents("A", "B")
    flow.established(a, b)
    b.reinvite(None)
    a.answer(a.receive("INVITE"), code)
    b.receive(code)


@pytest.mark.parametrize("code", [488, 491, 500])
def test_a_re_invite_that_is_refused_leaves_the_call(flow: Flow, code: int) -> None:
    """RFC 3261, section 14.1: the session goes on as before."""
    a, b = flow.agents("A", "B")
    flow.established(a, b)
    a.reinvite()
    b.answer(b.receive("INVITE"), code)
    a.receive(code)
    flow.talk(a, b)
    flow.hang_up(a, b)


@pytest.mark.parametrize("code", [488, 491])
def test_an_update_that_is_refused_leaves_the_call(flow: Flow, code: int) -> None:
    """RFC 3311, section 5.2."""
    a, b = flow.agents("A", "B")
    flow.established(a, b)
    b.update()
    a.answer(a.receive("UPDATE"), code)
    b.receive(code)
    flow.talk(a, b)
    flow.hang_up(a, b)


@pytest.mark.parametrize("code", [481, 408])
def test_an_update_that_finds_no_call_leaves_nothing(flow: Flow, code: int) -> None:
    a, b = flow.agents("A", "B")
    flow.established(a, b)
    a.update()
    b.answer(b.receive("UPDATE"), code)
    a.receive(code)


def test_a_delayed_offer_that_is_refused_leaves_nothing(flow: Flow) -> None:
    a, b = flow.agents("A", "B")
    a.invite(b, None)
    b.answer(b.receive("INVITE"), 486)
    a.receive(486)


def test_a_cancelled_delayed_offer_leaves_nothing(flow: Flow) -> None:
    a, b = flow.agents("A", "B")
    sent = a.invite(b, None)
    invite = b.receive("INVITE")
    b.answer(invite, 180)
    a.receive(180)
    a.cancel(sent)
    a.receive(200)
    b.answer(b.receive("CANCEL"), 200)
    b.answer(invite, 487)
    a.receive(487)
