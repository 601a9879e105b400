"""A sick media node costs the calls on it, never the proxy."""

import itertools
import json
import time
from datetime import timedelta
from types import SimpleNamespace
from unittest import mock

import pytest
from pytest_mock import MockerFixture

import KSR
from kemi_rtp.model.times import utc_now
from kemi_rtp.model.view import LATE_MS, STALE_AFTER
from kemi_rtp.routes import Routes
from kemi_rtp.shm import layout as shared
from kemi_rtp.shm import places as memory
from kemi_rtp.shm.state import MAX_DELETES, SharedState
from kemi_rtp.timer.supervisor import NodeChange
from kemi_rtp.worker.relay import MAX_BOUND, PROMPT_MS, SLOW_MS
from KSR.testing import Routed, SipMessage, State, Worker

from .site import ANOTHER, THREE, Site

NAMES = ("rtp1", "rtp2", "rtp3")


def standing(site: Site, name: str) -> tuple[bool, str]:
    view = site.routes(site.ksr.workers[0]).shared.view()
    return next((s.routable, s.reason) for node, s in view if node.name == name)


def chosen(site: Site, call_id: str) -> str:
    node = site.routes(site.ksr.workers[0]).shared.view().choose("default", call_id)
    assert node is not None
    return node.name


def established(site: Site, worker: Worker, call_id: str = "c1") -> tuple[SipMessage, Routed, str]:
    invite, routed = site.call(worker, call_id)
    site.answer(worker, routed.request)
    return invite, routed, site.serving(call_id)[-1]


def bye(site: Site, worker: Worker, invite: SipMessage, routed: Routed) -> Routed:
    return worker.request(site.ksr.in_dialog("BYE", invite, routed.request, cseq=9))


# --- full nodes, faulty offers, local errors --------------------------------------------------------------------------


@pytest.mark.parametrize("state", [State.FULL, State.OUT_OF_PORTS, State.LOAD_LIMIT])
def test_a_full_node_is_left_for_the_next_and_cools_down_for_a_moment(
    site: Site, state: State, mocker: MockerFixture
) -> None:
    worker = site.start()
    site.tick()
    full = chosen(site, "c1")
    site.daemon(full).state = state
    _, routed = site.call(worker, "c1")
    assert len(routed.relayed) == 1
    assert standing(site, full) == (False, "cooling down: refused a call that another node accepted")
    before = len(site.daemon(full).log)
    for number in range(20):
        site.call(worker, f"d{number}")
    assert len(site.daemon(full).commands("offer", "answer", "delete")) <= before
    site.daemon(full).state = State.ALIVE
    site.tick()
    clock = time.monotonic()
    mocker.patch("kemi_rtp.timer.supervisor.time.monotonic", return_value=clock + 60)
    site.tick()
    assert standing(site, full) == (True, "")


def test_a_node_that_cools_down_serves_its_calls(site: Site) -> None:
    worker = site.start()
    invite, routed, name = established(site, worker)
    site.routes(worker).shared.put_cooling(site.node(name), "test")
    worker.request(site.ksr.in_dialog("INVITE", invite, routed.request, sdp=True, cseq=7))
    assert site.serving("c1") == [name]
    assert len(site.daemon(name).commands("offer")) == 2


def test_an_offer_that_two_nodes_refuse_is_its_own_fault_and_no_verdict_on_them(site: Site) -> None:
    worker = site.start()
    for name in NAMES:
        site.daemon(name).state = State.REFUSING
    _, routed = site.call(worker, "c1")
    assert routed.reply.code == 488
    assert all(standing(site, name) == (True, "") for name in NAMES)


def test_an_error_of_the_module_itself_is_no_verdict_on_any_node(site: Site) -> None:
    worker = site.start()
    site.ksr.returns("rtpengine.rtpengine_offer", -1)
    _, routed = site.call(worker, "c1")
    assert routed.reply.code == 500
    assert all(standing(site, name) == (True, "") for name in NAMES)


def test_a_node_that_the_module_lacks_is_avoided_for_a_moment_and_not_down(site: Site, mocker: MockerFixture) -> None:
    worker = site.start()
    select = KSR.rtpengine.set_rtpengine_set
    lacking = site.node(chosen(site, "c1"))
    mocker.patch.object(
        KSR.rtpengine, "set_rtpengine_set", side_effect=lambda s: -1 if s == lacking.set_id else select(s)
    )
    _, routed = site.call(worker, "c1")
    assert len(routed.relayed) == 1
    assert standing(site, lacking.name) == (False, "cooling down: the rtpengine module lacks it")


def test_a_node_that_the_module_lacks_while_it_reads_its_table_keeps_its_call(
    site: Site, mocker: MockerFixture
) -> None:
    worker = site.start()
    select = KSR.rtpengine.set_rtpengine_set
    hidden = itertools.chain([True] * 4, itertools.repeat(False))
    mocker.patch.object(KSR.rtpengine, "set_rtpengine_set", side_effect=lambda s: -1 if next(hidden) else select(s))
    name = chosen(site, "c1")
    site.call(worker, "c1")
    assert site.serving("c1") == [name]
    assert standing(site, name) == (True, "")


# --- the bulkhead -----------------------------------------------------------------------------------------------------


def wait_for(site: Site, name: str, processes: int, *, answered_ms_ago: int = 10 * SLOW_MS) -> None:
    """Let so many processes wait for a node that answered last so long ago."""
    first = 100 * (1 + NAMES.index(name))
    for place in range(first, first + 100):
        memory.sets[place] = site.node(name).set_id if place < first + processes else 0
        memory.since[place] = time.monotonic_ns() - answered_ms_ago * 1_000_000
        memory.pids[place] = ANOTHER
    memory.places[0] = memory.PLACES
    answered = int(time.monotonic() * 1000) - answered_ms_ago
    KSR.htable.sht_seti(shared.STATE, shared.answered_key(site.node(name).set_id), answered % 0x7FFFFFFF)


def test_a_node_that_enough_workers_wait_for_is_avoided_by_new_calls(site: Site) -> None:
    worker = site.start()
    busy = chosen(site, "c1")
    wait_for(site, busy, 1)
    _, routed = site.call(worker, "c1")
    assert len(routed.relayed) == 1
    assert site.serving("c1") != [busy]
    assert site.daemon(busy).commands("offer") == []
    assert standing(site, busy) == (True, "")


@pytest.mark.parametrize(("tier", "stays"), [(0, False), (1, True)])
def test_a_busy_node_is_left_sooner_for_one_of_its_tier_than_for_a_backup(
    site: Site, mocker: MockerFixture, tier: int, stays: bool
) -> None:
    first, second, _ = THREE["default"]
    site.write_nodes({"default": [first, {**second, "tier": tier}]})
    worker = site.start()
    call_id = next(f"c{n}" for n in range(100) if chosen(site, f"c{n}") == "rtp1")
    wait_for(site, "rtp1", 1)
    mocker.patch.object(SharedState, "silent_for", return_value=PROMPT_MS + 1)
    site.call(worker, call_id)
    assert site.serving(call_id) == (["rtp1"] if stays else ["rtp2"])


def test_a_busy_node_that_answers_keeps_its_new_calls(site: Site, mocker: MockerFixture) -> None:
    """Load alone must not send calls to a backup tier."""
    worker = site.start()
    busy = chosen(site, "c1")
    wait_for(site, busy, 5)
    mocker.patch.object(SharedState, "silent_for", return_value=0)
    site.call(worker, "c1")
    assert site.serving("c1") == [busy]


def test_the_limit_is_the_settings(site: Site) -> None:
    site.write_nodes(THREE, max_waiting=5)
    worker = site.start()
    wait_for(site, chosen(site, "c1"), 4)
    _, routed = site.call(worker, "c1")
    assert len(routed.relayed) == 1
    assert site.serving("c1") == [chosen(site, "c1")]


def test_when_all_nodes_are_busy_but_answer_a_call_waits_rather_than_fails(site: Site) -> None:
    worker = site.start()
    for name in NAMES:
        wait_for(site, name, 5, answered_ms_ago=0)
    _, routed = site.call(worker, "c1")
    assert len(routed.relayed) == 1


def test_a_slow_node_holds_no_worker_for_a_delete_but_gets_its_answers(site: Site) -> None:
    """A delete can wait; what is lost with an answer is a call's media."""
    worker = site.start()
    invite, routed = site.call(worker, "c1")
    (name,) = site.serving("c1")
    wait_for(site, name, MAX_BOUND - 1)
    site.answer(worker, routed.request)
    wait_for(site, name, 2)
    assert bye(site, worker, invite, routed).request.method == "BYE"
    commands = [command.command for command in site.daemon(name).log if command.call_id == "c1"]
    assert commands == ["offer", "answer"]


def test_answers_for_a_frozen_node_do_not_take_the_last_workers(site: Site) -> None:
    """Its calls have no media anyway, and the proxy has others."""
    worker = site.start()
    _, routed = site.call(worker, "c1")
    (name,) = site.serving("c1")
    wait_for(site, name, MAX_BOUND, answered_ms_ago=LATE_MS + 1)
    assert len(site.answer(worker, routed.request).sent) == 1
    assert [command.command for command in site.daemon(name).log if command.call_id == "c1"] == ["offer"]


@pytest.mark.parametrize("why", ["another node is silent too", "there is no other node"])
def test_an_answer_is_sent_all_the_same_when_leaving_the_node_would_free_nobody(site: Site, why: str) -> None:
    """The module's own pings hold its locks while they wait for a dead node: then all nodes seem silent."""
    worker = site.start()
    site.tick()
    _, routed = site.call(worker, "c1")
    (name,) = site.serving("c1")
    others = [other for other in NAMES if other != name]
    if why == "there is no other node":
        for other in others:
            site.disable(other)
    else:
        wait_for(site, others[0], 1)
    wait_for(site, name, MAX_BOUND, answered_ms_ago=LATE_MS + 1)
    site.answer(worker, routed.request)
    assert [command.command for command in site.daemon(name).log if command.call_id == "c1"] == ["offer", "answer"]


def test_a_reoffer_for_a_frozen_node_goes_to_another(site: Site) -> None:
    worker = site.start()
    site.tick()
    invite, routed, name = established(site, worker)
    wait_for(site, name, MAX_BOUND, answered_ms_ago=LATE_MS + 1)
    worker.request(site.ksr.in_dialog("INVITE", invite, routed.request, sdp=True, cseq=7))
    assert len(site.serving("c1")) == 2


def test_a_delete_is_the_first_to_leave_a_busy_node_alone(site: Site, mocker: MockerFixture) -> None:
    """Each worker that waits for a frozen node is one less for all other calls."""
    worker = site.start()
    site.tick()
    invite, routed, name = established(site, worker)
    wait_for(site, name, 1)
    mocker.patch.object(SharedState, "silent_for", return_value=PROMPT_MS + 1)
    bye(site, worker, invite, routed)
    assert [command.command for command in site.daemon(name).log if command.call_id == "c1"] == ["offer", "answer"]


def test_a_busy_node_that_answers_gets_answers_and_deletes(site: Site, mocker: MockerFixture) -> None:
    worker = site.start()
    mocker.patch.object(SharedState, "silent_for", return_value=0)
    invite, routed = site.call(worker, "c1")
    (name,) = site.serving("c1")
    wait_for(site, name, 9)
    site.answer(worker, routed.request)
    wait_for(site, name, 9)
    bye(site, worker, invite, routed)
    commands = [command.command for command in site.daemon(name).log if command.call_id == "c1"]
    assert commands == ["offer", "answer", "delete"]


def test_a_node_that_was_idle_is_not_slow(site: Site) -> None:
    """The first commands after a quiet hour come all at once."""
    site.start()
    state = site.routes(site.ksr.workers[0]).shared
    set_id = site.node("rtp1").set_id
    wait_for(site, "rtp1", 0, answered_ms_ago=3_600_000)
    for worker in site.ksr.workers:
        site.routes(worker).shared.enter(set_id)
    assert state.silent_for(set_id) < 3_000_000


def test_a_node_that_answers_others_is_not_silent(site: Site) -> None:
    """One packet that was lost keeps a worker waiting, and says nothing about the node."""
    site.start()
    first, second = (site.routes(worker).shared for worker in site.ksr.workers)
    set_id = site.node("rtp1").set_id
    wait_for(site, "rtp1", 1, answered_ms_ago=3_000_000)
    with site.ksr.handling(site.ksr.invite()):
        first.enter(set_id)
        assert second.silent_for(set_id) >= 3_000_000
        first.leave(answered=False)
        assert second.silent_for(set_id) >= 3_000_000
        first.enter(set_id)
        first.leave(answered=True)
        assert second.silent_for(set_id) < 3_000_000


def test_a_last_resort_holds_one_worker_at_a_time(site: Site) -> None:
    worker = site.start()
    for name in NAMES:
        site.routes(worker).shared.mark_down(site.node(name), "test")
        wait_for(site, name, 1)
    _, routed = site.call(worker, "c1")
    assert routed.reply.code == 503
    assert site.serving("c1") == []


def test_the_count_of_waiting_workers_returns_to_zero(site: Site) -> None:
    worker = site.start()
    invite, routed, name = established(site, worker)
    bye(site, worker, invite, routed)
    assert site.routes(worker).shared.waiting(site.node(name)) == 0


def test_a_worker_that_died_while_it_waited_counts_no_longer(site: Site) -> None:
    worker = site.start()
    site.tick()
    node = site.node("rtp2")
    wait_for(site, "rtp2", 1)
    site.tick(2)
    assert site.routes(worker).shared.waiting(node) == 1
    for place, _, _ in memory.sending():
        memory.pids[place] = ANOTHER + 1
    site.tick(2)
    assert site.routes(worker).shared.waiting(node) == 0


def test_every_process_has_a_place_of_its_own_and_keeps_it_when_the_script_is_loaded_again(site: Site) -> None:
    site.start(workers=3)

    def places() -> list[int]:
        for worker in site.ksr.workers:
            site.call(worker, f"c{worker.process.rank}")
        return [memory.pids.tolist().index(worker.process.pid) for worker in site.ksr.workers]

    before = places()
    assert sorted(before) == [1, 2, 3]
    site.ksr.clock.advance(10)
    site.ksr.rpc.execute(site.ksr.main, "app_python.reload", [])
    assert places() == before


def test_more_processes_than_there_are_places_are_an_error_and_harm_nobody(site: Site) -> None:
    """A place that two processes have would hide what one of them sends from the kemi-rtp command."""
    worker = site.start()
    KSR.htable.sht_seti(shared.STATE, shared.PLACES, memory.PLACES - 1)
    _, routed = site.call(worker, "c1")
    assert routed.reply.code == 500
    assert any("Kamailio may have 1023 processes" in line for line in site.ksr.log_at("err"))
    assert memory.sending() == frozenset()


# --- slow nodes -------------------------------------------------------------------------------------------------------


def answer_late(site: Site, worker: Worker, call_id: str) -> str:
    """A call whose offer is answered late; the name of its node."""
    late = SimpleNamespace(monotonic=itertools.count(0, 0.15).__next__)
    with mock.patch("kemi_rtp.worker.relay.time", late):
        site.call(worker, call_id)
    (name,) = site.serving(call_id)
    return name


def test_a_node_that_answers_late_gets_no_new_calls_until_its_pings_are_answered_in_time(site: Site) -> None:
    worker, other = site.start(), site.ksr.workers[1]
    site.tick()
    slow = answer_late(site, worker, "c1")
    assert standing(site, slow) == (True, "slow: answered after 150 ms")
    for number in range(20):
        site.call(other, f"d{number}")
    assert [command.call_id for command in site.daemon(slow).commands("offer")] == ["c1"]
    client = site.routes(site.timer).supervisor._prober._client
    client.took[site.node(slow).url] = 0.15
    site.tick()
    assert standing(site, slow)[1].startswith("slow")
    client.took[site.node(slow).url] = 0.001
    site.tick()
    assert standing(site, slow) == (True, "")
    for number in range(20):
        site.call(other, f"e{number}")
    assert len(site.daemon(slow).commands("offer")) > 1


def test_a_slow_node_keeps_its_calls(site: Site) -> None:
    worker = site.start()
    site.tick()
    invite, routed, name = established(site, worker)
    site.routes(worker).shared.put_slow(site.node(name), 80)
    again = worker.request(site.ksr.in_dialog("INVITE", invite, routed.request, sdp=True, cseq=7))
    site.answer(worker, again.request)
    bye(site, worker, invite, routed)
    commands = [command.command for command in site.daemon(name).log if command.call_id == "c1"]
    assert commands == ["offer", "answer", "offer", "answer", "delete"]


def test_slow_nodes_share_the_calls_when_all_are_slow(site: Site) -> None:
    """A proxy that is far from all its nodes loses none of them."""
    worker = site.start()
    site.tick()
    for name in NAMES:
        site.routes(worker).shared.put_slow(site.node(name), 80)
    for number in range(30):
        site.call(worker, f"c{number}")
    assert all(site.daemon(name).commands("offer") for name in NAMES)


def test_slowness_sends_no_calls_to_a_backup(site: Site) -> None:
    first, backup, _ = THREE["default"]
    site.write_nodes({"default": [first, {**backup, "tier": 1}]})
    worker = site.start()
    site.tick()
    site.routes(worker).shared.put_slow(site.node("rtp1"), 80)
    site.call(worker, "c1")
    assert site.serving("c1") == ["rtp1"]


def test_a_slow_node_takes_calls_when_the_quick_ones_are_full(site: Site) -> None:
    first, second, _ = THREE["default"]
    site.write_nodes({"default": [first, {**second, "max_calls": 1}]})
    worker = site.start()
    site.tick()
    site.routes(worker).shared.put_slow(site.node("rtp1"), 80)
    site.call(worker, "c1")
    site.call(worker, "c2")
    assert [site.serving(call_id) for call_id in ("c1", "c2")] == [["rtp2"], ["rtp1"]]


def test_a_second_worker_does_not_wait_for_a_slow_node_to_end_a_call(site: Site) -> None:
    worker = site.start()
    site.tick()
    invite, routed, name = established(site, worker)
    site.routes(worker).shared.put_slow(site.node(name), 80)
    wait_for(site, name, 1, answered_ms_ago=0)
    bye(site, worker, invite, routed)
    assert [command.command for command in site.daemon(name).log if command.call_id == "c1"] == ["offer", "answer"]
    assert site.routes(worker).shared.get(shared.DELETES_WAITING) == 1


def test_slowness_counts_for_nothing_when_the_supervisor_has_stopped(site: Site, mocker: MockerFixture) -> None:
    """Nobody would notice that the node is quick again."""
    worker = site.start()
    site.tick()
    state = site.routes(worker).shared
    state.put_slow(site.node("rtp1"), 80)
    assert dict(state.view())[site.node("rtp1")].slow
    mocker.patch("kemi_rtp.shm.state.time.time", return_value=time.time() + STALE_AFTER + 5)
    mocker.patch("kemi_rtp.shm.state.utc_now", return_value=utc_now() + timedelta(seconds=STALE_AFTER + 5))
    assert not dict(state.view())[site.node("rtp1")].slow


# --- deletes that wait -----------------------------------------------------------------------------------------------


def test_a_delete_for_a_node_that_is_down_waits_until_it_is_back(site: Site) -> None:
    worker = site.start()
    site.tick()
    invite, routed, name = established(site, worker)
    site.daemon(name).state = State.DEAD
    site.tick(4)
    before = len(site.daemon(name).log)
    assert bye(site, worker, invite, routed).request.method == "BYE"
    assert len(site.daemon(name).log) == before
    site.tick(3)
    assert site.deletes == []
    site.daemon(name).state = State.ALIVE
    site.tick(4)
    ((url, command),) = site.deletes
    assert url == site.node(name).url
    assert b"7:command6:delete" in command
    assert b"7:call-id2:c1" in command
    assert site.routes(worker).shared.get(shared.DELETES_WAITING) == 0


def test_a_delete_that_a_dying_node_swallowed_is_sent_again(site: Site) -> None:
    worker = site.start()
    site.tick()
    invite, routed, name = established(site, worker)
    site.daemon(name).state = State.DEAD
    bye(site, worker, invite, routed)
    site.daemon(name).state = State.ALIVE
    site.tick(4)
    assert [url for url, _ in site.deletes] == [site.node(name).url]


def test_a_delete_for_a_disabled_node_waits_too(site: Site) -> None:
    worker = site.start()
    site.tick()
    invite, routed, name = established(site, worker)
    site.disable(name)
    bye(site, worker, invite, routed)
    site.tick(5)
    assert site.deletes == []
    site.cli("enable", name)
    site.tick(2)
    assert len(site.deletes) == 1


def test_a_delete_that_waited_too_long_is_dropped_and_counted(site: Site, mocker: MockerFixture) -> None:
    worker = site.start()
    site.tick()
    invite, routed, name = established(site, worker)
    site.disable(name)
    bye(site, worker, invite, routed)
    later = time.time() + 3600
    mocker.patch("kemi_rtp.timer.deferred_deletes.time.time", return_value=later)
    site.tick()
    state = site.routes(worker).shared
    assert (state.get(shared.DELETES_WAITING), state.get(shared.DELETES_DROPPED)) == (0, 1)


def test_deletes_that_wait_are_bounded(site: Site) -> None:
    worker = site.start()
    state = site.routes(worker).shared
    KSR.htable.sht_seti(shared.STATE, shared.DELETES_WAITING, MAX_DELETES)
    state.defer_delete(site.node("rtp1"), "c1", "tag")
    assert (state.get(shared.DELETES_WAITING), state.get(shared.DELETES_DROPPED)) == (MAX_DELETES, 1)
    assert KSR.htable.sht_get(shared.DELETES, f"{site.node('rtp1').set_id}:c1") is None


# --- calls that have lost their node ---------------------------------------------------------------------------------


def test_a_site_may_end_calls_that_have_lost_their_node(site: Site, mocker: MockerFixture) -> None:
    worker = site.start()
    invite, routed, name = established(site, worker)
    mocker.patch.object(Routes, "keeps_lost_calls", return_value=False)
    site.disable(name)
    again = worker.request(site.ksr.in_dialog("INVITE", invite, routed.request, sdp=True, cseq=7))
    assert again.reply.code == 481
    assert site.serving("c1") == [name]
    _, routed = site.call(worker, "c2")
    assert len(routed.relayed) == 1


# --- capacity --------------------------------------------------------------------------------------------------------


def test_a_node_has_no_more_calls_than_it_may(site: Site) -> None:
    site.write_nodes({"default": [{**node, "max_calls": 3} for node in THREE["default"]]})
    worker = site.start()
    calls = [established(site, worker, f"c{number}") for number in range(9)]
    state = site.routes(worker).shared
    assert [state.calls(site.node(name)) for name in NAMES] == [3, 3, 3]
    _, routed = site.call(worker, "surplus")
    assert routed.reply.code == 503
    bye(site, worker, *calls[0][:2])
    _, routed = site.call(worker, "next")
    assert site.serving("next") == [calls[0][2]]


def test_a_backup_serves_only_when_no_other_node_can(site: Site) -> None:
    """Kamailio issue 4180."""
    first, backup, _ = THREE["default"]
    site.write_nodes({"default": [{**first, "max_calls": 2}, {**backup, "tier": 1}]})
    worker = site.start()
    for number in range(3):
        site.call(worker, f"c{number}")
    assert [site.serving(f"c{number}") for number in range(3)] == [["rtp1"], ["rtp1"], ["rtp2"]]
    site.routes(worker).shared.mark_down(site.node("rtp1"), "test")
    site.call(worker, "c3")
    assert site.serving("c3") == ["rtp2"]


def test_a_call_that_moves_is_counted_where_it_is(site: Site) -> None:
    worker = site.start()
    invite, routed, name = established(site, worker)
    site.disable(name)
    worker.request(site.ksr.in_dialog("INVITE", invite, routed.request, sdp=True, cseq=7))
    state = site.routes(worker).shared
    assert sum(state.calls(site.node(n)) for n in NAMES) == 1
    assert state.calls(site.node(name)) == 0


# --- the supervisor --------------------------------------------------------------------------------------------------


def test_health_counts_as_unknown_when_the_supervisor_has_stopped(site: Site, mocker: MockerFixture) -> None:
    worker = site.start()
    site.tick()
    state = site.routes(worker).shared
    for name in NAMES:
        state.mark_down(site.node(name), "test")
    assert all(not standing(site, name)[0] for name in NAMES)
    later = time.time() + STALE_AFTER + 5
    mocker.patch("kemi_rtp.shm.state.time.time", return_value=later)
    mocker.patch(
        "kemi_rtp.shm.state.utc_now", return_value=__import__("datetime").datetime.fromtimestamp(later).astimezone()
    )
    assert all(standing(site, name) == (True, "") for name in NAMES)
    assert sum("the supervisor does not run" in line for line in site.ksr.log_at("err")) == 1
    mocker.stopall()
    assert all(not standing(site, name)[0] for name in NAMES)


def test_a_change_of_many_nodes_is_told_in_one_call(site: Site, mocker: MockerFixture) -> None:
    told: list[list[NodeChange]] = []
    mocker.patch.object(Routes, "on_node_changes", lambda self, changes: told.append(changes))
    site.start()
    site.tick()
    told.clear()
    for name in NAMES:
        site.daemon(name).state = State.DEAD
    site.tick(5)
    assert [[(c.node.name, str(c.after.health)) for c in changes] for changes in told] == [
        [(name, "down") for name in NAMES]
    ]


def test_a_change_of_admin_state_is_told_too_and_logged_by_default(site: Site) -> None:
    site.start()
    site.tick()
    site.disable("rtp2")
    site.tick()
    assert sum("rtp2 (udp:192.0.2.2:2223) is disabled by alice@lb1" in line for line in site.ksr.log_at("warn")) == 1


def test_an_alert_that_fails_stops_nothing(site: Site, mocker: MockerFixture) -> None:
    mocker.patch.object(Routes, "on_node_changes", side_effect=RuntimeError("no mail today"))
    site.start()
    site.tick()
    site.disable("rtp2")
    site.tick(2)
    assert site.ksr.rtpengine.find(site.node("rtp2").url).permanent
    assert any("no mail today" in line for line in site.ksr.log_at("err"))


def test_what_is_published_of_deletes_is_json(site: Site) -> None:
    worker = site.start()
    site.routes(worker).shared.defer_delete(site.node("rtp1"), 'a"b', "tag")
    ((_, value),) = site.routes(worker).shared.deferred_deletes()
    assert json.loads(json.dumps(value))[1] == 'a"b'
