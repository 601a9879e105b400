"""What SIP forbids in a Call-ID or a tag is answered with 400; what it allows is served (RFC 3261, section 25.1)."""

import pytest

from tests.lab.agents import Agent, Flow, accept
from tests.lab.agents.message import Message, to_text

FORBIDDEN = {
    "8-bit": b"a\xffb",
    "latin-1": b"caf\xe9",
    "NUL": b"a\x00b",
    "control": b"a\x01b",
    "blank": b"a b",
    "overlong": b"a\xc0\x80b",
}
ALLOWED = {
    "punctuation": "-.!%*_+`'~()<>:\\\"/[]?{}@host",
    "percent": "a%s%n%00b",
    "braces": "{a}[b]<c>",
    "long": "x" * 500,
    "a path": "../../etc/passwd",
    "flags": "to-tag!via-branch",
}


def odd_invite(a: Agent, b: Agent, call_id: bytes) -> Message:
    return a.invite(b, call_id=to_text(call_id))


@pytest.mark.parametrize("call_id", FORBIDDEN.values(), ids=FORBIDDEN.keys())
def test_a_forbidden_call_id_is_refused(flow: Flow, call_id: bytes) -> None:
    a, b = flow.agents("A", "B")
    odd_invite(a, b, call_id)
    a.receive(400)
    assert not b.has_received("INVITE")


@pytest.mark.parametrize("call_id", FORBIDDEN.values(), ids=FORBIDDEN.keys())
def test_a_bye_with_a_forbidden_call_id_is_refused(flow: Flow, call_id: bytes) -> None:
    a, b = flow.agents("A", "B")
    flow.established(a, b)
    request = a.unsent("BYE")
    request.headers = [(name, to_text(call_id) if name == "Call-ID" else value) for name, value in request.headers]
    a.send(request)
    a.receive(400)
    flow.hang_up(a, b)


@pytest.mark.faults("bad header", "header name", "required headers not found", "parsing relevant headers failed")
@pytest.mark.parametrize("tag", [b"a\xffb", b"a\x00b"], ids=["8-bit", "NUL"])
def test_a_forbidden_from_tag_is_refused(flow: Flow, tag: bytes) -> None:
    a, b = flow.agents("A", "B")
    a.tag = to_text(tag)
    a.invite(b)
    if tag == b"a\x00b" and flow.world.kamailio.line.version().startswith("6.1"):
        flow.idle(0.1)  # its parser has no header there, and drops the message before any script
    else:
        a.receive(400)
    assert not b.has_received("INVITE")


@pytest.mark.parametrize("call_id", ALLOWED.values(), ids=ALLOWED.keys())
def test_an_allowed_call_id_is_served(flow: Flow, call_id: str) -> None:
    a, b = flow.agents("A", "B")
    odd_invite(a, b, f"{call_id}{a.tag}".encode())
    accept(a, b, b.receive("INVITE"))
    flow.talk(a, b)
    b.reinvite()
    accept(b, a, a.receive("INVITE"))
    flow.talk(a, b)
    flow.hang_up(a, b)


@pytest.mark.faults("required headers not found")
def test_an_invite_without_call_id_is_not_relayed(flow: Flow) -> None:
    a, b = flow.agents("A", "B")
    request = a.unsent_invite(b)
    request.headers = [(name, value) for name, value in request.headers if name != "Call-ID"]
    a.send(request)
    flow.idle(0.1)  # Kamailio may answer with 400, or not at all
    assert not b.has_received("INVITE")


def test_compact_headers_are_served(flow: Flow) -> None:
    """RFC 3261, section 7.3.3."""
    compact = {"Call-ID": "i", "From": "f", "To": "t", "Via": "v", "Contact": "m"}
    a, b = flow.agents("A", "B")
    request = a.unsent_invite(b)
    request.headers = [(compact.get(name, name), value) for name, value in request.headers]
    a.send_raw(request.encode())
    accept(a, b, b.receive("INVITE"))
    flow.talk(a, b)
    flow.hang_up(b, a)
