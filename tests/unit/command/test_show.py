"""kemi-rtp show."""

import json

from pytest_mock import MockerFixture

from KSR.testing import State as DaemonState
from tests.unit.answers import shown
from tests.unit.site import THREE, Site, StubRpc


def test_show_prints_what_the_next_call_meets(site: Site) -> None:
    worker = site.start()
    site.tick()
    site.disable("rtp1")
    site.drain("rtp2")
    site.daemon("rtp3").state = DaemonState.DEAD
    site.tick(4)
    nodes = shown(site)
    view = {node.name: standing for node, standing in site.state(worker).view()}
    for name, node in nodes.items():
        assert node["routable"] == view[name].routable
        assert node["reason"] == view[name].reason
        assert node["admin"] == str(view[name].admin)
        assert node["health"] == str(view[name].health)
    assert nodes["rtp1"]["by"] == "alice@lb1"
    assert str(nodes["rtp1"]["reason"]).startswith("disabled by alice@lb1 since ")
    assert str(nodes["rtp1"]["reason"]).endswith(": NIC swap")
    assert nodes["rtp3"]["reason"] == "down: no answer to pings"


def test_show_has_the_fields_that_monitoring_relies_on(site: Site) -> None:
    site.start()
    site.tick()
    document = json.loads(site.cli("show", "--json").stdout)
    assert document["generation"]
    assert set(document["nodes"][0]) >= {
        *("name", "url", "pool", "weight", "tier", "admin", "health", "routable", "reason", "by", "since", "until"),
        "calls",
    }


def test_show_tells_the_modules_own_view(site: Site) -> None:
    site.start()
    site.tick()
    site.disable("rtp2")
    site.tick(2)
    assert {name: node["module"] for name, node in shown(site).items()} == {
        "rtp1": "active",
        "rtp2": "disabled",
        "rtp3": "active",
    }


def test_no_command_asks_the_module_which_would_make_it_ping_every_node(site: Site, mocker: MockerFixture) -> None:
    site.start()
    site.tick()
    asked = mocker.spy(StubRpc, "call_all")
    for command in (["show"], ["verify"], ["disable", "rtp1", "--reason", "NIC swap"], ["enable", "rtp1"], ["reload"]):
        assert site.cli(*command).exit_code == 0
    assert not [call.args[1] for call in asked.call_args_list if call.args[1].startswith("rtpengine")]


def test_show_without_kamailio_tells_what_the_next_start_begins_with(site: Site, mocker: MockerFixture) -> None:
    mocker.patch.object(StubRpc, "reachable", False)
    site.cli("disable", "rtp2", "--reason", "r")
    result = site.cli("show", "--json")
    document = json.loads(result.stdout)
    assert document["kamailio"] == "not reachable"
    assert {node["name"]: node["routable"] for node in document["nodes"]} == {"rtp1": True, "rtp2": False, "rtp3": True}
    assert "Kamailio is not reachable" in result.stderr


def test_show_keeps_nodes_that_only_the_registry_knows(site: Site) -> None:
    site.start()
    site.disable("rtp2")
    site.write_nodes({"default": THREE["default"][:1]})
    site.tick()
    node = shown(site)["rtp2"]
    assert node["pool"] is None
    assert str(node["reason"]).startswith("not in nodes.yaml; disabled by")


def test_show_is_plain_text_when_piped(site: Site) -> None:
    site.start()
    site.disable("rtp2", reason="a long reason " * 20)
    lines = site.cli("show").stdout.splitlines()
    assert "\x1b" not in "".join(lines)
    assert len(lines) == 4
    assert lines[2].startswith("rtp2 ")


def test_show_prints_text_as_people_wrote_it(site: Site) -> None:
    site.write_nodes({"default": [{"name": "rtp1", "url": "udp6:[fe80::1]:2223"}]})
    site.start()
    site.cli("drain", "rtp1", "--reason", "[red] alert :bell:")
    line = site.cli("show").stdout.splitlines()[1]
    assert "udp6:[fe80::1]:2223" in line
    assert "[red] alert :bell:" in line
