"""Deletes that SIP workers put off, and the timer sends."""

import time

from pytest_mock import MockerFixture

import KSR
from kemi_rtp.shm import layout
from kemi_rtp.shm.state.process import get
from kemi_rtp.shm.state.worker import MAX_DELETES
from kemi_rtp.timer.deferred_deletes import BATCH
from KSR.testing import State
from tests.unit.calls import bye, established
from tests.unit.site import THREE, Site


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
    assert get(layout.DELETES_WAITING) == 0


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
    assert (get(layout.DELETES_WAITING), get(layout.DELETES_DROPPED)) == (0, 1)


def test_the_deletes_of_a_node_that_is_away_do_not_keep_those_of_others_waiting(site: Site) -> None:
    state = site.state(site.start())
    site.tick()
    site.disable("rtp1")
    for number in range(BATCH + 1):
        state.defer_delete(site.node("rtp1"), f"a{number}")
    state.defer_delete(site.node("rtp2"), "b")
    site.tick(2)
    assert [url for url, _ in site.deletes] == [site.node("rtp2").url]


def test_a_node_that_has_left_gets_its_deletes_before_it_is_forgotten(site: Site, mocker: MockerFixture) -> None:
    worker = site.start()
    site.tick()
    invite, routed, name = established(site, worker)
    url = site.node(name).url
    site.daemon(name).state = State.DEAD
    site.tick(4)
    bye(site, worker, invite, routed)
    site.write_nodes({"default": [node for node in THREE["default"] if node["name"] != name]})
    mocker.patch("kemi_rtp.timer.nodes_file.LINGER", 0)
    site.tick(3)
    site.ksr.rtpengine.daemon(url).state = State.ALIVE
    site.tick(4)
    assert [where for where, _ in site.deletes] == [url]
    site.tick(2)
    assert name not in [node.name for node in site.state(worker).config().nodes]


def test_deletes_that_wait_are_bounded(site: Site) -> None:
    worker = site.start()
    state = site.state(worker)
    KSR.htable.sht_seti(layout.STATE, layout.DELETES_WAITING, MAX_DELETES)
    state.defer_delete(site.node("rtp1"), "c1")
    assert (get(layout.DELETES_WAITING), get(layout.DELETES_DROPPED)) == (MAX_DELETES, 1)
    assert KSR.htable.sht_get(layout.DELETES, f"{site.node('rtp1').set_id}:c1") is None
