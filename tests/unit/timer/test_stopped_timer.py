"""What the script is told of nodes, and what holds when the timer has stopped."""

import json
import time
from datetime import UTC, datetime

from pytest_mock import MockerFixture

from kemi_rtp.routes import Routes
from kemi_rtp.shm.standings import STALE_AFTER
from kemi_rtp.shm.state.timer import TimerState
from kemi_rtp.timer.changes import NodeChange
from KSR.testing import State
from tests.unit.calls import NAMES, standing
from tests.unit.site import Site


def test_health_counts_as_unknown_when_the_supervisor_has_stopped(site: Site, mocker: MockerFixture) -> None:
    worker = site.start()
    site.tick()
    state = site.state(worker)
    for name in NAMES:
        state.mark_down(site.node(name), "test")
    assert all(not standing(site, name)[0] for name in NAMES)
    later = time.time() + STALE_AFTER + 5
    mocker.patch("kemi_rtp.shm.state.process.time.time", return_value=later)
    mocker.patch("kemi_rtp.shm.state.process.utc_now", return_value=datetime.fromtimestamp(later, UTC))
    assert all(standing(site, name) == (True, "") for name in NAMES)
    assert sum("the supervisor does not run" in line for line in site.ksr.log_at("err")) == 1
    mocker.stopall()
    assert all(not standing(site, name)[0] for name in NAMES)


def test_nothing_but_people_keeps_a_node_out_when_the_supervisor_has_stopped(site: Site, mocker: MockerFixture) -> None:
    state = site.state(site.start())
    site.tick()
    state.cool_down(site.node("rtp1"), "full")
    state.put_slow(site.node("rtp2"), 90)
    site.disable("rtp3")
    later = time.time() + STALE_AFTER + 5
    mocker.patch("kemi_rtp.shm.state.process.time.time", return_value=later)
    mocker.patch("kemi_rtp.shm.state.process.utc_now", return_value=datetime.fromtimestamp(later, UTC))
    assert [standing(site, name)[0] for name in NAMES] == [True, True, False]


def test_a_supervisor_that_never_begins_has_stopped(site: Site, mocker: MockerFixture) -> None:
    state = site.state(site.start())
    state.mark_down(site.node("rtp1"), "test")
    later = time.time() + STALE_AFTER + 5
    mocker.patch("kemi_rtp.shm.state.process.time.time", return_value=later)
    mocker.patch("kemi_rtp.shm.state.process.utc_now", return_value=datetime.fromtimestamp(later, UTC))
    assert standing(site, "rtp1")[0]


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
    site.state(worker).defer_delete(site.node("rtp1"), 'a"b')
    ((_, value),) = TimerState().deferred_deletes()
    assert json.loads(json.dumps(value))[1] == 'a"b'
