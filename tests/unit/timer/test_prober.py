"""Health: who is pinged, and what follows from the answers."""

from collections import Counter

import pytest
from pytest_mock import MockerFixture

from kemi_rtp.module import commands as module
from kemi_rtp.timer import reconciler
from KSR.testing import State
from tests.unit.site import THREE, Site

NAMES = ("rtp1", "rtp2", "rtp3")


def health(site: Site) -> dict[str, str]:
    view = site.state(site.ksr.workers[0]).view()
    return {node.name: str(standing.health) for node, standing in view}


def test_a_disabled_node_is_never_pinged(site: Site) -> None:
    site.start()
    site.disable("rtp2")
    site.pings.clear()
    site.tick(5)
    assert set(site.pings) == {"udp:192.0.2.1:2223", "udp:192.0.2.3:2223"}


def test_a_draining_node_is_pinged(site: Site) -> None:
    site.start()
    site.drain("rtp2")
    site.tick()
    assert "udp:192.0.2.2:2223" in site.pings


def test_a_node_is_down_after_so_many_missed_answers(site: Site) -> None:
    site.start()
    site.tick()
    site.daemon("rtp2").state = State.DEAD
    site.tick(2)
    assert health(site)["rtp2"] == "up"
    site.tick()
    assert health(site)["rtp2"] == "down"
    assert any("rtp2 (udp:192.0.2.2:2223) is down: no answer to pings" in line for line in site.ksr.log_at("warn"))


def test_a_node_is_up_again_after_so_many_answers(site: Site) -> None:
    site.start()
    site.daemon("rtp2").state = State.DEAD
    site.tick(3)
    site.daemon("rtp2").state = State.ALIVE
    site.tick()
    assert health(site)["rtp2"] == "down"
    site.tick()
    assert health(site)["rtp2"] == "up"


def test_a_node_that_a_worker_found_dead_must_earn_its_way_back(site: Site) -> None:
    worker = site.start()
    site.tick()
    site.state(worker).mark_down(site.node("rtp2"), "no answer to offer")
    site.tick()
    assert health(site)["rtp2"] == "down"
    site.tick()
    assert health(site)["rtp2"] == "up"


def test_one_answer_is_enough_when_the_pool_has_no_other_node(site: Site) -> None:
    worker = site.start()
    site.tick()
    for name in NAMES:
        site.state(worker).mark_down(site.node(name), "no answer to offer")
    for name in ("rtp1", "rtp3"):
        site.daemon(name).state = State.DEAD
    site.tick()
    assert health(site) == {"rtp1": "down", "rtp2": "up", "rtp3": "down"}


def test_a_pool_without_a_node_is_not_left_waiting_for_the_next_round_of_pings(site: Site) -> None:
    site.write_nodes(THREE, probe_interval=60)
    worker = site.start()
    site.tick()
    site.pings.clear()
    site.timer.run("ksr_timer_event", "kemi_rtp")
    state = site.state(worker)
    state.mark_down(site.node("rtp1"), "no answer to offer")
    site.timer.run("ksr_timer_event", "kemi_rtp")
    assert site.pings == []
    state.mark_down(site.node("rtp2"), "no answer to offer")
    state.mark_down(site.node("rtp3"), "no answer to offer")
    site.timer.run("ksr_timer_event", "kemi_rtp")
    assert sorted(site.pings) == sorted(site.node(name).url for name in NAMES)


def test_one_answer_makes_an_unknown_node_up(site: Site) -> None:
    site.start()
    assert health(site)["rtp2"] == "unknown"
    site.tick()
    assert health(site)["rtp2"] == "up"


def test_nothing_is_known_of_a_disabled_node(site: Site) -> None:
    site.start()
    site.tick()
    site.disable("rtp2")
    site.tick()
    assert health(site)["rtp2"] == "unknown"


def test_health_that_has_not_changed_makes_no_new_generation(site: Site) -> None:
    worker = site.start()
    site.tick(2)
    before = site.state(worker).view()
    site.tick(5)
    assert site.state(worker).view() is before


def test_pings_are_never_sent_by_a_sip_worker(site: Site) -> None:
    worker = site.start()
    site.pings.clear()
    for name in ("rtp1", "rtp2", "rtp3"):
        site.daemon(name).state = State.DEAD
    site.call(worker, "c1")
    assert site.pings == []
    assert all(not site.daemon(f"rtp{number}").commands("ping")[3:] for number in range(1, 4))


def test_a_new_node_is_pinged_at_once(site: Site) -> None:
    site.start()
    site.tick(12)
    site.write_nodes({"default": [*THREE["default"], {"name": "rtp4", "url": "udp:192.0.2.4:2223"}]}, probe_interval=60)
    site.tick(2)
    assert health(site)["rtp4"] == "up"


CROWD = [{"name": f"n{number}", "url": f"udp:192.0.2.{number % 200 + 1}:{2000 + number}"} for number in range(300)]


@pytest.fixture
def crowd(site: Site) -> Site:
    """Three hundred nodes, of which the second half has become silent."""
    site.write_nodes({"default": CROWD})
    site.start()
    site.tick()
    for node in CROWD[150:]:
        site.ksr.rtpengine.daemon(node["url"]).state = State.DEAD
    site.tick(3)
    return site


def test_every_node_is_pinged_in_each_round_however_many_are_silent(crowd: Site) -> None:
    crowd.pings.clear()
    crowd.tick(2)
    assert Counter(crowd.pings) == dict.fromkeys((node["url"] for node in CROWD), 2)
    up = {node.name: standing.routable for node, standing in crowd.state(crowd.timer).view()}
    assert up == {node["name"]: number < 150 for number, node in enumerate(CROWD)}


def test_nodes_that_come_back_together_cost_one_table_and_two_looks_at_the_module(
    crowd: Site, mocker: MockerFixture
) -> None:
    for node in CROWD[150:]:
        crowd.ksr.rtpengine.daemon(node["url"]).state = State.ALIVE
    tables = mocker.spy(reconciler, "write_table")
    looks = mocker.spy(module, "rows")
    crowd.tick(2)
    assert all(standing.routable for _, standing in crowd.state(crowd.timer).view())
    assert tables.call_count == 1
    assert looks.call_count <= 8  # the two, and a round of comparing at each tick
