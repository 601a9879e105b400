"""The command kemi-rtp, with the stub's Kamailio at the other end."""

import json
import os
import subprocess
import sys
from datetime import timedelta

import pytest
from click.testing import Result
from pytest_mock import MockerFixture

from kemi_rtp.command import main as cli
from kemi_rtp.files.module_table import read_table
from kemi_rtp.model.admin import State
from kemi_rtp.model.times import utc_now
from kemi_rtp.remote.rpc import Rpc
from kemi_rtp.shm import layout as shared
from KSR.testing import State as DaemonState

from .site import THREE, Site, StubRpc


def shown(site: Site) -> dict[str, dict[str, object]]:
    result = site.cli("show", "--json")
    assert result.exit_code == 0, result.output
    return {node["name"]: node for node in json.loads(result.stdout)["nodes"]}


def clean(result: Result) -> Result:
    """A result that ended without a traceback."""
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    return result


# --- show ------------------------------------------------------------------------------------------------------------


def test_show_prints_what_the_next_call_meets(site: Site) -> None:
    worker = site.start()
    site.tick()
    site.disable("rtp1")
    site.drain("rtp2")
    site.daemon("rtp3").state = DaemonState.DEAD
    site.tick(4)
    nodes = shown(site)
    view = {node.name: standing for node, standing in site.routes(worker).shared.view()}
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


def test_disable_returns_when_the_module_and_its_table_have_it_too(site: Site) -> None:
    site.start()
    site.tick(2)
    site.disable("rtp2")
    assert site.ksr.rtpengine.find(site.node("rtp2").url).permanent
    assert (site.node("rtp2").set_id, site.node("rtp2").url, 2, 1) in read_table(site.state_dir)


def test_disable_waits_for_the_node_that_is_in_force_and_not_for_an_edit_of_this_moment(
    site: Site, mocker: MockerFixture
) -> None:
    site.start()
    site.tick(12)
    in_force = site.node("rtp2")
    site.write_nodes({"default": [{**node, "set": 70 + number} for number, node in enumerate(THREE["default"])]})
    waited = mocker.spy(StubRpc, "wait_until_sent")
    site.disable("rtp2")
    assert waited.call_args.args[1] == [in_force.set_id]


def test_disable_holds_without_the_timer_and_says_what_is_missing(site: Site, mocker: MockerFixture) -> None:
    worker = site.start()
    site.tick()
    mocker.patch.object(Site, "tick", lambda site, seconds: site.ksr.clock.advance(seconds))
    result = site.cli("disable", "rtp2", "--reason", "NIC swap")
    assert result.exit_code == cli.SAVED
    assert "timer has not confirmed that no worker still sends to rtp2" in result.stderr
    assert "timer has not told the module" in result.stderr
    assert not {node.name: s for node, s in site.routes(worker).shared.view()}["rtp2"].serves


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


# --- disable, drain, enable ------------------------------------------------------------------------------------------


def test_a_decision_is_stored_in_force_and_in_the_history(site: Site) -> None:
    worker = site.start()
    result = site.cli("disable", "rtp2", "--reason", "NIC swap", "--by", "alice")
    assert result.exit_code == cli.DONE
    entry = site.registry.load().entries["rtp2"]
    assert (entry.state, entry.reason, entry.url) == (State.DISABLED, "NIC swap", "udp:192.0.2.2:2223")
    assert entry.by.startswith("alice@")
    (change,) = site.registry.history()
    assert (change.before, change.after, change.way) == (State.ENABLED, State.DISABLED, "command")
    assert {n.name: s.routable for n, s in site.routes(worker).shared.view()}["rtp2"] is False


@pytest.mark.parametrize("node", ["rtp2", "udp:192.0.2.2:2223"])
def test_a_node_is_given_by_name_or_url(site: Site, node: str) -> None:
    site.start()
    assert site.cli("drain", node).exit_code == cli.DONE
    assert shown(site)["rtp2"]["admin"] == "draining"


def test_a_wrong_node_is_answered_with_the_nearest(site: Site) -> None:
    site.start()
    result = clean(site.cli("drain", "rtp22"))
    assert result.exit_code == 2
    assert "there is no node 'rtp22' (did you mean rtp2" in result.stderr
    assert not site.registry.path.exists()


def test_enable_puts_a_node_back(site: Site) -> None:
    site.start()
    site.tick()
    site.disable("rtp2")
    assert site.cli("enable", "rtp2").exit_code == cli.DONE
    assert shown(site)["rtp2"]["routable"] is True
    assert shown(site)["rtp2"]["module"] == "active"
    assert site.registry.load().entries == {}


def test_enable_clears_what_was_decided_under_another_name(site: Site) -> None:
    site.start()
    site.disable("rtp2")
    site.write_nodes({"default": [{**node, "name": f"new-{node['name']}"} for node in THREE["default"]]})
    site.tick()
    assert site.cli("enable", "new-rtp2").exit_code == cli.DONE
    assert shown(site)["new-rtp2"]["admin"] == "enabled"
    assert site.registry.load().entries == {}


def test_enable_of_an_enabled_node_changes_nothing(site: Site) -> None:
    site.start()
    result = site.cli("enable", "rtp2")
    assert result.exit_code == cli.DONE
    assert "was before" in result.stdout
    assert site.registry.history() == []


def test_enable_tells_of_a_node_that_does_not_answer(site: Site) -> None:
    site.start()
    site.tick()
    site.disable("rtp2")
    site.tick(2)
    site.daemon("rtp2").state = DaemonState.DEAD
    result = site.cli("enable", "rtp2")
    assert result.exit_code == cli.DONE
    assert "rtp2 does not answer pings" in result.stderr


def test_a_timed_decision_says_until_when_and_what_it_covers_comes_back(site: Site) -> None:
    site.start()
    site.drain("rtp2")
    assert site.cli("disable", "rtp2", "--reason", "r", "--for", "2h").exit_code == cli.DONE
    entry = site.registry.load().entries["rtp2"]
    assert entry.until is not None
    assert timedelta(hours=1, minutes=59) < entry.until - utc_now() <= timedelta(hours=2)
    assert entry.then is not None
    assert entry.then.state is State.DRAINING
    assert shown(site)["rtp2"]["until"] is not None


def test_enable_for_a_time_goes_back_to_disabled(site: Site) -> None:
    site.start()
    site.tick()
    site.disable("rtp2")
    assert site.cli("enable", "rtp2", "--for", "10m").exit_code == cli.DONE
    assert shown(site)["rtp2"]["routable"] is True
    entry = site.registry.load().entries["rtp2"]
    assert entry.then is not None
    assert entry.then.state is State.DISABLED


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["disable", "rtp2"], "disable needs --reason"),
        (["drain", "rtp2", "--for", "soon"], "--for: 'soon' is not a duration"),
        (["drain", "rtp2", "--until", "soon"], "--until: 'soon' is not a time"),
        (["drain", "rtp2", "--until", "2001-01-01T00:00:00Z"], "has passed already"),
        (["drain", "rtp2", "--for", "2h", "--until", "18:30"], "exclude each other"),
        (["drain", "rtp2", "--for", "0s"], "has passed already"),
        (["drain", "rtp2", "--for", "99999999999d"], "--for"),
        (["drain", "rtp2", "--reason", "two\nlines"], "one line of text"),
        (["drain", "rtp2", "--by", "bell\a"], "one line of text"),
        (["drain"], "Missing argument"),
        (["drian", "rtp2"], "No such command"),
    ],
)
def test_wrong_usage_is_told_and_changes_nothing(site: Site, arguments: list[str], message: str) -> None:
    site.start()
    result = clean(site.cli(*arguments))
    assert result.exit_code == 2
    assert message in result.stderr
    assert not site.registry.path.exists()


def test_a_faulty_nodes_yaml_is_told_with_line_and_field(site: Site) -> None:
    site.nodes_path.write_text("pools:\n  default:\n    - {name: a}\n")
    result = clean(site.cli("drain", "a"))
    assert result.exit_code == cli.FAILED
    assert f"{site.nodes_path}:3: pools.default[0].url: is missing" in result.stderr


FAULTS = {
    "field": "settings: {{state_dir: {state_dir}, rpc_socket: /nowhere}}\npools:\n  default:\n    - {{name: a}}\n",
    "no YAML": 'settings:\n  # state_dir: /nowhere\n  state_dir: "{state_dir}"  # ours\npools: {{\n',
    "setting": "settings: {{state_dir: {state_dir}/, probe_interval: soon}}\npools: {{default: []}}\n",
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_while_nodes_yaml_is_faulty_commands_go_by_its_last_good_version_and_say_so(site: Site, fault: str) -> None:
    """An emergency does not wait until a typo is found."""
    worker = site.start()
    site.nodes_path.write_text(fault.format(state_dir=site.state_dir))
    for command in (["disable", "rtp2", "--reason", "r"], ["drain", "rtp3"], ["enable", "rtp3"], ["show"], ["history"]):
        result = clean(site.cli(*command))
        assert result.exit_code == cli.DONE, result.output
        assert f"{site.nodes_path}:" in result.stderr
        assert f"{site.nodes_path} is faulty: going by its last good version, in {site.state_dir}" in result.stderr
    assert {n.name: s.routable for n, s in site.routes(worker).shared.view()}["rtp2"] is False
    assert {name: node["routable"] for name, node in shown(site).items()} == {"rtp1": True, "rtp2": False, "rtp3": True}
    assert set(site.registry.load().entries) == {"rtp2"}


def test_while_nodes_yaml_is_faulty_verify_goes_on_and_fails(site: Site) -> None:
    site.start()
    site.tick(2)
    assert site.cli("verify").exit_code == cli.DONE
    site.nodes_path.write_text(f"settings: {{state_dir: {site.state_dir}}}\npools: 5\n")
    result = clean(site.cli("verify"))
    assert result.exit_code == cli.FAILED
    assert "agree" in result.stdout
    assert "nodes.yaml:2: pools: 5: must be a mapping" in result.stderr


def test_while_nodes_yaml_is_faulty_a_command_without_kamailio_is_saved(site: Site, mocker: MockerFixture) -> None:
    site.start()
    mocker.patch.object(StubRpc, "reachable", False)
    site.nodes_path.write_text(f"settings: {{state_dir: {site.state_dir}}}\npools: 5\n")
    assert site.cli("disable", "rtp2", "--reason", "r").exit_code == cli.SAVED
    assert set(site.registry.load().entries) == {"rtp2"}


@pytest.mark.parametrize("command", ["check", "reload"])
def test_while_nodes_yaml_is_faulty_it_is_neither_checked_nor_loaded(site: Site, command: str) -> None:
    site.start()
    site.nodes_path.write_text(f"settings: {{state_dir: {site.state_dir}}}\npools: 5\n")
    result = clean(site.cli(command))
    assert result.exit_code == cli.FAILED
    assert "last good" not in result.stderr


def test_the_last_good_version_is_the_one_that_kamailio_took_over_last(site: Site) -> None:
    site.start()
    site.write_nodes({"default": [*THREE["default"], {"name": "rtp4", "url": "udp:192.0.2.4:2223"}]})
    site.tick(12)
    site.nodes_path.write_text(f"settings: {{state_dir: {site.state_dir}}}\npools: 5\n")
    site.tick(12)
    assert site.cli("drain", "rtp4").exit_code == cli.DONE


def test_when_nodes_yaml_names_no_state_directory_the_operator_may(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.start()
    site.nodes_path.unlink()
    result = clean(site.cli("drain", "rtp2"))
    assert result.exit_code == cli.FAILED
    assert f"{site.nodes_path}: cannot be read: No such file" in result.stderr
    assert "there is no last good version to go by (--state-dir names its folder): /var/lib/kemi_rtp/" in result.stderr
    assert site.cli("--state-dir", str(site.state_dir), "drain", "rtp2").exit_code == cli.DONE
    monkeypatch.setenv("KEMI_RTP_STATE_DIR", str(site.state_dir))
    assert site.cli("enable", "rtp2").exit_code == cli.DONE


def test_the_last_good_version_of_another_nodes_yaml_is_not_gone_by_unless_the_operator_says_so(site: Site) -> None:
    """On a machine with two Kamailios a guess must not disable a node of the other."""
    site.start()
    site.nodes_path = site.nodes_path.rename(site.nodes_path.with_name("other.yaml"))
    site.nodes_path.write_text(f"settings: {{state_dir: {site.state_dir}}}\npools: 5\n")
    result = clean(site.cli("drain", "rtp2"))
    assert result.exit_code == cli.FAILED
    assert f"is not that of {site.nodes_path}" in result.stderr
    assert not site.registry.path.exists()
    assert site.cli("--state-dir", str(site.state_dir), "drain", "rtp2").exit_code == cli.DONE


def test_a_registry_that_cannot_be_written_fails_and_changes_nothing(site: Site, mocker: MockerFixture) -> None:
    site.start()
    site.disable("rtp1")
    mocker.patch("kemi_rtp.files.registry.os.fsync", side_effect=OSError(28, "No space left on device"))
    result = clean(site.cli("drain", "rtp2"))
    assert result.exit_code == cli.FAILED
    assert "No space left on device; nothing was changed" in result.stderr
    assert set(site.registry.load().entries) == {"rtp1"}
    assert shown(site)["rtp2"]["admin"] == "enabled"


def test_without_kamailio_a_decision_is_saved_and_said_so(site: Site, mocker: MockerFixture) -> None:
    mocker.patch.object(StubRpc, "reachable", False)
    result = site.cli("disable", "rtp2", "--reason", "r")
    assert result.exit_code == cli.SAVED
    assert "saved; it applies when Kamailio starts" in result.stderr
    assert site.registry.load().entries["rtp2"].state is State.DISABLED


def test_a_command_returns_only_when_no_worker_is_still_sending(site: Site, mocker: MockerFixture) -> None:
    worker = site.start()
    node = site.node("rtp2")
    shared = site.routes(worker).shared
    ticks: list[float] = []

    def tick(site: Site, seconds: float) -> None:
        ticks.append(seconds)
        if len(ticks) == 4:
            shared.leave()
        run(site, seconds=seconds)

    run = Site.tick
    with site.ksr.handling(site.ksr.invite()):
        shared.enter(node.set_id)
    mocker.patch.object(Site, "tick", tick)
    assert site.cli("disable", "rtp2", "--reason", "r").exit_code == cli.DONE
    assert len(ticks) == 4


def test_a_command_waits_for_no_other_node(site: Site) -> None:
    worker = site.start()
    with site.ksr.handling(site.ksr.invite()):
        site.routes(worker).shared.enter(site.node("rtp3").set_id)
    assert site.cli("disable", "rtp2", "--reason", "r").exit_code == cli.DONE


def test_a_command_that_is_never_ended_is_told_of(site: Site) -> None:
    worker = site.start()
    with site.ksr.handling(site.ksr.invite()):
        site.routes(worker).shared.enter(site.node("rtp2").set_id)
    result = site.cli("disable", "rtp2", "--reason", "r")
    assert result.exit_code == cli.SAVED
    assert "has not confirmed that no worker still sends to rtp2" in result.stderr


def test_what_begins_after_a_change_holds_no_command_up(site: Site) -> None:
    """A draining node goes on being sent the commands of its calls."""
    worker = site.start()
    shared = site.routes(worker).shared
    with site.ksr.handling(site.ksr.invite()):
        site.tick()
        shared.touch()
        site.tick()
        shared.enter(site.node("rtp2").set_id)
    with StubRpc("") as rpc:
        site.timer.run("ksr_timer_event", "kemi_rtp")
        assert rpc.wait_until_sent([site.node("rtp2").set_id], timeout=0)


def test_who_decided_is_the_login_behind_sudo(monkeypatch: pytest.MonkeyPatch, mocker: MockerFixture) -> None:
    mocker.patch("kemi_rtp.command.main.socket.gethostname", return_value="lb1")
    mocker.patch("getpass.getuser", return_value="root")
    for name in ("SUDO_USER", "DOAS_USER"):
        monkeypatch.delenv(name, raising=False)
    assert cli.author("") == "root@lb1"
    monkeypatch.setenv("DOAS_USER", "bob")
    assert cli.author("") == "bob@lb1"
    monkeypatch.setenv("SUDO_USER", "alice")
    assert cli.author("") == "alice@lb1"
    assert cli.author("carol") == "carol@lb1"
    assert cli.author("carol@elsewhere") == "carol@elsewhere"


def test_who_decided_is_the_uid_when_it_has_no_name(monkeypatch: pytest.MonkeyPatch, mocker: MockerFixture) -> None:
    for name in ("SUDO_USER", "DOAS_USER"):
        monkeypatch.delenv(name, raising=False)
    mocker.patch("getpass.getuser", side_effect=KeyError("no such uid"))
    assert cli.author("").startswith(f"uid {os.getuid()}@")


# --- history, reload, check, paths -----------------------------------------------------------------------------------


def test_history_tells_who_when_and_why(site: Site) -> None:
    site.start()
    site.tick()
    site.disable("rtp2")
    site.cli("enable", "rtp2", "--reason", "done", "--by", "bob@lb1")
    site.drain("rtp3")
    rows = json.loads(site.cli("history", "rtp2", "--json").stdout)
    assert [(row["from"], row["to"], row["by"], row["reason"], row["way"]) for row in rows] == [
        ("enabled", "disabled", "alice@lb1", "NIC swap", "command"),
        ("disabled", "enabled", "bob@lb1", "done", "command"),
    ]
    assert len(json.loads(site.cli("history", "--json", "-n", "1").stdout)) == 1
    assert "NIC swap" in site.cli("history").stdout


def test_reload_puts_an_edit_in_force_and_tells_what_changed(site: Site) -> None:
    site.start()
    site.tick(12)
    site.write_nodes({"default": [*THREE["default"][:2], {"name": "rtp4", "url": "udp:192.0.2.4:2223"}]})
    result = site.cli("reload")
    assert result.exit_code == cli.DONE
    assert "added rtp4, removed rtp3" in result.stdout
    assert set(shown(site)) == {"rtp1", "rtp2", "rtp4"}


def test_reload_waits_for_the_modules_rate_limit(site: Site) -> None:
    site.start()
    site.write_nodes({"default": [*THREE["default"], {"name": "rtp4", "url": "udp:192.0.2.4:2223"}]})
    assert site.cli("reload").exit_code == cli.DONE
    assert "rtp4" in shown(site)


def test_reload_refuses_a_faulty_file_before_kamailio_sees_it(site: Site) -> None:
    site.start()
    site.nodes_path.write_text("pools: 5\n")
    result = clean(site.cli("reload"))
    assert result.exit_code == cli.FAILED
    assert "nodes.yaml:1: pools: 5: must be a mapping" in result.stderr


def test_reload_without_kamailio_is_exit_code_3(site: Site, mocker: MockerFixture) -> None:
    mocker.patch.object(StubRpc, "reachable", False)
    assert clean(site.cli("reload")).exit_code == cli.SAVED


def test_check_finds_faults_in_either_file(site: Site, mocker: MockerFixture) -> None:
    mocker.patch("shutil.which", return_value=None)
    result = clean(site.cli("check"))
    assert result.exit_code == cli.DONE
    assert "3 nodes in 1 pool" in result.stdout
    site.state_dir.mkdir()
    site.registry.path.write_text("version: 2\nnodes: {}\n")
    result = clean(site.cli("check"))
    assert result.exit_code == cli.FAILED
    assert "registry.yaml:1: version: 2: must be 1" in result.stderr


def test_check_runs_kamailios_own_check(site: Site, mocker: MockerFixture) -> None:
    mocker.patch("shutil.which", return_value="/usr/sbin/kamailio")
    run = mocker.patch("subprocess.run")
    run.return_value.returncode = 1
    run.return_value.stderr = "parse error in line 7"
    result = clean(site.cli("check", "--config", str(site.nodes_path)))
    assert result.exit_code == cli.FAILED
    assert "parse error in line 7" in result.stderr


def test_check_names_nodes_that_only_the_registry_knows(site: Site, mocker: MockerFixture) -> None:
    mocker.patch("shutil.which", return_value=None)
    site.start()
    site.disable("rtp2")
    site.write_nodes({"default": THREE["default"][:1]})
    assert "rtp2: is not in" in site.cli("check").stderr


def test_paths_name_files_that_exist(site: Site) -> None:
    lines = site.cli("paths").stdout.splitlines()
    assert len(lines) == 4
    assert all(os.path.exists(line.split('"')[1]) for line in lines)


# --- the start -------------------------------------------------------------------------------------------------------


def test_the_command_starts_without_what_only_tables_and_checks_need() -> None:
    """In an emergency `disable` must be quick, and most of its time goes into imports."""
    code = (
        "import sys, kemi_rtp.command.main; print(*{'rich', 'sqlite3', 'subprocess', 'getpass'} & sys.modules.keys())"
    )
    found = subprocess.run(
        [sys.executable, "-S", "-c", code], env={"PYTHONPATH": ":".join(sys.path)}, capture_output=True, text=True
    )
    assert (found.stdout, found.stderr) == ("\n", "")


# --- the socket ------------------------------------------------------------------------------------------------------


def test_a_missing_socket_is_not_reachable(site: Site) -> None:
    from kemi_rtp.remote.rpc import NotReachable

    with Rpc(str(site.rpc_socket)) as rpc, pytest.raises(NotReachable, match="No such file"):
        rpc.get(shared.GENERATION)


def test_enabling_a_node_leaves_the_one_that_now_has_its_old_name_or_url_as_it_is(site: Site) -> None:
    """Names exchanged in nodes.yaml: what was decided about rtp1 at A still holds for A, whatever it is called."""
    site.start()
    site.disable("rtp1")
    a, b = THREE["default"][:2]
    site.write_nodes({"default": [{**a, "name": "rtp2"}, {**b, "name": "rtp1"}]})
    site.tick()
    assert {name: node["admin"] for name, node in shown(site).items()} == {"rtp1": "disabled", "rtp2": "disabled"}
    assert site.cli("enable", "rtp1").exit_code == cli.DONE
    assert {name: node["admin"] for name, node in shown(site).items()} == {"rtp1": "enabled", "rtp2": "disabled"}


def test_enable_for_a_time_ends_a_timed_decision_that_covers_nothing(site: Site) -> None:
    """There is nothing to go back to afterwards, so it is enabled for good."""
    site.start()
    site.tick()
    assert site.cli("disable", "rtp2", "--reason", "r", "--for", "1h").exit_code == cli.DONE
    assert site.cli("enable", "rtp2", "--for", "10m").exit_code == cli.DONE
    assert shown(site)["rtp2"]["admin"] == "enabled"
    assert site.registry.load().entries == {}
    assert site.registry.history()[-1].until is None
