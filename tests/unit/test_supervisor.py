"""Start, picked-up files, the end of timed decisions, reloads."""

import os
from datetime import timedelta
from pathlib import Path

import pytest
from pytest_mock import MockerFixture

from kemi_rtp.files.module_table import read_table
from kemi_rtp.model.admin import Change, Entry, State
from kemi_rtp.model.times import utc_now

from .site import THREE, Site


def store(site: Site, *entries: Entry) -> None:
    """Write entries to the registry as a command would."""
    with site.registry.exclusive() as transaction:
        changes = [Change(utc_now(), e.node, State.ENABLED, e.state, e.reason, e.by, "command") for e in entries]
        transaction.write({entry.node: entry for entry in entries}, changes)


def admin(site: Site) -> dict[str, str]:
    view = site.routes(site.ksr.workers[0]).shared.view()
    return {node.name: str(standing.admin) for node, standing in view if node.pool}


def names(site: Site) -> list[str]:
    return sorted(admin(site))


def log(site: Site, *levels: str) -> str:
    return "".join(site.ksr.log_at(*levels))


def edit(path: Path, text: str) -> None:
    """Write a file so that even a coarse clock shows the change."""
    before = path.stat().st_mtime_ns if path.exists() else 0
    path.write_text(text)
    os.utime(path, ns=(before + 1_000_000, before + 1_000_000))


# --- start -----------------------------------------------------------------------------------------------------------


def test_the_first_packet_meets_the_registry(site: Site) -> None:
    site.state_dir.mkdir()
    store(site, Entry("rtp2", State.DISABLED, "NIC swap", "alice@lb1", utc_now()))
    worker = site.start()
    for number in range(30):
        site.call(worker, f"c{number}")
    assert site.daemon("rtp2").log == []


def test_the_module_starts_with_disabled_nodes_disabled(site: Site) -> None:
    site.state_dir.mkdir()
    store(site, Entry("rtp2", State.DISABLED))
    site.start()
    assert {url: disabled for _, url, _, disabled in read_table(site.state_dir)} == {
        "udp:192.0.2.1:2223": 0,
        "udp:192.0.2.2:2223": 1,
        "udp:192.0.2.3:2223": 0,
    }
    assert site.ksr.rtpengine.find("udp:192.0.2.2:2223").permanent


def refused(site: Site) -> str:
    """What the log says of a start that is refused."""
    with pytest.raises(SystemExit):
        site.start()
    text = log(site, "crit")
    assert "Kamailio is not started" in text
    assert "Traceback" not in text
    return text


def test_a_faulty_nodes_yaml_stops_the_start_with_file_line_and_field(site: Site) -> None:
    site.nodes_path.write_text("pools:\n  default:\n    - {name: a, url: 'udp:h:99999'}\n")
    assert f"{site.nodes_path}:3: pools.default[0].url: udp:h:99999: must be" in refused(site)


def test_a_missing_nodes_yaml_stops_the_start(site: Site) -> None:
    site.nodes_path.unlink()
    assert "nodes.yaml: cannot be read: No such file" in refused(site)


def test_a_registry_that_cannot_be_read_at_all_stops_the_start(site: Site) -> None:
    site.state_dir.mkdir()
    site.registry.path.write_text("version: 1\nnodes: [")
    text = refused(site)
    assert "registry.yaml:3: is not valid YAML" in text
    assert "registry.yaml.good: cannot be read" in text


def test_the_last_good_registry_is_used_loudly(site: Site) -> None:
    site.state_dir.mkdir()
    store(site, Entry("rtp2", State.DISABLED))
    site.registry.path.write_text("nonsense: [")
    site.start()
    assert admin(site)["rtp2"] == "disabled"
    assert "the last good version" in log(site, "crit")


@pytest.mark.parametrize("define", ["KEMI_RTP_STATE_DIR", "KEMI_RTP_RPC_SOCKET"])
def test_places_that_differ_between_the_two_configurations_stop_the_start(site: Site, define: str) -> None:
    site.ksr.define(define, '"/elsewhere"')
    assert f"differs from {define} in Kamailio's configuration, which is /elsewhere" in refused(site)


def test_a_state_directory_that_cannot_be_written_stops_the_start(site: Site) -> None:
    site.state_dir.write_text("a file")
    assert str(site.state_dir) in refused(site)


# --- nodes.yaml ------------------------------------------------------------------------------------------------------


def test_an_added_node_is_in_force_once_the_module_has_it(site: Site) -> None:
    worker = site.start()
    site.tick()
    site.write_nodes({"default": [*THREE["default"], {"name": "rtp4", "url": "udp:192.0.2.4:2223"}]})
    site.tick()  # too early: the module allows one reload in 10 s, and started this moment
    assert names(site) == ["rtp1", "rtp2", "rtp3"]
    site.tick(11)
    assert names(site) == ["rtp1", "rtp2", "rtp3", "rtp4"]
    for number in range(40):
        site.call(worker, f"c{number}")
    assert site.daemon("rtp4").commands("offer")
    assert log(site, "err", "warn") == ""


def test_an_edit_that_needs_no_new_node_reloads_no_module(site: Site) -> None:
    site.start()
    site.tick(12)
    before = len(site.ksr.calls_to("jsonrpcs.exec"))
    site.write_nodes({"default": [{**node, "weight": 7} for node in THREE["default"][:2]]})
    site.tick(3)
    assert names(site) == ["rtp1", "rtp2"]
    sent = [str(call.args[0]) for call in site.ksr.calls_to("jsonrpcs.exec")[before:]]
    assert not any("rtpengine.reload" in text for text in sent)


def test_a_faulty_edit_is_refused_whole_and_told_once(site: Site) -> None:
    site.start()
    site.tick()
    edit(site.nodes_path, site.nodes_path.read_text().replace("192.0.2.1:2223", "192.0.2.9:2223") + "surplus: 1\n")
    site.tick(3)
    assert names(site) == ["rtp1", "rtp2", "rtp3"]
    assert site.node("rtp1").url == "udp:192.0.2.1:2223"
    assert log(site, "err").count("surplus: unknown key") == 1


def test_a_node_that_comes_back_into_nodes_yaml_is_still_disabled(site: Site) -> None:
    site.start()
    site.disable("rtp2")
    site.write_nodes({"default": [THREE["default"][0]]})
    site.tick()
    site.write_nodes(THREE)
    site.tick(12)
    assert admin(site)["rtp2"] == "disabled"


def test_a_renamed_node_is_still_disabled(site: Site) -> None:
    site.start()
    site.disable("rtp2")
    site.write_nodes({"default": [{**node, "name": f"new-{node['name']}"} for node in THREE["default"]]})
    site.tick()
    assert admin(site) == {"new-rtp1": "enabled", "new-rtp2": "disabled", "new-rtp3": "enabled"}


# --- the registry ----------------------------------------------------------------------------------------------------


def test_an_edit_of_the_registry_by_hand_is_picked_up_and_recorded(site: Site) -> None:
    site.start()
    site.tick()
    edit(site.registry.path, "version: 1\nnodes:\n  rtp2: {state: disabled, reason: fan, by: bob}\n")
    site.tick()
    assert admin(site)["rtp2"] == "disabled"
    (change,) = site.registry.history()
    assert (change.node, change.after, change.way, change.by) == ("rtp2", State.DISABLED, "edit", "bob")
    edit(site.registry.path, "version: 1\nnodes: {}\n")
    site.tick()
    assert admin(site)["rtp2"] == "enabled"


def test_a_faulty_edit_of_the_registry_leaves_in_force_what_is(site: Site) -> None:
    site.start()
    site.disable("rtp2")
    site.tick()
    edit(site.registry.path, "version: 1\nnodes:\n  rtp2: {state: disbled}\n")
    site.tick(3)
    assert admin(site)["rtp2"] == "disabled"
    assert log(site, "crit").count("nodes.rtp2.state: disbled: must be draining or disabled") == 1


def test_a_decision_ends_when_its_time_is_over(site: Site, mocker: MockerFixture) -> None:
    site.start()
    assert site.cli("disable", "rtp2", "--reason", "r", "--for", "1h").exit_code == 0
    site.tick(2)
    assert admin(site)["rtp2"] == "disabled"
    later = utc_now() + timedelta(hours=2)
    mocker.patch("kemi_rtp.timer.supervisor.utc_now", return_value=later)
    mocker.patch("kemi_rtp.shm.state.utc_now", return_value=later)
    site.tick()
    assert admin(site)["rtp2"] == "enabled"
    assert site.registry.load().entries == {}
    assert site.registry.history()[-1].way == "until"


def test_nothing_but_people_makes_a_node_more_enabled(site: Site) -> None:
    """Ticks, native reloads and pings, script reloads: a disabled node stays disabled."""
    site.start()
    site.disable("rtp2")
    execute = site.ksr.rpc.execute
    url = site.node("rtp2").url
    for method, parameters in (
        ("rtpengine.ping", ["all"]),
        ("rtpengine.enable", [url, 1]),
        ("rtpengine.reload", []),
        ("rtpengine.ping", [url]),
        ("app_python.reload", []),
    ):
        site.tick(11)
        execute(site.ksr.main, method, parameters)
        site.tick(2)
        assert admin(site)["rtp2"] == "disabled"
        _, routed = site.call(site.ksr.workers[0], f"after {method}")
        assert len(routed.relayed) == 1
        assert site.serving(f"after {method}") != ["rtp2"]
    assert site.registry.load().entries["rtp2"].state is State.DISABLED


def test_a_command_at_work_makes_the_timer_wait_a_tick(site: Site) -> None:
    site.start()
    site.tick()
    with site.registry.exclusive() as transaction:
        edit(site.registry.path, "version: 1\nnodes:\n  rtp2: {state: disabled}\n")
        site.tick()
        assert admin(site)["rtp2"] == "enabled"
        assert transaction.entries == {}
    site.tick()
    assert admin(site)["rtp2"] == "disabled"
    assert log(site, "err") == ""


# --- duties ----------------------------------------------------------------------------------------------------------


def test_a_fault_in_one_duty_is_told_once_and_stops_no_other(site: Site, mocker: MockerFixture) -> None:
    site.start()
    mocker.patch("kemi_rtp.timer.supervisor.Registry.exclusive", side_effect=RuntimeError("disk on fire"))
    edit(site.registry.path, "version: 1\nnodes: {}\n")
    site.pings.clear()
    site.tick(3)
    assert len(site.pings) >= 9
    assert log(site, "err").count("disk on fire") == 1


def test_calls_are_counted_per_node(site: Site) -> None:
    worker = site.start()
    for number in range(20):
        site.call(worker, f"c{number}")
    site.tick()
    counted = {node.name: site.routes(worker).shared.calls(node) for node, _ in site.routes(worker).shared.view()}
    assert counted == {name: len(site.daemon(name).commands("offer")) for name in ("rtp1", "rtp2", "rtp3")}


def test_an_edit_of_nodes_yaml_never_takes_back_what_a_command_has_just_published(site: Site) -> None:
    """The timer may not have picked the command's change up yet: it publishes under the registry's lock, and anew."""
    site.start()
    site.tick(12)
    supervisor = site.routes(site.timer).supervisor
    site.disable("rtp2")
    site.write_nodes({"default": [*THREE["default"][1:]]})
    supervisor._pick_up_nodes()
    supervisor._put_in_force()
    assert names(site) == ["rtp2", "rtp3"]
    assert admin(site)["rtp2"] == "disabled"


def test_a_decision_ends_in_time_though_the_registry_is_faulty_by_then(site: Site, mocker: MockerFixture) -> None:
    site.start()
    site.disable("rtp1")
    site.cli("drain", "rtp2", "--for", "1h")
    site.tick(2)
    edit(site.registry.path, "nonsense: [")
    later = utc_now() + timedelta(hours=2)
    mocker.patch("kemi_rtp.timer.supervisor.utc_now", return_value=later)
    mocker.patch("kemi_rtp.shm.state.utc_now", return_value=later)
    site.tick()
    assert admin(site) == {"rtp1": "disabled", "rtp2": "enabled", "rtp3": "enabled"}


def test_an_edit_made_while_kamailio_was_down_is_the_last_good_version_from_its_start(site: Site) -> None:
    site.state_dir.mkdir()
    store(site, Entry("rtp1", State.DRAINING))
    edit(site.registry.path, "version: 1\nnodes:\n  rtp2: {state: disabled}\n")
    site.start()
    edit(site.registry.path, "nonsense: [")
    assert set(site.registry.load().entries) == {"rtp2"}


def test_nodes_are_taken_over_though_their_last_good_version_cannot_be_kept(site: Site, mocker: MockerFixture) -> None:
    site.start()
    kept = (site.state_dir / "nodes.yaml.good").read_text()
    mocker.patch("kemi_rtp.files.last_good.write_through", side_effect=OSError(28, "No space left on device"))
    site.write_nodes({"default": [{**node, "weight": 7} for node in THREE["default"]]})
    site.tick(2)
    assert [node.weight for node in site.routes(site.timer).shared.config().nodes] == [7, 7, 7]
    assert (site.state_dir / "nodes.yaml.good").read_text() == kept
    assert "nodes.yaml.good: cannot be written: No space left" in log(site, "err")
