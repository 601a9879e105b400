"""kemi-rtp disable, drain and enable."""

import os
from datetime import timedelta

import pytest
from pytest_mock import MockerFixture

from kemi_rtp.command import output, states
from kemi_rtp.files.module_table import read_table
from kemi_rtp.model.admin import AdminState
from kemi_rtp.model.times import utc_now
from kemi_rtp.remote.state import RemoteState
from kemi_rtp.shm.state.process import touch
from KSR.testing import State as DaemonState
from tests.unit.answers import clean, shown
from tests.unit.site import THREE, Site, StubRpc

# --- show -------------------------------------------------------------------------------------------------------------


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
    waited = mocker.spy(RemoteState, "wait_until_none_in_flight")
    site.disable("rtp2")
    assert waited.call_args.args[1] == [in_force.set_id]


def test_disable_holds_without_the_timer_and_says_what_is_missing(site: Site, mocker: MockerFixture) -> None:
    worker = site.start()
    site.tick()
    mocker.patch.object(Site, "tick", lambda site, seconds: site.ksr.clock.advance(seconds))
    result = site.cli("disable", "rtp2", "--reason", "NIC swap")
    assert result.exit_code == output.SAVED
    assert "timer has not confirmed that no worker still sends to rtp2" in result.stderr
    assert "timer has not told the module" in result.stderr
    assert not {node.name: s for node, s in site.state(worker).view()}["rtp2"].serves


# --- disable, drain, enable -------------------------------------------------------------------------------------------


def test_a_decision_is_stored_in_force_and_in_the_history(site: Site) -> None:
    worker = site.start()
    result = site.cli("disable", "rtp2", "--reason", "NIC swap", "--by", "alice")
    assert result.exit_code == output.DONE
    entry = site.registry.load().entries["rtp2"]
    assert (entry.state, entry.reason, entry.url) == (AdminState.DISABLED, "NIC swap", "udp:192.0.2.2:2223")
    assert entry.by.startswith("alice@")
    (change,) = site.registry.history.changes()
    assert (change.before, change.after, change.way) == (AdminState.ENABLED, AdminState.DISABLED, "command")
    assert {n.name: s.routable for n, s in site.state(worker).view()}["rtp2"] is False


@pytest.mark.parametrize("node", ["rtp2", "udp:192.0.2.2:2223"])
def test_a_node_is_given_by_name_or_url(site: Site, node: str) -> None:
    site.start()
    assert site.cli("drain", node).exit_code == output.DONE
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
    assert site.cli("enable", "rtp2").exit_code == output.DONE
    assert shown(site)["rtp2"]["routable"] is True
    assert shown(site)["rtp2"]["module"] == "active"
    assert site.registry.load().entries == {}


def test_enable_clears_what_was_decided_under_another_name(site: Site) -> None:
    site.start()
    site.disable("rtp2")
    site.write_nodes({"default": [{**node, "name": f"new-{node['name']}"} for node in THREE["default"]]})
    site.tick()
    assert site.cli("enable", "new-rtp2").exit_code == output.DONE
    assert shown(site)["new-rtp2"]["admin"] == "enabled"
    assert site.registry.load().entries == {}


def test_enable_of_an_enabled_node_changes_nothing(site: Site) -> None:
    site.start()
    result = site.cli("enable", "rtp2")
    assert result.exit_code == output.DONE
    assert "was before" in result.stdout
    assert site.registry.history.changes() == []


def test_enable_tells_of_a_node_that_does_not_answer(site: Site) -> None:
    site.start()
    site.tick()
    site.disable("rtp2")
    site.tick(2)
    site.daemon("rtp2").state = DaemonState.DEAD
    result = site.cli("enable", "rtp2")
    assert result.exit_code == output.DONE
    assert "rtp2 does not answer pings" in result.stderr


def test_a_timed_decision_says_until_when_and_what_it_covers_comes_back(site: Site) -> None:
    site.start()
    site.drain("rtp2")
    assert site.cli("disable", "rtp2", "--reason", "r", "--for", "2h").exit_code == output.DONE
    entry = site.registry.load().entries["rtp2"]
    assert entry.until is not None
    assert timedelta(hours=1, minutes=59) < entry.until - utc_now() <= timedelta(hours=2)
    assert entry.then is not None
    assert entry.then.state is AdminState.DRAINING
    assert shown(site)["rtp2"]["until"] is not None


def test_enable_for_a_time_goes_back_to_disabled(site: Site) -> None:
    site.start()
    site.tick()
    site.disable("rtp2")
    assert site.cli("enable", "rtp2", "--for", "10m").exit_code == output.DONE
    assert shown(site)["rtp2"]["routable"] is True
    entry = site.registry.load().entries["rtp2"]
    assert entry.then is not None
    assert entry.then.state is AdminState.DISABLED


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


def test_a_registry_that_cannot_be_written_fails_and_changes_nothing(site: Site, mocker: MockerFixture) -> None:
    site.start()
    site.disable("rtp1")
    mocker.patch("kemi_rtp.files.replacement.os.fsync", side_effect=OSError(28, "No space left on device"))
    result = clean(site.cli("drain", "rtp2"))
    assert result.exit_code == output.FAILED
    assert "No space left on device; nothing was changed" in result.stderr
    assert set(site.registry.load().entries) == {"rtp1"}
    assert shown(site)["rtp2"]["admin"] == "enabled"


def test_without_kamailio_a_decision_is_saved_and_said_so(site: Site, mocker: MockerFixture) -> None:
    mocker.patch.object(StubRpc, "reachable", False)
    result = site.cli("disable", "rtp2", "--reason", "r")
    assert result.exit_code == output.SAVED
    assert "saved; it applies when Kamailio starts" in result.stderr
    assert site.registry.load().entries["rtp2"].state is AdminState.DISABLED


def test_a_command_returns_only_when_no_worker_is_still_sending(site: Site, mocker: MockerFixture) -> None:
    worker = site.start()
    node = site.node("rtp2")
    shared = site.state(worker)
    ticks: list[float] = []

    def tick(site: Site, seconds: float) -> None:
        ticks.append(seconds)
        if len(ticks) == 4:
            shared.end_command(answered=False)
        run(site, seconds=seconds)

    run = Site.tick
    with site.ksr.handling(site.ksr.invite()):
        shared.begin_command(node.set_id)
    mocker.patch.object(Site, "tick", tick)
    assert site.cli("disable", "rtp2", "--reason", "r").exit_code == output.DONE
    assert len(ticks) == 4


def test_a_command_waits_for_no_other_node(site: Site) -> None:
    worker = site.start()
    with site.ksr.handling(site.ksr.invite()):
        site.state(worker).begin_command(site.node("rtp3").set_id)
    assert site.cli("disable", "rtp2", "--reason", "r").exit_code == output.DONE


def test_a_command_that_is_never_ended_is_told_of(site: Site) -> None:
    worker = site.start()
    with site.ksr.handling(site.ksr.invite()):
        site.state(worker).begin_command(site.node("rtp2").set_id)
    result = site.cli("disable", "rtp2", "--reason", "r")
    assert result.exit_code == output.SAVED
    assert "has not confirmed that no worker still sends to rtp2" in result.stderr


def test_what_begins_after_a_change_holds_no_command_up(site: Site) -> None:
    """A draining node goes on being sent the commands of its calls."""
    worker = site.start()
    shared = site.state(worker)
    with site.ksr.handling(site.ksr.invite()):
        site.tick()
        touch()
        site.tick()
        shared.begin_command(site.node("rtp2").set_id)
    with StubRpc("") as rpc:
        site.timer.run("ksr_timer_event", "kemi_rtp")
        assert RemoteState(rpc).wait_until_none_in_flight([site.node("rtp2").set_id], timeout=0)


def test_who_decided_is_the_login_behind_sudo(monkeypatch: pytest.MonkeyPatch, mocker: MockerFixture) -> None:
    mocker.patch("kemi_rtp.command.states.socket.gethostname", return_value="lb1")
    mocker.patch("getpass.getuser", return_value="root")
    for name in ("SUDO_USER", "DOAS_USER"):
        monkeypatch.delenv(name, raising=False)
    assert states.author("") == "root@lb1"
    monkeypatch.setenv("DOAS_USER", "bob")
    assert states.author("") == "bob@lb1"
    monkeypatch.setenv("SUDO_USER", "alice")
    assert states.author("") == "alice@lb1"
    assert states.author("carol") == "carol@lb1"
    assert states.author("carol@elsewhere") == "carol@elsewhere"


def test_who_decided_is_the_uid_when_it_has_no_name(monkeypatch: pytest.MonkeyPatch, mocker: MockerFixture) -> None:
    for name in ("SUDO_USER", "DOAS_USER"):
        monkeypatch.delenv(name, raising=False)
    mocker.patch("getpass.getuser", side_effect=KeyError("no such uid"))
    assert states.author("").startswith(f"uid {os.getuid()}@")


# --- the socket -------------------------------------------------------------------------------------------------------


def test_enabling_a_node_leaves_the_one_that_now_has_its_old_name_or_url_as_it_is(site: Site) -> None:
    """Names exchanged in nodes.yaml: what was decided about rtp1 at A still holds for A, whatever it is called."""
    site.start()
    site.disable("rtp1")
    a, b = THREE["default"][:2]
    site.write_nodes({"default": [{**a, "name": "rtp2"}, {**b, "name": "rtp1"}]})
    site.tick()
    assert {name: node["admin"] for name, node in shown(site).items()} == {"rtp1": "disabled", "rtp2": "disabled"}
    assert site.cli("enable", "rtp1").exit_code == output.DONE
    assert {name: node["admin"] for name, node in shown(site).items()} == {"rtp1": "enabled", "rtp2": "disabled"}


def test_enable_for_a_time_ends_a_timed_decision_that_covers_nothing(site: Site) -> None:
    """There is nothing to go back to afterwards, so it is enabled for good."""
    site.start()
    site.tick()
    assert site.cli("disable", "rtp2", "--reason", "r", "--for", "1h").exit_code == output.DONE
    assert site.cli("enable", "rtp2", "--for", "10m").exit_code == output.DONE
    assert shown(site)["rtp2"]["admin"] == "enabled"
    assert site.registry.load().entries == {}
    assert site.registry.history.changes()[-1].until is None
