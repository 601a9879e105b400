"""Nodes that are disabled, drained or die, and Kamailio that restarts or loads its script again, in every phase."""

import pytest

from tests.lab.agents import Flow, accept

from .steps import later_fork, lost, other_than, reinvite, reliable_183, talk

DEAD_NODE = r"\brtpengine \[rtpengine"


# --- moved calls --------------------------------------------------------------------------------------------------


def test_a_call_that_moves_five_times(flow: Flow) -> None:
    a, b = flow.agents("A", "B")
    flow.established(a, b)
    node = flow.node_of(a.dialog.call_id)
    for number in range(5):
        flow.disable(node)
        reinvite(*((a, b) if number % 2 else (b, a)))
        flow.talk(a, b)
        flow.enable(node)
        flow.world.wait_routable(node.name)
        node = other_than(flow, node)
    flow.no_deletes_wait()
    flow.talk(a, b)
    flow.hang_up(b, a)


@pytest.mark.parametrize("what", ["UPDATE", "delayed"])
@pytest.mark.parametrize("by", ["caller", "callee"])
def test_a_call_moves_with_any_offer(flow: Flow, what: str, by: str) -> None:
    a, b = flow.agents("A", "B")
    flow.established(a, b)
    node = flow.node_of(a.dialog.call_id)
    flow.disable(node)
    one, other = (a, b) if by == "caller" else (b, a)
    if what == "UPDATE":
        one.update()
        other.answer(other.receive("UPDATE"), 200, other.sdp())
        one.receive(200)
    else:
        one.reinvite(None)
        other.answer(other.receive("INVITE"), 200, other.sdp())
        one.ack(one.receive(200), one.sdp())
        other.receive("ACK")
    flow.talk(a, b)
    flow.enable(node)
    flow.no_deletes_wait()
    flow.talk(a, b)
    flow.hang_up(other, one)


def test_a_call_moves_while_a_delayed_re_invite_is_out(flow: Flow) -> None:
    a, b = flow.agents("A", "B")
    flow.established(a, b)
    node = flow.node_of(a.dialog.call_id)
    a.reinvite(None)
    again = b.receive("INVITE")
    flow.disable(node)
    b.answer(again, 200, b.sdp())
    a.ack(a.receive(200), a.sdp())
    b.receive("ACK")
    flow.talk(a, b)
    flow.enable(node)
    flow.no_deletes_wait()
    flow.talk(a, b)
    flow.hang_up(b, a)


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("back", [False, True], ids=["", "node back before"])
def test_two_answered_dialogs_move(flow: Flow, first: int, back: bool) -> None:
    a, callees, invite = later_fork(flow, "B1", "B2")
    for callee in callees:
        accept(a, callee, invite)
    node = flow.node_of(a.dialog.call_id)
    flow.disable(node)
    for callee in callees:
        reinvite(a, callee)
    if back:
        flow.enable(node)
        flow.no_deletes_wait()
    for callee in callees:
        flow.talk(a, callee)
    flow.hang_up(a, callees[first])
    flow.talk(a, callees[1 - first])
    flow.hang_up(callees[1 - first], a)
    flow.enable(node)


@pytest.mark.parametrize("moved", [0, 1])
@pytest.mark.parametrize("first", [0, 1])
def test_one_of_two_answered_dialogs_moves(flow: Flow, moved: int, first: int) -> None:
    """The other one ends without a re-INVITE of its own."""
    a, callees, invite = later_fork(flow, "B1", "B2")
    for callee in callees:
        accept(a, callee, invite)
    node = flow.node_of(a.dialog.call_id)
    flow.disable(node)
    reinvite(a, callees[moved])
    flow.talk(a, callees[moved])
    for number, callee in enumerate((callees[first], callees[1 - first])):
        flow.hang_up(*((a, callee) if number else (callee, a)))
    flow.enable(node)


def test_a_moved_call_ends_while_its_new_offer_is_out(flow: Flow) -> None:
    a, b = flow.agents("A", "B")
    flow.established(a, b)
    node = flow.node_of(a.dialog.call_id)
    flow.disable(node)
    a.reinvite()
    again = b.receive("INVITE")
    b.bye()
    a.answer(a.receive("BYE"), 200)
    b.receive(200)
    b.answer(again, 487)
    a.receive(487)
    flow.enable(node)


@pytest.mark.parametrize("code", [488, 491, 481])
def test_a_moved_re_invite_that_is_refused(flow: Flow, code: int) -> None:
    """The next one brings the call its media again; after a 481 nothing is left."""
    a, b = flow.agents("A", "B")
    flow.established(a, b)
    node = flow.node_of(a.dialog.call_id)
    flow.disable(node)
    a.reinvite()
    b.answer(b.receive("INVITE"), code)
    a.receive(code)
    if code != 481:
        reinvite(b, a)
        flow.talk(a, b)
        flow.hang_up(a, b)
    flow.enable(node)


# --- the node goes in each phase ----------------------------------------------------------------------------------


@pytest.mark.unrelayed  # README: a call that is set up on a node while it is disabled gets its answer unchanged
@pytest.mark.parametrize("phase", ["rings", "early media", "re-INVITE"])
def test_the_node_is_disabled_before_the_answer(flow: Flow, phase: str) -> None:
    a, b = flow.agents("A", "B")
    sent = a.invite(b)
    invite = b.receive("INVITE")
    if phase == "early media":
        b.answer(invite, 183, b.sdp())
        a.receive(183)
    elif phase == "re-INVITE":
        accept(a, b, invite)
        b.reinvite()
        again = a.receive("INVITE")
    node = flow.node_of(sent.call_id)
    flow.disable(node)
    since = node.mark()
    if phase == "re-INVITE":
        accept(b, a, again)
    else:
        accept(a, b, invite)
    flow.forget_descriptions()
    reinvite(a, b)
    flow.assert_relayed()
    flow.talk(a, b)
    assert node.counts(since) == {}
    flow.hang_up(b, a)
    flow.enable(node)


@pytest.mark.parametrize("phase", ["rings", "re-INVITE", "delayed"])
def test_the_node_is_drained_before_the_answer(flow: Flow, phase: str) -> None:
    a, b = flow.agents("A", "B")
    sent = a.invite(b, None if phase == "delayed" else "own")
    invite = b.receive("INVITE")
    if phase == "re-INVITE":
        accept(a, b, invite)
        b.reinvite()
        again = a.receive("INVITE")
    node = flow.node_of(sent.call_id) if phase != "delayed" else None
    for one in [node] if node else flow.world.nodes.values():
        flow.world.command("drain", one.name)
    if phase == "re-INVITE":
        accept(b, a, again)
    elif phase == "delayed":
        b.answer(invite, 200, b.sdp())
        a.ack(a.receive(200), a.sdp())
        b.receive("ACK")
    else:
        accept(a, b, invite)
    flow.talk(a, b)
    reinvite(a, b)
    flow.talk(a, b)
    flow.hang_up(a, b)


def test_a_delayed_offer_whose_node_is_disabled_while_it_rings(flow: Flow) -> None:
    a, b = flow.agents("A", "B")
    a.invite(b, None)
    invite = b.receive("INVITE")
    node = flow.world.nodes["rtp1"]
    flow.disable(node)
    b.answer(invite, 200, b.sdp())
    a.ack(a.receive(200), a.sdp())
    b.receive("ACK")
    flow.talk(a, b)
    assert list(flow.world.served(a.dialog.call_id)) == ["rtp2"]
    flow.enable(node)
    flow.no_deletes_wait()
    flow.talk(a, b)
    flow.hang_up(b, a)


@pytest.mark.unrelayed
@pytest.mark.faults(DEAD_NODE)
@pytest.mark.parametrize("phase", ["offer", "re-INVITE"])
def test_the_node_dies_between_offer_and_answer(flow: Flow, phase: str) -> None:
    """The answer cannot be served; the next re-INVITE moves the call."""
    a, b = flow.agents("A", "B")
    sent = a.invite(b)
    invite = b.receive("INVITE")
    if phase == "re-INVITE":
        accept(a, b, invite)
        b.reinvite()
        again = a.receive("INVITE")
    node = flow.node_of(sent.call_id)
    node.kill()
    if phase == "re-INVITE":
        accept(b, a, again)
    else:
        accept(a, b, invite)
    flow.forget_descriptions()
    reinvite(a, b)
    flow.assert_relayed()
    flow.talk(a, b)
    flow.hang_up(b, a)
    node.start()
    flow.world.wait_routable(node.name)


@pytest.mark.parametrize("by", ["caller", "callee"])
def test_a_call_ends_while_its_node_is_disabled(flow: Flow, by: str) -> None:
    a, b = flow.agents("A", "B")
    flow.established(a, b)
    node = flow.node_of(a.dialog.call_id)
    flow.disable(node)
    flow.hang_up(*((a, b) if by == "caller" else (b, a)))
    flow.enable(node)


def test_a_refusal_while_the_node_is_disabled_then_a_retry(flow: Flow) -> None:
    a, b = flow.agents("A", "B")
    first = a.invite(b)
    invite = b.receive("INVITE")
    node = flow.node_of(first.call_id)
    flow.disable(node)
    b.answer(invite, 407)
    a.receive(407)
    a.invite(b, again=first)
    accept(a, b, b.receive("INVITE"))
    flow.enable(node)
    flow.no_deletes_wait()
    flow.talk(a, b)
    flow.hang_up(a, b)


# --- Kamailio restarts --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["caller", "callee"])
def test_a_bye_after_a_restart(flow: Flow, by: str) -> None:
    a, b = flow.agents("A", "B")
    flow.established(a, b)
    flow.world.kamailio.restart()
    flow.hang_up(*((a, b) if by == "caller" else (b, a)))


@pytest.mark.parametrize("by", ["caller", "callee"])
def test_a_bye_after_a_restart_of_a_call_that_was_forked(flow: Flow, by: str) -> None:
    """A callee that has lost had early media."""
    (a,) = flow.agents("A")
    b1, b2 = flow.registered("B1", "B2")
    a.invite(flow.user)
    at1, at2 = b1.receive("INVITE"), b2.receive("INVITE")
    b1.answer(at1, 183, b1.sdp())
    a.receive(183)
    accept(a, b2, at2)
    lost(b1, at1)
    flow.world.kamailio.restart()
    flow.hang_up(*((a, b2) if by == "caller" else (b2, a)))


@pytest.mark.parametrize("by", ["caller", "callee"])
@pytest.mark.parametrize("what", ["UPDATE", "delayed", "refused", "crossing"])
def test_a_new_offer_after_a_restart(flow: Flow, what: str, by: str) -> None:
    a, b = flow.agents("A", "B")
    flow.established(a, b)
    flow.world.kamailio.restart()
    one, other = (a, b) if by == "caller" else (b, a)
    if what == "UPDATE":
        one.update()
        other.answer(other.receive("UPDATE"), 200, other.sdp())
        one.receive(200)
    elif what == "delayed":
        one.reinvite(None)
        other.answer(other.receive("INVITE"), 200, other.sdp())
        one.ack(one.receive(200), one.sdp())
        other.receive("ACK")
    elif what == "refused":
        one.reinvite()
        other.answer(other.receive("INVITE"), 488)
        one.receive(488)
    else:
        one.reinvite()
        other.reinvite()
        other.answer(other.receive("INVITE"), 491)
        one.answer(one.receive("INVITE"), 491)
        one.receive(491)
        other.receive(491)
    flow.talk(a, b)
    flow.hang_up(other, one)


@pytest.mark.parametrize("code", [481, 408])
def test_a_re_invite_after_a_restart_that_finds_no_call(flow: Flow, code: int) -> None:
    a, b = flow.agents("A", "B")
    flow.established(a, b)
    flow.world.kamailio.restart()
    b.reinvite()
    a.answer(a.receive("INVITE"), code)
    b.receive(code)


def test_a_delayed_re_invite_after_a_restart_that_finds_no_call(flow: Flow) -> None:
    a, b = flow.agents("A", "B")
    flow.established(a, b)
    flow.world.kamailio.restart()
    b.reinvite(None)
    a.answer(a.receive("INVITE"), 481)
    b.receive(481)


@pytest.mark.unrelayed
def test_a_restart_while_a_re_invite_is_out(flow: Flow) -> None:
    a, b = flow.agents("A", "B")
    flow.established(a, b)
    b.reinvite()
    again = a.receive("INVITE")
    flow.world.kamailio.restart()
    accept(b, a, again)
    reinvite(a, b)
    flow.talk(a, b)
    flow.hang_up(b, a)


def test_a_moved_call_after_a_restart(flow: Flow) -> None:
    """Its Route names the node that it has left; the next re-INVITE mends it, and its end leaves nothing."""
    a, b = flow.agents("A", "B")
    flow.established(a, b)
    node = flow.node_of(a.dialog.call_id)
    flow.disable(node)
    reinvite(a, b)
    flow.enable(node)
    flow.no_deletes_wait()
    flow.world.kamailio.restart()
    flow.talk(a, b)
    reinvite(a, b)
    flow.talk(a, b)
    flow.hang_up(a, b)
    for one in flow.world.nodes.values():
        one.cli("terminate all")  # what is known to nobody; rtpengine ends it when it is silent


@pytest.mark.parametrize("phase", ["rings", "early", "answered", "re-INVITE", "two answered", "end"])
def test_the_script_is_loaded_again(flow: Flow, phase: str) -> None:
    """`app_python.reload` in each phase of a call."""
    a, callees, invite = later_fork(flow, "B1", "B2")
    b, other = callees

    def reload_at(here: str) -> None:
        if phase == here:
            flow.world.kamailio.rpc("app_python.reload")

    reload_at("rings")
    reliable_183(a, b, invite)
    reload_at("early")
    accept(a, b, invite)
    reload_at("answered")
    a.reinvite()
    again = b.receive("INVITE")
    reload_at("re-INVITE")
    accept(a, b, again)
    flow.talk(a, b)
    if phase == "two answered":
        accept(a, other, invite)
        reload_at("two answered")
        flow.hang_up(other, a)
        talk(flow, a, b)
    reload_at("end")
    flow.hang_up(b, a)
