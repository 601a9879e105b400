"""Which node gets which command."""

import time
from collections.abc import Callable

import pytest
from pytest_mock import MockerFixture

import KSR
from kemi_rtp.model.binding import ENDED
from kemi_rtp.shm import places
from kemi_rtp.shm.state.worker import WorkerState
from kemi_rtp.worker.due import Due
from kemi_rtp.worker.outcome import Outcome
from KSR.testing import Routed, SipMessage, State, Worker
from tests.unit.site import Site

NAMES = ("rtp1", "rtp2", "rtp3")


def commands(site: Site, name: str, *kinds: str) -> list[str]:
    return [command.command for command in site.daemon(name).commands(*kinds or ("offer", "answer", "delete"))]


def established(site: Site, worker: Worker, call_id: str = "c1") -> tuple[SipMessage, Routed, str]:
    """An answered call: its INVITE, how that was routed, and the name of its node."""
    invite, routed = site.call(worker, call_id)
    site.answer(worker, routed.request)
    worker.request(site.ksr.in_dialog("ACK", invite, routed.request))
    (name,) = site.serving(call_id)
    return invite, routed, name


def reinvite(site: Site, worker: Worker, invite: SipMessage, routed: Routed) -> Routed:
    return worker.request(site.ksr.in_dialog("INVITE", invite, routed.request, sdp=True, cseq=7))


# --- new calls -------------------------------------------------------------------------------------------------------


def test_calls_spread_over_all_routable_nodes(site: Site) -> None:
    worker = site.start()
    for number in range(60):
        site.call(worker, f"c{number}")
    assert all(len(commands(site, name, "offer")) > 5 for name in NAMES)


def test_the_record_route_names_the_node(site: Site) -> None:
    worker = site.start()
    _, routed = site.call(worker, "c1")
    set_id = site.node(site.serving("c1")[0]).set_id
    assert f";kr={set_id:x}>" in (routed.request.header("Record-Route") or "")
    assert "192.0.2.1" not in (routed.request.header("Record-Route") or "")


@pytest.mark.parametrize("command", ["disable", "drain"])
def test_a_node_out_of_service_gets_no_new_call_from_any_worker(site: Site, command: str) -> None:
    site.start(workers=3)
    for worker in site.ksr.workers:
        site.call(worker, f"warm-{worker.process.rank}")
    before = len(commands(site, "rtp2"))
    assert site.cli(command, "rtp2", "--reason", "r").exit_code == 0
    for number in range(60):
        site.call(site.ksr.workers[number % 3], f"c{number}")
    assert len(commands(site, "rtp2")) == before


def test_a_tier_is_used_only_when_the_one_before_cannot_serve(site: Site) -> None:
    site.write_nodes(
        {
            "default": [
                {"name": "first", "url": "udp:192.0.2.1:2223"},
                {"name": "backup", "url": "udp:192.0.2.2:2223", "tier": 1},
            ]
        }
    )
    worker = site.start()
    site.call(worker, "c1")
    assert site.serving("c1") == ["first"]
    site.drain("first")
    site.call(worker, "c2")
    assert site.serving("c2") == ["backup"]


def test_an_unknown_pool_is_a_503_that_says_so(site: Site, mocker: MockerFixture) -> None:
    worker = site.start()
    mocker.patch("kemi_rtp.routes.Routes.pool", return_value="mars")
    _, routed = site.call(worker, "c1")
    assert routed.reply.code == 503
    assert "no pool 'mars'" in (routed.reply.header("Reason") or "")


# --- failing nodes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [State.DEAD, State.CLOSED])
def test_a_dead_node_is_left_for_the_next_and_by_all_workers(site: Site, state: State) -> None:
    first = site.start(workers=2)
    _, routed = site.call(first, "c1")
    (dead,) = site.serving("c1")
    site.daemon(dead).state = state
    site.state(first).unbind("c1")
    _, routed = site.call(first, "c1")
    assert len(routed.relayed) == 1
    assert [name for name in site.serving("c1") if name != dead]
    before = len(site.daemon(dead).log)
    for number in range(30):
        _, routed = site.call(site.ksr.workers[1], f"d{number}")
        assert len(routed.relayed) == 1
    assert len(site.daemon(dead).log) == before
    assert any(f"{dead} " in line and "is down: no answer to offer" in line for line in site.ksr.log_at("warn"))


def test_an_offer_is_tried_on_three_nodes_at_most(site: Site) -> None:
    site.write_nodes({"default": [{"name": f"n{i}", "url": f"udp:192.0.2.{i}:2223"} for i in range(1, 7)]})
    worker = site.start()
    for number in range(1, 7):
        site.daemon(f"n{number}").state = State.DEAD
    _, routed = site.call(worker, "c1")
    assert routed.reply.code == 503
    assert len(site.serving("c1")) == 3


def test_a_refused_offer_is_tried_on_one_other_node_and_marks_none_down(site: Site) -> None:
    worker = site.start()
    for name in NAMES:
        site.daemon(name).state = State.REFUSING
    _, routed = site.call(worker, "c1")
    assert routed.reply.code == 488
    assert len(site.serving("c1")) == 2
    assert all(standing.routable for _, standing in site.state(worker).view())


def test_nodes_that_are_down_are_tried_as_a_last_resort(site: Site) -> None:
    worker = site.start()
    shared_state = site.state(worker)
    for name in NAMES:
        shared_state.mark_down(site.node(name), "test")
    _, routed = site.call(worker, "c1")
    assert len(routed.relayed) == 1


def test_draining_and_disabled_nodes_are_never_a_last_resort(site: Site) -> None:
    worker = site.start()
    site.drain("rtp1")
    site.disable("rtp2")
    site.state(worker).mark_down(site.node("rtp3"), "test")
    site.daemon("rtp3").state = State.DEAD
    _, routed = site.call(worker, "c1")
    assert routed.reply.code == 503
    assert commands(site, "rtp1") == commands(site, "rtp2") == []


def test_a_reload_of_the_module_at_that_moment_fails_no_call(site: Site, mocker: MockerFixture) -> None:
    """The module hides all its nodes for a moment; the command is sent once more to the same node."""
    worker = site.start()
    offer = KSR.rtpengine.rtpengine_offer
    answers = iter([lambda flags: -1])
    mocker.patch.object(KSR.rtpengine, "rtpengine_offer", lambda flags: next(answers, offer)(flags))
    _, routed = site.call(worker, "c1")
    assert len(routed.relayed) == 1
    assert all(standing.routable for _, standing in site.state(worker).view())


def test_nothing_is_sent_when_the_module_lacks_the_set(site: Site, mocker: MockerFixture) -> None:
    """The module would use the set that was selected before."""
    worker = site.start()
    select = KSR.rtpengine.set_rtpengine_set
    earlier = site.node("rtp1").set_id

    def refuse(set_id: int) -> int:
        select(earlier)
        return -1

    mocker.patch.object(KSR.rtpengine, "set_rtpengine_set", refuse)
    _, routed = site.call(worker, "c1")
    assert routed.reply.code == 503
    assert all(commands(site, name) == [] for name in NAMES)


def test_a_node_that_dies_before_the_answer_is_marked_down(site: Site) -> None:
    worker = site.start()
    _, routed = site.call(worker, "c1")
    (name,) = site.serving("c1")
    site.daemon(name).state = State.DEAD
    assert site.answer(worker, routed.request).reply.code == 200
    standing = {node.name: standing for node, standing in site.state(worker).view()}[name]
    assert standing.reason == "down: no answer to answer"


# --- calls that are up -----------------------------------------------------------------------------------------------


def test_a_re_invite_stays_on_the_calls_node(site: Site) -> None:
    worker = site.start()
    for number in range(12):
        invite, routed, name = established(site, worker, f"c{number}")
        reinvite(site, worker, invite, routed)
        assert site.serving(f"c{number}") == [name]


def test_adding_and_disabling_other_nodes_never_moves_a_bound_call(site: Site) -> None:
    worker = site.start()
    calls = [established(site, worker, f"c{number}") for number in range(12)]
    site.write_nodes({"default": [{"name": f"rtp{i}", "url": f"udp:192.0.2.{i}:2223"} for i in range(1, 6)]})
    site.tick(12)
    assert len(list(site.state(worker).view())) == 5
    site.disable("rtp4")
    site.disable("rtp1")
    for number, (invite, routed, name) in enumerate(calls):
        reinvite(site, worker, invite, routed)
        if name != "rtp1":
            assert site.serving(f"c{number}") == [name]


def test_after_a_restart_the_route_names_the_node(site: Site) -> None:
    worker = site.start()
    calls = [established(site, worker, f"c{number}") for number in range(12)]
    for number in range(12):
        site.state(worker).unbind(f"c{number}")
    for number, (invite, routed, name) in enumerate(calls):
        reinvite(site, worker, invite, routed)
        assert site.serving(f"c{number}") == [name]
        site.state(worker).unbind(f"c{number}")
        worker.request(site.ksr.in_dialog("BYE", invite, routed.request, cseq=9))
        assert commands(site, name, "delete")
        site.tick(2)  # who was the caller is not known any more: the timer's delete is of all parties
        assert site.deletes[-1][0] == site.node(name).url


def test_a_route_parameter_counts_in_a_dialog_only(site: Site) -> None:
    worker = site.start()
    site.drain("rtp2")
    forged = site.ksr.invite(call_id="c1", route=f"<sip:127.0.0.1;lr;kr={site.node('rtp2').set_id:x}>")
    worker.request(forged)
    assert commands(site, "rtp2") == []


@pytest.mark.parametrize("value", ["zz", "", "ffffffffffffffffffffffffff", "-1"])
def test_a_spoilt_route_parameter_does_no_harm(site: Site, value: str) -> None:
    worker = site.start()
    invite, routed, _ = established(site, worker)
    site.state(worker).unbind("c1")
    request = site.ksr.in_dialog("INVITE", invite, routed.request, sdp=True, route=f"<sip:127.0.0.1;lr;kr={value}>")
    assert len(worker.request(request).relayed) == 1


def test_a_call_on_a_disabled_node_moves_at_its_next_offer_and_stays_there(site: Site) -> None:
    worker = site.start()
    invite, routed, name = established(site, worker)
    site.disable(name)
    before = len(site.daemon(name).log)
    moved = reinvite(site, worker, invite, routed)
    site.answer(worker, moved.request)
    (new,) = [other for other in site.serving("c1") if other != name]
    assert commands(site, new) == ["offer", "answer"]
    worker.request(site.ksr.in_dialog("BYE", invite, routed.request, cseq=9))
    assert commands(site, new) == ["offer", "answer", "delete"]
    assert len(site.daemon(name).log) == before


def test_an_answer_for_a_disabled_node_is_not_sent_and_its_sdp_stays(site: Site) -> None:
    worker = site.start()
    _, routed = site.call(worker, "c1")
    (name,) = site.serving("c1")
    site.disable(name)
    reply = site.answer(worker, routed.request).reply
    assert reply.code == 200
    assert "c=IN IP4 192.0.2.10" in reply.body
    assert commands(site, name) == ["offer"]
    assert any("call c1 goes on without relayed media" in line for line in site.ksr.log_at("warn"))


def test_the_end_of_a_call_on_a_disabled_node_sends_nothing_and_is_remembered_until_its_delete_is_over(
    site: Site, mocker: MockerFixture
) -> None:
    """Another call of this Call-ID must not take the session for its own: the delete would end it."""
    worker = site.start()
    invite, routed, name = established(site, worker)
    site.disable(name)
    assert worker.request(site.ksr.in_dialog("BYE", invite, routed.request)).request.method == "BYE"
    assert commands(site, name) == ["offer", "answer"]
    assert site.state(worker).binding("c1") == ENDED
    mocker.patch("kemi_rtp.timer.deferred_deletes.time.time", return_value=time.time() + 3600)
    site.tick()
    assert site.state(worker).binding("c1") is None


def test_a_draining_node_serves_its_calls_to_the_end(site: Site) -> None:
    worker = site.start()
    invite, routed, name = established(site, worker)
    site.drain(name)
    again = reinvite(site, worker, invite, routed)
    site.answer(worker, again.request)
    worker.request(site.ksr.in_dialog("BYE", invite, routed.request, cseq=9))
    assert commands(site, name) == ["offer", "answer", "offer", "answer", "delete"]


def test_a_node_that_refuses_a_re_invite_keeps_its_call(site: Site) -> None:
    worker = site.start()
    invite, routed, name = established(site, worker)
    site.daemon(name).state = State.REFUSING
    assert reinvite(site, worker, invite, routed).reply.code == 488
    assert site.serving("c1") == [name]


# --- what is due ------------------------------------------------------------------------------------------------------


def test_manage_finds_out_by_itself_which_route_it_is_called_in(site: Site, mocker: MockerFixture) -> None:
    for route in ("request", "reply", "failure"):
        mocker.patch.object(Due, route, autospec=True, side_effect=routed_by_manage(getattr(Due, route)))
    worker = site.start()
    invite, routed, name = established(site, worker)
    worker.request(site.ksr.in_dialog("BYE", invite, routed.request))
    assert commands(site, name) == ["offer", "answer", "delete"]
    _, routed = site.call(worker, "c2")
    site.answer(worker, routed.request, 486, sdp=False)
    (name,) = site.serving("c2")
    assert commands(site, name)[-2:] == ["offer", "delete"]


def routed_by_manage(method: Callable[..., Outcome]) -> Callable[..., Outcome]:
    """What a script would do that calls manage() everywhere: it leads back to the method."""
    inside = False

    def call(relay: Due, *arguments: str, **options: bool) -> Outcome:
        nonlocal inside
        if inside:
            return method(relay, *arguments, **options)
        inside = True
        try:
            return relay.manage()
        finally:
            inside = False

    return call


def test_a_delayed_offer_is_offered_with_the_200_and_answered_with_the_ack(site: Site) -> None:
    worker = site.start()
    invite, routed = site.call(worker, "c1", sdp="")
    assert site.serving("c1") == []
    assert ";kr=" in (routed.request.header("Record-Route") or "")
    site.answer(worker, routed.request)
    worker.request(site.ksr.in_dialog("ACK", invite, routed.request, sdp=True))
    (name,) = site.serving("c1")
    assert commands(site, name) == ["offer", "answer"]
    assert f"{site.node(name).set_id:x}>" in (routed.request.header("Record-Route") or "")


def test_early_media_is_answered_and_the_200_again(site: Site) -> None:
    worker = site.start()
    _, routed = site.call(worker, "c1")
    site.answer(worker, routed.request, 183)
    site.answer(worker, routed.request, 200)
    (name,) = site.serving("c1")
    assert commands(site, name) == ["offer", "answer", "answer"]


def test_a_reply_without_sdp_is_not_answered(site: Site) -> None:
    worker = site.start()
    _, routed = site.call(worker, "c1")
    site.answer(worker, routed.request, 180, sdp=False)
    (name,) = site.serving("c1")
    assert commands(site, name) == ["offer"]


def test_cancel_deletes_once(site: Site) -> None:
    worker = site.start()
    invite, routed = site.call(worker, "c1")
    site.answer(worker, routed.request, 180, sdp=False)
    worker.request(site.ksr.cancel(invite))
    site.answer(worker, routed.request, 487, sdp=False)
    (name,) = site.serving("c1")
    assert commands(site, name) == ["offer", "delete"]


def test_a_refused_call_is_deleted(site: Site) -> None:
    worker = site.start()
    _, routed = site.call(worker, "c1")
    site.answer(worker, routed.request, 486, sdp=False)
    (name,) = site.serving("c1")
    assert commands(site, name) == ["offer", "delete"]
    assert site.state(worker).binding("c1") is None


def test_a_refused_re_invite_leaves_the_call_as_it_was(site: Site) -> None:
    worker = site.start()
    invite, routed, name = established(site, worker)
    again = reinvite(site, worker, invite, routed)
    site.answer(worker, again.request, 488, sdp=False)
    assert "delete" not in commands(site, name)
    assert site.state(worker).binding("c1") is not None


def test_update_is_offered_and_answered(site: Site) -> None:
    worker = site.start()
    invite, routed, name = established(site, worker)
    update = worker.request(site.ksr.in_dialog("UPDATE", invite, routed.request, sdp=True))
    site.answer(worker, update.request)
    assert commands(site, name) == ["offer", "answer", "offer", "answer"]


def test_prack_with_sdp_is_answered(site: Site) -> None:
    worker = site.start()
    invite, routed = site.call(worker, "c1", sdp="")
    site.answer(worker, routed.request, 183)
    worker.request(site.ksr.in_dialog("PRACK", invite, routed.request, sdp=True))
    (name,) = site.serving("c1")
    assert commands(site, name) == ["offer", "answer"]


def test_other_requests_leave_media_alone(site: Site) -> None:
    worker = site.start()
    invite, routed, name = established(site, worker)
    worker.request(site.ksr.in_dialog("INFO", invite, routed.request))
    worker.request(site.ksr.message("OPTIONS", call_id="c2"))
    assert commands(site, name) == ["offer", "answer"]


# --- a change at the very moment -------------------------------------------------------------------------------------


def test_a_node_disabled_between_choice_and_sending_gets_nothing(site: Site, mocker: MockerFixture) -> None:
    """The worker notes what it is about to send, then looks again; the command looks at the notes after publishing."""
    worker = site.start()
    chosen = site.state(worker).view().choose("default", "c1")
    assert chosen is not None
    begin = WorkerState.begin_command
    struck: list[int] = []

    def disable_then_begin(state: WorkerState, set_id: int) -> int:
        if not struck:
            struck.append(set_id)
            site.disable(chosen.name)
        return begin(state, set_id)

    mocker.patch.object(WorkerState, "begin_command", disable_then_begin)
    _, routed = site.call(worker, "c1")
    assert struck == [chosen.set_id]
    assert len(routed.relayed) == 1
    assert commands(site, chosen.name) == []


def test_a_worker_notes_what_it_sends_while_it_sends(site: Site, mocker: MockerFixture) -> None:
    worker = site.start()
    offer = KSR.rtpengine.rtpengine_offer
    notes: list[list[tuple[int, int]]] = []

    def look(flags: str) -> int:
        notes.append([(places.pids[place], set_id) for place, set_id, _ in places.in_flight()])
        return offer(flags)

    mocker.patch.object(KSR.rtpengine, "rtpengine_offer", look)
    site.call(worker, "c1")
    assert notes == [[(worker.process.pid, site.node(site.serving("c1")[0]).set_id)]]
    assert places.in_flight() == frozenset()
