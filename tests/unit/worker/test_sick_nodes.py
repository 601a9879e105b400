"""A sick media node costs the calls on it, never the proxy."""

import itertools
import time
from datetime import timedelta
from types import SimpleNamespace
from unittest import mock

import pytest
from pytest_mock import MockerFixture

import KSR
from kemi_rtp.model.standing import LATE_MS
from kemi_rtp.model.times import utc_now
from kemi_rtp.routes import Routes
from kemi_rtp.shm import layout, places
from kemi_rtp.shm.standings import STALE_AFTER
from kemi_rtp.shm.state.process import get
from kemi_rtp.shm.state.worker import WorkerState
from kemi_rtp.worker.patience import PROMPT_MS, SLOW_MS, WORKERS_WITH_CALLS
from KSR.testing import State, Worker
from tests.unit.calls import NAMES, bye, established, standing
from tests.unit.site import ANOTHER, THREE, Site


def chosen(site: Site, call_id: str) -> str:
    node = site.state(site.ksr.workers[0]).view().choose("default", call_id)
    assert node is not None
    return node.name


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
    mocker.patch("kemi_rtp.timer.cooling.time.monotonic", return_value=clock + 60)
    site.tick()
    assert standing(site, full) == (True, "")


def test_a_node_that_cools_down_serves_its_calls(site: Site) -> None:
    worker = site.start()
    invite, routed, name = established(site, worker)
    site.state(worker).cool_down(site.node(name), "test")
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


def wait_for(site: Site, name: str, processes: int, *, answered_ms_ago: int = 10 * SLOW_MS) -> None:
    """Let so many processes wait for a node that answered last so long ago."""
    first = 100 * (1 + NAMES.index(name))
    for place in range(first, first + 100):
        places.sets[place] = site.node(name).set_id if place < first + processes else 0
        places.since[place] = time.monotonic_ns() - answered_ms_ago * 1_000_000
        places.pids[place] = ANOTHER
    places.taken[0] = places.PLACES
    answered = int(time.monotonic() * 1000) - answered_ms_ago
    KSR.htable.sht_seti(layout.STATE, layout.answered_key(site.node(name).set_id), answered % 0x7FFFFFFF)


# --- the bulkhead -----------------------------------------------------------------------------------------------------


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
    mocker.patch.object(WorkerState, "silent_for", return_value=PROMPT_MS + 1)
    site.call(worker, call_id)
    assert site.serving(call_id) == (["rtp1"] if stays else ["rtp2"])


def test_a_busy_node_that_answers_keeps_its_new_calls(site: Site, mocker: MockerFixture) -> None:
    """Load alone must not send calls to a backup tier."""
    worker = site.start()
    busy = chosen(site, "c1")
    wait_for(site, busy, 5)
    mocker.patch.object(WorkerState, "silent_for", return_value=0)
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
    wait_for(site, name, WORKERS_WITH_CALLS - 1)
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
    wait_for(site, name, WORKERS_WITH_CALLS, answered_ms_ago=LATE_MS + 1)
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
    wait_for(site, name, WORKERS_WITH_CALLS, answered_ms_ago=LATE_MS + 1)
    site.answer(worker, routed.request)
    assert [command.command for command in site.daemon(name).log if command.call_id == "c1"] == ["offer", "answer"]


def test_a_reoffer_for_a_frozen_node_goes_to_another(site: Site) -> None:
    worker = site.start()
    site.tick()
    invite, routed, name = established(site, worker)
    wait_for(site, name, WORKERS_WITH_CALLS, answered_ms_ago=LATE_MS + 1)
    worker.request(site.ksr.in_dialog("INVITE", invite, routed.request, sdp=True, cseq=7))
    assert len(site.serving("c1")) == 2


def test_a_delete_is_the_first_to_leave_a_busy_node_alone(site: Site, mocker: MockerFixture) -> None:
    """Each worker that waits for a frozen node is one less for all other calls."""
    worker = site.start()
    site.tick()
    invite, routed, name = established(site, worker)
    wait_for(site, name, 1)
    mocker.patch.object(WorkerState, "silent_for", return_value=PROMPT_MS + 1)
    bye(site, worker, invite, routed)
    assert [command.command for command in site.daemon(name).log if command.call_id == "c1"] == ["offer", "answer"]


def test_a_busy_node_that_answers_gets_answers_and_deletes(site: Site, mocker: MockerFixture) -> None:
    worker = site.start()
    mocker.patch.object(WorkerState, "silent_for", return_value=0)
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
    state = site.state(site.ksr.workers[0])
    set_id = site.node("rtp1").set_id
    wait_for(site, "rtp1", 0, answered_ms_ago=3_600_000)
    for worker in site.ksr.workers:
        site.state(worker).begin_command(set_id)
    assert state.silent_for(set_id) < 3_000_000


def test_a_node_that_answers_others_is_not_silent(site: Site) -> None:
    """One packet that was lost keeps a worker waiting, and says nothing about the node."""
    site.start()
    first, second = (site.state(worker) for worker in site.ksr.workers)
    set_id = site.node("rtp1").set_id
    wait_for(site, "rtp1", 1, answered_ms_ago=3_000_000)
    with site.ksr.handling(site.ksr.invite()):
        first.begin_command(set_id)
        assert second.silent_for(set_id) >= 3_000_000
        first.end_command(answered=False)
        assert second.silent_for(set_id) >= 3_000_000
        first.begin_command(set_id)
        first.end_command(answered=True)
        assert second.silent_for(set_id) < 3_000_000


def test_a_last_resort_holds_one_worker_at_a_time(site: Site) -> None:
    worker = site.start()
    for name in NAMES:
        site.state(worker).mark_down(site.node(name), "test")
        wait_for(site, name, 1)
    _, routed = site.call(worker, "c1")
    assert routed.reply.code == 503
    assert site.serving("c1") == []


def test_the_count_of_waiting_workers_returns_to_zero(site: Site) -> None:
    worker = site.start()
    invite, routed, name = established(site, worker)
    bye(site, worker, invite, routed)
    assert site.state(worker).in_flight(site.node(name)) == 0


def test_a_worker_that_died_while_it_waited_counts_no_longer(site: Site) -> None:
    worker = site.start()
    site.tick()
    node = site.node("rtp2")
    wait_for(site, "rtp2", 1)
    site.tick(2)
    assert site.state(worker).in_flight(node) == 1
    for place, _, _ in places.in_flight():
        places.pids[place] = ANOTHER + 1
    site.tick(2)
    assert site.state(worker).in_flight(node) == 0


def test_every_process_has_a_place_of_its_own_and_keeps_it_when_the_script_is_loaded_again(site: Site) -> None:
    site.start(workers=3)

    def taken() -> list[int]:
        for worker in site.ksr.workers:
            site.call(worker, f"c{worker.process.rank}")
        return [places.pids.tolist().index(worker.process.pid) for worker in site.ksr.workers]

    before = taken()
    assert sorted(before) == [1, 2, 3]
    site.ksr.clock.advance(10)
    site.ksr.rpc.execute(site.ksr.main, "app_python.reload", [])
    assert taken() == before


def test_more_processes_than_there_are_places_are_an_error_and_harm_nobody(site: Site) -> None:
    """A place that two processes have would hide what one of them sends from the kemi-rtp command."""
    worker = site.start()
    KSR.htable.sht_seti(layout.STATE, layout.PLACES, places.PLACES - 1)
    _, routed = site.call(worker, "c1")
    assert routed.reply.code == 500
    assert any("Kamailio may have 1023 processes" in line for line in site.ksr.log_at("err"))
    assert places.in_flight() == frozenset()


def answer_late(site: Site, worker: Worker, call_id: str) -> str:
    """A call whose offer is answered late; the name of its node."""
    late = SimpleNamespace(monotonic=itertools.count(0, 0.15).__next__)
    with mock.patch("kemi_rtp.worker.sending.time", late):
        site.call(worker, call_id)
    (name,) = site.serving(call_id)
    return name


# --- slow nodes -------------------------------------------------------------------------------------------------------


def test_a_node_that_answers_late_gets_no_new_calls_until_its_pings_are_answered_in_time(site: Site) -> None:
    worker, other = site.start(), site.ksr.workers[1]
    site.tick()
    slow = answer_late(site, worker, "c1")
    assert standing(site, slow) == (True, "slow: answered after 150 ms")
    for number in range(20):
        site.call(other, f"d{number}")
    assert [command.call_id for command in site.daemon(slow).commands("offer")] == ["c1"]
    client = site.routes(site.timer).supervisor.prober.client
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
    site.state(worker).put_slow(site.node(name), 80)
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
        site.state(worker).put_slow(site.node(name), 80)
    for number in range(30):
        site.call(worker, f"c{number}")
    assert all(site.daemon(name).commands("offer") for name in NAMES)


def test_slowness_sends_no_calls_to_a_backup(site: Site) -> None:
    first, backup, _ = THREE["default"]
    site.write_nodes({"default": [first, {**backup, "tier": 1}]})
    worker = site.start()
    site.tick()
    site.state(worker).put_slow(site.node("rtp1"), 80)
    site.call(worker, "c1")
    assert site.serving("c1") == ["rtp1"]


def test_a_slow_node_takes_calls_when_the_quick_ones_are_full(site: Site) -> None:
    first, second, _ = THREE["default"]
    site.write_nodes({"default": [first, {**second, "max_calls": 1}]})
    worker = site.start()
    site.tick()
    site.state(worker).put_slow(site.node("rtp1"), 80)
    site.call(worker, "c1")
    site.call(worker, "c2")
    assert [site.serving(call_id) for call_id in ("c1", "c2")] == [["rtp2"], ["rtp1"]]


def test_a_second_worker_does_not_wait_for_a_slow_node_to_end_a_call(site: Site) -> None:
    worker = site.start()
    site.tick()
    invite, routed, name = established(site, worker)
    site.state(worker).put_slow(site.node(name), 80)
    wait_for(site, name, 1, answered_ms_ago=0)
    bye(site, worker, invite, routed)
    assert [command.command for command in site.daemon(name).log if command.call_id == "c1"] == ["offer", "answer"]
    assert get(layout.DELETES_WAITING) == 1


def test_slowness_counts_for_nothing_when_the_supervisor_has_stopped(site: Site, mocker: MockerFixture) -> None:
    """Nobody would notice that the node is quick again."""
    worker = site.start()
    site.tick()
    state = site.state(worker)
    state.put_slow(site.node("rtp1"), 80)
    assert dict(state.view())[site.node("rtp1")].slow
    mocker.patch("kemi_rtp.shm.state.process.time.time", return_value=time.time() + STALE_AFTER + 5)
    mocker.patch("kemi_rtp.shm.state.process.utc_now", return_value=utc_now() + timedelta(seconds=STALE_AFTER + 5))
    assert not dict(state.view())[site.node("rtp1")].slow


# --- calls that have lost their node ----------------------------------------------------------------------------------


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


# --- capacity ---------------------------------------------------------------------------------------------------------


def test_a_node_has_no_more_calls_than_it_may(site: Site) -> None:
    site.write_nodes({"default": [{**node, "max_calls": 3} for node in THREE["default"]]})
    worker = site.start()
    calls = [established(site, worker, f"c{number}") for number in range(9)]
    assert [len(site.daemon(name).calls) for name in NAMES] == [3, 3, 3]
    assert standing(site, "rtp1") == (False, "full: 3 of 3 calls")
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
    site.state(worker).mark_down(site.node("rtp1"), "test")
    site.call(worker, "c3")
    assert site.serving("c3") == ["rtp2"]


def test_a_call_that_moves_is_counted_where_it_is(site: Site) -> None:
    worker = site.start()
    invite, routed, name = established(site, worker)
    site.disable(name)
    worker.request(site.ksr.in_dialog("INVITE", invite, routed.request, sdp=True, cseq=7))
    site.tick(2)
    calls = {n: site.state(worker).calls(site.node(n)) for n in NAMES}
    assert calls.pop(name) is None  # it is not asked any more
    assert sorted(calls.values(), key=str) == [0, 1]
