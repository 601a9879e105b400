"""Unusual flows of calls, on the stub: which session each message is for, and what is left. Media: tests/real/flows."""

import pytest
from pytest_mock import MockerFixture

import KSR
from kemi_rtp.model.binding import ENDED, parse_numbers
from kemi_rtp.routes import Routes
from KSR.testing import NgCommand, Routed, SipMessage, State
from tests.unit.calls import NAMES, bye, established
from tests.unit.site import Site, is_of


def sent(site: Site, call_id: str = "c1") -> list[tuple[str, str]]:
    """Command and session of all that the nodes were asked for a call; a usual call's session has no number."""
    daemons = [site.daemon(name) for name in ("rtp1", "rtp2", "rtp3")]
    found: list[NgCommand] = [command for daemon in daemons for command in daemon.log if is_of(command, call_id)]
    return [(command.command, command.call_id.partition("#")[2]) for command in sorted(found, key=lambda one: one.at)]


def left(site: Site) -> list[str]:
    """Sessions and bindings that are there."""
    sessions = [id for name in ("rtp1", "rtp2", "rtp3") for id in site.daemon(name).calls]
    return sessions + list(site.ksr.htables["kemi_rtp_calls"].cells)


def within(site: Site, method: str, invite: SipMessage, routed: Routed, **parts: object) -> SipMessage:
    return site.ksr.in_dialog(method, invite, routed.request, **parts)  # type: ignore[arg-type]


# --- who ends a call --------------------------------------------------------------------------------------------------


def test_a_bye_with_foreign_tags_ends_nothing(site: Site) -> None:
    worker = site.start()
    invite, routed, _ = established(site, worker)
    before = left(site)
    worker.request(within(site, "BYE", invite, routed, from_tag="stranger", cseq=9))
    worker.request(within(site, "BYE", invite, routed, to_tag="stranger", cseq=9))
    assert left(site) == before
    bye(site, worker, invite, routed)
    assert left(site) == []


def test_a_delete_names_the_callers_tag_whoever_hangs_up(site: Site) -> None:
    """rtpengine ends the part of the tag that it is told; the caller's is everybody's peer."""
    worker = site.start()
    for number, build in enumerate((site.ksr.in_dialog, site.ksr.from_callee)):
        invite, routed, name = established(site, worker, f"c{number}")
        worker.request(build("BYE", invite, routed.request, cseq=9))
        assert site.daemon(name).commands("delete")[-1].from_tag == "caller-tag"


def test_a_cancel_ends_nothing_and_the_487_all(site: Site) -> None:
    worker = site.start()
    invite, routed = site.call(worker, "c1")
    worker.request(site.ksr.cancel(invite))
    assert sent(site) == [("offer", "")]
    site.answer(worker, routed.request, 487, sdp=False)
    assert left(site) == []


def test_a_cancel_that_crosses_the_200_has_no_effect(site: Site) -> None:
    worker = site.start()
    invite, routed, _ = established(site, worker)
    worker.request(site.ksr.cancel(invite))
    assert sent(site) == [("offer", ""), ("answer", "")]
    bye(site, worker, invite, routed)
    assert left(site) == []


@pytest.mark.parametrize(("code", "ends"), [(481, True), (408, True), (488, False), (491, False), (500, False)])
def test_a_re_invite_that_fails_ends_the_call_only_if_the_call_is_gone(site: Site, code: int, ends: bool) -> None:
    worker = site.start()
    invite, routed, _ = established(site, worker)
    again = worker.request(within(site, "INVITE", invite, routed, sdp=True, cseq=7))
    site.answer(worker, again.request, code, sdp=False)
    assert (left(site) == []) is ends


def test_an_invite_that_cannot_be_relayed_leaves_nothing(site: Site, mocker: MockerFixture) -> None:
    worker = site.start()
    site.ksr.returns("tm.t_relay", -1)
    site.call(worker, "c1")
    assert left(site) == []


def test_a_fault_in_a_script_leaves_nothing(site: Site, mocker: MockerFixture) -> None:
    worker = site.start()
    mocker.patch.object(Routes, "relay", side_effect=RuntimeError("a fault of the site"))
    _, routed = site.call(worker, "c1")
    assert routed.reply.code == 500
    assert left(site) == []


# --- the same Call-ID once more ---------------------------------------------------------------------------------------


def test_a_retry_is_a_session_of_its_own_while_the_delete_of_the_first_waits(site: Site) -> None:
    worker = site.start()
    site.tick()
    _, routed = site.call(worker, "c1")
    (name,) = site.serving("c1")
    site.disable(name)
    site.answer(worker, routed.request, 407, sdp=False)
    assert site.state(worker).binding("c1") == ENDED
    invite, routed = site.call(worker, "c1", cseq=2)
    site.answer(worker, routed.request)
    site.cli("enable", name)
    site.tick(3)
    assert [(url, b"#" in command) for url, command in site.deletes] == [(site.node(name).url, False)]
    (number,) = {session for _, session in sent(site)} - {""}
    assert f"c1#{number}" in left(site)
    bye(site, worker, invite, routed)
    assert left(site) == []


def test_a_call_whose_delete_waits_is_forgotten_with_it(site: Site) -> None:
    worker = site.start()
    site.tick()
    _, routed = site.call(worker, "c1")
    (name,) = site.serving("c1")
    site.disable(name)
    site.answer(worker, routed.request, 486, sdp=False)
    site.cli("enable", name)
    site.tick(3)
    assert left(site) == []


def test_a_second_invite_with_the_same_call_id_has_its_own_session_and_end(site: Site) -> None:
    """As behind an application server that keeps Call-IDs."""
    worker = site.start()
    invite, routed, _ = established(site, worker)
    other, second = site.call(worker, "c1", from_tag="server", cseq=2)
    site.answer(worker, second.request)
    (number,) = {session for _, session in sent(site)} - {""}
    assert [session for command, session in sent(site) if command == "answer"] == ["", number]
    worker.request(within(site, "BYE", other, second, cseq=9))
    assert ("delete", number) in sent(site)
    assert ("delete", "") not in sent(site)
    bye(site, worker, invite, routed)
    assert left(site) == []


def test_media_of_a_call_that_passes_twice_is_relayed_once(site: Site) -> None:
    worker = site.start()
    invite, routed = site.call(worker, "c1")
    recorded = routed.request.headers("Record-Route")
    again = site.ksr.invite(call_id="c1", headers=[("Record-Route", one) for one in recorded])
    second = worker.request(again)
    assert sent(site) == [("offer", "")]
    site.answer(worker, second.request)
    assert sent(site) == [("offer", "")]
    site.answer(worker, routed.request)
    assert sent(site) == [("offer", ""), ("answer", "")]
    where = second.request.headers("Record-Route")[:1]
    worker.request(within(site, "INVITE", invite, second, sdp=True, cseq=8, route=where))
    assert sent(site) == [("offer", ""), ("answer", "")]
    bye(site, worker, invite, routed)
    assert left(site) == []
    # Nothing is known of it any more, as after a restart: the Route says it too.
    worker.request(within(site, "UPDATE", invite, second, sdp=True, cseq=9, route=where))
    assert [command for command, _ in sent(site)].count("offer") == 1


def test_a_site_may_relay_it_at_each_pass(site: Site, mocker: MockerFixture) -> None:
    mocker.patch.object(Routes, "relays_once", return_value=False)
    worker = site.start()
    _, routed = site.call(worker, "c1")
    headers = [("Record-Route", one) for one in routed.request.headers("Record-Route")]
    worker.request(site.ksr.invite(call_id="c1", headers=headers))
    assert len([command for command, _ in sent(site) if command == "offer"]) == 2


# --- more answers than one --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first_to_go", ["callee-tag", "another"])
def test_two_answers_are_two_dialogs_and_the_last_end_ends_all(site: Site, first_to_go: str) -> None:
    worker = site.start()
    invite, routed, _ = established(site, worker)
    site.answer(worker, routed.request, to_tag="another")
    tags = [first_to_go, *({"callee-tag", "another"} - {first_to_go})]
    worker.request(within(site, "BYE", invite, routed, to_tag=tags[0], cseq=8))
    assert "c1" in left(site)  # what the other one sends comes to the ports of the first offer
    worker.request(within(site, "BYE", invite, routed, to_tag=tags[1], cseq=9))
    assert left(site) == []


def test_early_media_after_an_answer_is_not_passed_on(site: Site) -> None:
    worker = site.start()
    _, routed, _ = established(site, worker)
    site.answer(worker, routed.request, 183, to_tag="late")
    assert sent(site) == [("offer", ""), ("answer", "")]


def test_a_200_that_comes_again_is_answered_again(site: Site) -> None:
    worker = site.start()
    _, routed, _ = established(site, worker)
    site.answer(worker, routed.request)
    assert sent(site) == [("offer", ""), ("answer", ""), ("answer", "")]


def test_each_branch_may_have_an_offer_and_an_end_of_its_own(site: Site, mocker: MockerFixture) -> None:
    mocker.patch.object(Routes, "offers_per_branch", return_value=True)
    worker = site.start()
    invite, routed = site.call(worker, "c1")
    ((_, number),) = sent(site)
    assert number.endswith(".0")
    assert f".{number}>" in (routed.request.header("Record-Route") or "").replace(";lr", "")
    site.answer(worker, routed.request)
    bye(site, worker, invite, routed)
    assert sent(site) == [("offer", number), ("answer", number), ("delete", number)]
    assert left(site) == []


def test_a_branch_without_a_node_is_dropped(site: Site, mocker: MockerFixture) -> None:
    mocker.patch.object(Routes, "offers_per_branch", return_value=True)
    worker = site.start()
    for name in ("rtp1", "rtp2", "rtp3"):
        site.drain(name)
    _, routed = site.call(worker, "c1")
    assert routed.relayed == []
    assert sent(site) == []


# --- calls that move --------------------------------------------------------------------------------------------------


def test_what_a_call_leaves_behind_when_it_moves_is_deleted_when_that_node_is_back(site: Site) -> None:
    worker = site.start()
    site.tick()
    invite, routed, name = established(site, worker)
    site.disable(name)
    again = worker.request(within(site, "INVITE", invite, routed, sdp=True, cseq=7))
    site.answer(worker, again.request)
    site.tick(3)
    assert "c1" in site.daemon(name).calls  # nothing is sent to a disabled node
    site.cli("enable", name)
    site.tick(3)
    assert "c1" not in site.daemon(name).calls
    bye(site, worker, invite, routed)
    assert left(site) == []


def test_a_bye_that_crosses_a_re_invite_leaves_nothing(site: Site, mocker: MockerFixture) -> None:
    """The BYE is handled while the node works at the offer: what the offer brings back is deleted again."""
    first = site.start()
    second = site.ksr.workers[1]
    invite, routed, _ = established(site, first)
    offer = KSR.rtpengine.rtpengine_offer

    def crossed(flags: str) -> int:
        mocker.stopall()
        second.request(within(site, "BYE", invite, routed, cseq=9))
        return int(offer(flags))

    mocker.patch.object(KSR.rtpengine, "rtpengine_offer", crossed)
    answer = first.request(within(site, "INVITE", invite, routed, sdp=True, cseq=8))
    assert answer.reply.code == 481
    assert left(site) == []


# --- early dialogs ----------------------------------------------------------------------------------------------------


def test_a_bye_before_anybody_has_accepted_ends_no_offer(site: Site) -> None:
    """Other branches may still accept it (RFC 3261, section 15); the INVITE's final reply decides."""
    worker = site.start()
    invite, routed = site.call(worker, "c1")
    site.answer(worker, routed.request, 183)
    bye(site, worker, invite, routed)
    assert sent(site) == [("offer", ""), ("answer", "")]
    site.answer(worker, routed.request, 487, sdp=False)
    assert left(site) == []


def test_a_2xx_without_sdp_is_a_dialog_whose_bye_ends_the_media(site: Site) -> None:
    """Its answer was in a reliable 183 (RFC 3262)."""
    worker = site.start()
    invite, routed = site.call(worker, "c1")
    site.answer(worker, routed.request, 183)
    site.answer(worker, routed.request, 200, sdp=False)
    worker.request(site.ksr.from_callee("BYE", invite, routed.request, cseq=9))
    assert left(site) == []


def test_a_re_invite_of_a_stranger_that_is_refused_leaves_nothing_of_its_own(site: Site) -> None:
    worker = site.start()
    invite, routed, _ = established(site, worker)
    before = left(site)
    strange = within(site, "INVITE", invite, routed, sdp=True, from_tag="x", to_tag="y", cseq=7)
    relayed = worker.request(strange)
    assert sent(site)[-1][1]  # a session of its own
    site.answer(worker, relayed.request, 404, sdp=False)
    assert before[0] in left(site)
    bye(site, worker, invite, routed)
    assert left(site) == []


def test_a_stranger_ends_no_dialog_of_a_call_that_has_two(site: Site) -> None:
    worker = site.start()
    invite, routed, _ = established(site, worker)
    site.answer(worker, routed.request, to_tag="another")
    before = left(site), dict(site.ksr.htables["kemi_rtp_calls"].cells)
    worker.request(within(site, "BYE", invite, routed, from_tag="x", to_tag="y", cseq=9))
    assert (left(site), dict(site.ksr.htables["kemi_rtp_calls"].cells)) == before


def test_each_callee_that_offers_in_a_reliable_reply_gets_its_answer(site: Site) -> None:
    worker = site.start()
    invite, routed = site.call(worker, "c1", sdp="")
    for tag in ("t1", "t2"):
        site.answer(worker, routed.request, 183, to_tag=tag)
    for cseq, tag in enumerate(("t1", "t2"), 2):
        worker.request(within(site, "PRACK", invite, routed, sdp=True, to_tag=tag, cseq=cseq))
    assert [command for command, _ in sent(site)] == ["offer", "offer", "answer", "answer"]
    worker.request(within(site, "PRACK", invite, routed, sdp=True, to_tag="t1", cseq=8))
    assert sent(site)[-1][0] == "offer"  # that callee has its answer: this is a new offer


def test_an_ack_of_a_call_that_was_answered_unseen_is_told(site: Site) -> None:
    """It rang while Kamailio restarted: it has no relayed media until its next offer."""
    worker = site.start()
    invite, routed, _ = established(site, worker)
    worker.request(within(site, "ACK", invite, routed, cseq=1))
    assert not [line for line in site.ksr.log_at("warn") if "did not watch it" in line]
    site.state(worker).unbind("c1")
    worker.request(within(site, "ACK", invite, routed, cseq=1))
    assert len([line for line in site.ksr.log_at("warn") if "did not watch it" in line]) == 1


# --- two workers, one Call-ID -----------------------------------------------------------------------------------------


def test_an_invite_with_the_call_id_of_one_that_is_being_offered_gets_its_own_session(
    site: Site, mocker: MockerFixture
) -> None:
    first = site.start()
    second = site.ksr.workers[1]
    offer = KSR.rtpengine.rtpengine_offer

    def crossed(flags: str) -> int:
        mocker.stopall()
        site.call(second, "c1", from_tag="other")
        return int(offer(flags))

    mocker.patch.object(KSR.rtpengine, "rtpengine_offer", crossed)
    invite, routed = site.call(first, "c1")
    assert len({number for _, number in sent(site)}) == 2
    (relayed,) = [message for message in routed.relayed if "tag=caller-tag" in (message.header("From") or "")]
    site.answer(first, relayed)
    first.request(site.ksr.in_dialog("BYE", invite, relayed, cseq=9))
    sessions = [one for name in NAMES for one in site.daemon(name).calls]
    assert len(sessions) == 1
    assert sessions[0].startswith("c1#")


def test_a_new_call_that_no_node_takes_is_not_bound(site: Site) -> None:
    worker = site.start()
    for name in ("rtp1", "rtp2", "rtp3"):
        site.daemon(name).state = State.REFUSING
    _, routed = site.call(worker, "c1")
    assert routed.reply.code == 488
    assert left(site) == []


def test_an_ack_that_crosses_a_second_answer_undoes_nothing(site: Site, mocker: MockerFixture) -> None:
    """Delayed offers of two callees: one worker passes the first one's answer on, another takes the second's offer."""
    first = site.start()
    second = site.ksr.workers[1]
    invite, routed = site.call(first, "c1", sdp="")
    site.answer(first, routed.request, to_tag="t1")
    answer = KSR.rtpengine.rtpengine_answer

    def crossed(flags: str) -> int:
        mocker.stopall()
        site.answer(second, routed.request, to_tag="t2")
        return int(answer(flags))

    mocker.patch.object(KSR.rtpengine, "rtpengine_answer", crossed)
    first.request(within(site, "ACK", invite, routed, sdp=True, to_tag="t1", cseq=1))
    first.request(within(site, "ACK", invite, routed, sdp=True, to_tag="t2", cseq=1))
    assert [command for command, _ in sent(site)] == ["offer", "offer", "answer", "answer"]
    for tag in ("t1", "t2"):
        first.request(within(site, "BYE", invite, routed, to_tag=tag, cseq=9))
    assert left(site) == []


# --- faults of a script -----------------------------------------------------------------------------------------------


def test_a_fault_after_a_request_was_relayed_ends_nothing(site: Site, mocker: MockerFixture) -> None:
    worker = site.start()
    relay = Routes.relay

    def faulty(routes: Routes) -> None:
        relay(routes)
        raise ValueError("a fault of the site's own")

    mocker.patch.object(Routes, "relay", faulty)
    invite, routed = site.call(worker, "c1")
    assert routed.relayed
    assert not [message for message in routed.sent if message.code == 500]
    site.answer(worker, routed.request)
    mocker.stopall()
    bye(site, worker, invite, routed)
    assert sent(site) == [("offer", ""), ("answer", ""), ("delete", "")]


# --- delayed offers ---------------------------------------------------------------------------------------------------


def test_sdp_in_a_prack_is_an_offer_where_the_invite_has_brought_one(site: Site) -> None:
    """RFC 3262, section 5."""
    worker = site.start()
    invite, routed = site.call(worker, "c1")
    site.answer(worker, routed.request, 183)
    prack = worker.request(within(site, "PRACK", invite, routed, sdp=True))
    site.answer(worker, prack.request)
    assert [command for command, _ in sent(site)] == ["offer", "answer", "offer", "answer"]
    site.answer(worker, routed.request)
    bye(site, worker, invite, routed)
    assert left(site) == []


@pytest.mark.parametrize("early", [True, False])
def test_a_delayed_offer_leaves_a_dead_node_what_it_had_there_and_no_more(site: Site, early: bool) -> None:
    worker = site.start()
    site.tick()
    invite, routed = site.call(worker, "c1", sdp="")
    (name,) = [n for n in NAMES if f"kr={site.node(n).set_id:x}" in (routed.request.header("Record-Route") or "")]
    if early:
        site.answer(worker, routed.request, 183)
    site.daemon(name).state = State.DEAD
    site.tick(4)
    site.answer(worker, routed.request)
    site.daemon(name).state = State.ALIVE
    site.tick(4)
    assert [url for url, _ in site.deletes] == [site.node(name).url] * early
    assert "c1" not in site.daemon(name).calls
    bye(site, worker, invite, routed)
    assert left(site) == []


@pytest.mark.parametrize("sdp", [True, ""], ids=["offer", "delayed offer"])
def test_a_bye_that_is_quicker_than_the_node_leaves_nothing(site: Site, mocker: MockerFixture, sdp: object) -> None:
    """The 200 waits for its node in one worker, the BYE comes to another; also in a session with a number."""
    first = site.start()
    second = site.ksr.workers[1]
    site.call(first, "c1")  # a retry's session has a number
    invite, routed = site.call(first, "c1", sdp=sdp, cseq=2)
    name = "rtpengine_answer" if sdp else "rtpengine_offer"
    command = getattr(KSR.rtpengine, name)

    def crossed(flags: str) -> int:
        mocker.stopall()
        second.request(within(site, "BYE", invite, routed, cseq=9))
        return int(command(flags))

    mocker.patch.object(KSR.rtpengine, name, crossed)
    number = sent(site)[-1][1] if sdp else ""
    site.answer(first, routed.request)
    sessions = [id for one in NAMES for id in site.daemon(one).calls]
    assert sessions == ["c1"]
    assert number or not sdp


def test_sdp_in_an_ack_that_answers_nothing_goes_to_no_node(site: Site) -> None:
    worker = site.start()
    invite, routed, _ = established(site, worker)
    worker.request(within(site, "ACK", invite, routed, sdp=True))
    assert sent(site) == [("offer", ""), ("answer", "")]


def test_a_full_node_takes_no_delayed_offer_either(site: Site) -> None:
    site.write_nodes({"default": [{"name": "rtp1", "url": "udp:192.0.2.1:2223", "max_calls": 1}]})
    worker = site.start()
    established(site, worker)
    _, routed = site.call(worker, "c2", sdp="")
    assert routed.reply.code == 503


def test_a_re_invite_without_sdp_of_a_lost_call_may_end_it_too(site: Site, mocker: MockerFixture) -> None:
    mocker.patch.object(Routes, "keeps_lost_calls", return_value=False)
    worker = site.start()
    invite, routed, name = established(site, worker)
    site.disable(name)
    assert worker.request(within(site, "INVITE", invite, routed, cseq=7)).reply.code == 481


# --- identities -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call_id", ["a\x00b", "a\x01b", "caf\u00e9", "c1#0"])
def test_a_call_id_that_sip_forbids_is_answered_with_400(site: Site, call_id: str) -> None:
    worker = site.start()
    _, routed = site.call(worker, call_id)
    assert routed.reply.code == 400
    assert not any("Traceback" in line for line in site.ksr.log_at("err"))


# --- other commands ---------------------------------------------------------------------------------------------------


def test_another_command_goes_to_the_calls_node_under_the_same_rules(site: Site) -> None:
    worker = site.start()
    invite, routed, name = established(site, worker)
    rtp = site.routes(worker).rtp
    with site.ksr.handling(within(site, "INFO", invite, routed, cseq=5)):
        assert rtp.block_media()
        assert rtp.start_recording()
        assert rtp.command("no_such_thing").code == 501
        assert rtp.start_recording("some=flag").code == 501
    assert {"block media", "start recording"} <= {command.command for command in site.daemon(name).log}
    site.disable(name)
    before = len(site.daemon(name).log)
    with site.ksr.handling(within(site, "INFO", invite, routed, cseq=6)):
        assert rtp.block_media().code == 503
    assert len(site.daemon(name).log) == before


def test_a_command_for_a_call_without_media_is_said_so(site: Site) -> None:
    worker = site.start()
    with site.ksr.handling(site.ksr.message("INFO", call_id="c9", to_tag="x")):
        assert site.routes(worker).rtp.query().code == 481


def test_a_dead_node_costs_a_session_of_its_number(site: Site) -> None:
    """A call whose node dies moves with another number, which its own list knows."""
    worker = site.start()
    site.tick()
    invite, routed, name = established(site, worker)
    site.daemon(name).state = State.DEAD
    site.tick(4)
    worker.request(within(site, "INVITE", invite, routed, sdp=True, cseq=7))
    listed = parse_numbers(site.state(worker).binding("c1"))
    assert listed is not None
    assert len(listed) == 1
