"""kemi-rtp verify: every place that can differ from another is found, and told with what it means."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from pytest_mock import MockerFixture

import KSR
from kemi_rtp.command import output
from kemi_rtp.files.module_table import write_table
from kemi_rtp.shm import layout
from kemi_rtp.shm.state.process import touch
from tests.unit.site import THREE, Site, StubRpc


def verify(site: Site, *arguments: str) -> tuple[int, dict[str, Any]]:
    result = site.cli("verify", "--json", *arguments)
    return result.exit_code, json.loads(result.stdout)


@pytest.fixture
def still(site: Site, mocker: MockerFixture) -> Site:
    """A site whose timer does not run while the command waits: what differs stays so."""
    site.start()
    site.tick(12)
    site.disable("rtp2")
    site.tick(2)
    mocker.patch.object(Site, "tick", lambda site, seconds=0.1: site.ksr.clock.advance(seconds))
    return site


def test_a_site_in_step_has_no_difference(still: Site) -> None:
    code, found = verify(still)
    assert (code, found["differences"]) == (output.DONE, [])
    assert found["generation"]
    assert "agree" in still.cli("verify").stdout


def edited_nodes(site: Site) -> None:
    site.write_nodes({"default": [{**THREE["default"][0], "weight": 9}, *THREE["default"][1:]]})


def edited_registry(site: Site) -> None:
    site.registry.path.write_text("version: 1\nnodes: {}\n")


def broken_registry(site: Site) -> None:
    site.registry.path.write_text("version: 1\nnodes: [")


def other_table(site: Site) -> None:
    view = site.state(site.ksr.workers[0]).view()
    write_table(site.state_dir, [(node, standing) for node, standing in view if node.name != "rtp1"])


def no_table(site: Site) -> None:
    (site.state_dir / "rtpengine.sqlite").write_text("not SQLite")


def module_says(site: Site, **states: str) -> None:
    """What the supervisor has last read in the module, and could not repair."""
    rows = {"rtp1": "active", "rtp2": "disabled", "rtp3": "active"} | states
    said = {site.node(name).url: state for name, state in rows.items() if state}
    KSR.htable.sht_sets(layout.STATE, layout.ROWS, json.dumps(said))


def lost_mark(site: Site) -> None:
    module_says(site, rtp2="active")


def native_disable(site: Site) -> None:
    module_says(site, rtp1="disabled")


def taken_for_dead(site: Site) -> None:
    module_says(site, rtp1="inactive")


def lost_node(site: Site) -> None:
    module_says(site, rtp1="")


def stopped_timer(site: Site) -> None:
    site.ksr.htables["kemi_rtp"].cells["heartbeat"].value = 1_000_000


@pytest.mark.parametrize(
    ("happening", "node", "places", "meaning"),
    [
        (edited_nodes, "rtp1", ("nodes.yaml", "shared memory"), "not picked up yet or refused"),
        (edited_registry, "rtp2", ("registry.yaml", "shared memory"), "an edit that was not picked up"),
        (broken_registry, "", ("registry.yaml", "registry.yaml.good"), "is not valid YAML"),
        (other_table, "rtp1", ("module's table", "shared memory"), "a reload of the module would load"),
        (no_table, "", ("module's table", "shared memory"), "a reload would fail"),
        (lost_mark, "rtp2", ("rtpengine module", "shared memory"), "lost the permanent mark"),
        (native_disable, "rtp1", ("rtpengine module", "shared memory"), "somebody typed rtpengine.enable"),
        (taken_for_dead, "rtp1", ("rtpengine module", "shared memory"), "though it answers pings"),
        (lost_node, "rtp1", ("rtpengine module", "shared memory"), "the module lacks the node"),
        (stopped_timer, "", ("rtpengine module", "shared memory"), "timer does not run"),
    ],
)
def test_every_difference_is_told_with_what_it_means(
    still: Site, happening: Callable[[Site], None], node: str, places: tuple[str, str], meaning: str
) -> None:
    happening(still)
    code, found = verify(still)
    assert code == output.FAILED
    (difference,) = found["differences"]
    assert difference["node"] == node
    assert (difference["place"], difference["other_place"]) == places
    assert meaning in difference["meaning"]
    assert meaning.split()[0] in still.cli("verify").stdout


def test_what_the_timer_puts_right_in_a_moment_is_no_difference(site: Site) -> None:
    site.start()
    site.tick(12)
    site.disable("rtp2")
    assert verify(site) == (output.DONE, verify(site)[1])


def test_repair_does_what_the_tick_would(site: Site) -> None:
    site.start()
    site.tick(12)
    site.disable("rtp2")
    site.tick(2)
    site.ksr.rpc.execute(site.ksr.main, "rtpengine.enable", [site.node("rtp2").url, 1])
    code, found = verify(site, "--repair")
    assert (code, found["differences"]) == (output.DONE, [])
    assert site.ksr.rtpengine.find(site.node("rtp2").url).permanent


def test_processes_that_have_not_looked_since_a_change_are_named_but_no_difference(still: Site) -> None:
    still.call(still.ksr.workers[0], "c1")
    still.call(still.ksr.workers[1], "c2")
    touch()
    still.call(still.ksr.workers[0], "c3")
    code, found = verify(still)
    assert code == output.DONE
    current = [pid for pid, generation in found["processes"].items() if generation == found["generation"]]
    assert current == [str(still.ksr.workers[0].process.pid)]
    assert "have not looked since the last change" in found["notes"][0]


def test_a_node_that_only_the_module_has_is_a_note(site: Site) -> None:
    site.start()
    site.tick(12)
    site.write_nodes({"default": THREE["default"][:2]})
    site.tick()
    code, found = verify(site)
    assert code == output.DONE
    assert any("which nodes.yaml has not: no call goes there" in note for note in found["notes"])


def test_without_kamailio_there_is_nothing_to_compare_with(site: Site, mocker: MockerFixture) -> None:
    mocker.patch.object(StubRpc, "reachable", False)
    result = site.cli("verify")
    assert result.exit_code == output.SAVED
    assert "not reachable" in result.stderr
