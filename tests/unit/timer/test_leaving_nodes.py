"""A node that is taken out of nodes.yaml: no new calls, and its own are served to their end."""

import json

import pytest
from pytest_mock import MockerFixture

import KSR
from KSR.testing import Routed, SipMessage, Worker
from tests.unit.site import THREE, Site


@pytest.fixture
def worker(site: Site) -> Worker:
    worker = site.start()
    site.tick(12)
    return worker


def call_on(site: Site, worker: Worker, name: str) -> tuple[str, SipMessage, Routed]:
    """A call that is up on a node."""
    for number in range(100):
        call_id = f"call-{number}"
        invite, routed = site.call(worker, call_id)
        site.answer(worker, routed.request)
        if site.serving(call_id) == [name]:
            return call_id, invite, routed
        worker.request(site.ksr.in_dialog("BYE", invite, routed.request, cseq=9))
    raise AssertionError(f"no call on {name}")


def take_out(site: Site, name: str) -> None:
    site.write_nodes({"default": [node for node in THREE["default"] if node["name"] != name]})
    site.tick(2)


def shown(site: Site) -> dict[str, dict[str, object]]:
    return {node["name"]: node for node in json.loads(site.cli("show", "--json").stdout)["nodes"]}


def chosen(site: Site, call_id: str) -> str:
    node = site.state(site.ksr.workers[0]).view().choose("default", call_id)
    assert node is not None
    return node.name


def commands(site: Site, url: str, call_id: str) -> list[str]:
    return [command.command for command in site.ksr.rtpengine.daemon(url).log if command.call_id == call_id]


def test_its_calls_stay_on_it_to_their_end(site: Site, worker: Worker) -> None:
    call_id, invite, routed = call_on(site, worker, "rtp3")
    url = site.node("rtp3").url
    take_out(site, "rtp3")
    worker.request(site.ksr.in_dialog("INVITE", invite, routed.request, sdp=True, cseq=7))
    worker.request(site.ksr.in_dialog("BYE", invite, routed.request, cseq=9))
    assert commands(site, url, call_id) == ["offer", "answer", "offer", "delete"]


def test_it_gets_no_new_calls(site: Site, worker: Worker) -> None:
    call_on(site, worker, "rtp3")
    url = site.node("rtp3").url
    take_out(site, "rtp3")
    before = len(site.ksr.rtpengine.daemon(url).log)
    for number in range(40):
        _, routed = site.call(worker, f"new-{number}")
        assert len(routed.relayed) == 1
    assert len(site.ksr.rtpengine.daemon(url).log) == before


def test_show_and_verify_tell_what_it_is(site: Site, worker: Worker) -> None:
    call_on(site, worker, "rtp3")
    take_out(site, "rtp3")
    node = shown(site)["rtp3"]
    assert (node["pool"], node["routable"], node["calls"]) == ("", False, 1)
    assert node["reason"] == "has left nodes.yaml, serves its calls to their end"
    found = site.cli("verify", "--json")
    assert found.exit_code == 0
    assert f"rtp3 {node['reason']}" in json.loads(found.stdout)["notes"]


def test_it_is_gone_with_its_last_call(site: Site, worker: Worker) -> None:
    _, invite, routed = call_on(site, worker, "rtp3")
    take_out(site, "rtp3")
    worker.request(site.ksr.in_dialog("BYE", invite, routed.request, cseq=9))
    site.tick(2)
    assert set(shown(site)) == {"rtp1", "rtp2"}


def test_without_calls_it_is_gone_in_a_moment(site: Site, worker: Worker) -> None:
    take_out(site, "rtp3")
    assert set(shown(site)) == {"rtp1", "rtp2"}


def test_an_offer_that_was_on_its_way_is_answered_there_too(site: Site, mocker: MockerFixture) -> None:
    """The node had no call when it was taken out, and has one by now."""
    worker = site.start()
    site.tick(12)
    url = site.node("rtp3").url
    call_id = next(f"call-{n}" for n in range(100) if chosen(site, f"call-{n}") == "rtp3")
    offered = KSR.rtpengine.rtpengine_offer

    def taken_out_meanwhile(flags: str) -> int:
        take_out(site, "rtp3")
        return offered(flags)

    mocker.patch("kemi_rtp.timer.nodes_file.LINGER", 60.0)
    mocker.patch.object(KSR.rtpengine, "rtpengine_offer", taken_out_meanwhile)
    _, routed = site.call(worker, call_id)
    site.answer(worker, routed.request)
    assert commands(site, url, call_id) == ["offer", "answer"]
    mocker.patch("kemi_rtp.timer.nodes_file.LINGER", 0.0)
    site.tick(2)
    assert "rtp3" in shown(site)


def test_it_outlives_further_edits_and_may_come_back(site: Site, worker: Worker) -> None:
    call_id, invite, routed = call_on(site, worker, "rtp3")
    url = site.node("rtp3").url
    take_out(site, "rtp3")
    site.write_nodes({"default": [{**node, "weight": 7} for node in THREE["default"][:2]]})
    site.tick(2)
    assert "rtp3" in shown(site)
    site.write_nodes(THREE)
    site.tick(2)
    assert shown(site)["rtp3"]["pool"] == "default"
    worker.request(site.ksr.in_dialog("INVITE", invite, routed.request, sdp=True, cseq=7))
    assert commands(site, url, call_id) == ["offer", "answer", "offer"]


def test_it_can_be_disabled_and_then_gets_nothing(site: Site, worker: Worker) -> None:
    call_id, invite, routed = call_on(site, worker, "rtp3")
    url = site.node("rtp3").url
    take_out(site, "rtp3")
    site.disable("rtp3")
    worker.request(site.ksr.in_dialog("INVITE", invite, routed.request, sdp=True, cseq=7))
    assert commands(site, url, call_id) == ["offer", "answer"]
    (moved,) = set(site.serving(call_id)) - {"rtp3"}
    assert moved in ("rtp1", "rtp2")


def test_a_module_reload_meanwhile_keeps_it(site: Site, worker: Worker) -> None:
    call_id, invite, routed = call_on(site, worker, "rtp3")
    url = site.node("rtp3").url
    rest = [node for node in THREE["default"] if node["name"] != "rtp3"]
    site.write_nodes({"default": [*rest, {"name": "rtp4", "url": "udp:192.0.2.4:2223"}]})
    site.tick(12)
    assert set(shown(site)) == {"rtp1", "rtp2", "rtp3", "rtp4"}
    worker.request(site.ksr.in_dialog("INVITE", invite, routed.request, sdp=True, cseq=7))
    assert commands(site, url, call_id) == ["offer", "answer", "offer"]
