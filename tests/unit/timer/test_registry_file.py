"""The registry, edited and expiring while Kamailio runs."""

from datetime import timedelta

from pytest_mock import MockerFixture

from kemi_rtp.model.admin import AdminState, Entry
from kemi_rtp.model.times import utc_now
from tests.unit.edits import admin, edit, log, store
from tests.unit.site import Site

# --- the registry -----------------------------------------------------------------------------------------------------


def test_an_edit_of_the_registry_by_hand_is_picked_up_and_recorded(site: Site) -> None:
    site.start()
    site.tick()
    edit(site.registry.path, "version: 1\nnodes:\n  rtp2: {state: disabled, reason: fan, by: bob}\n")
    site.tick()
    assert admin(site)["rtp2"] == "disabled"
    (change,) = site.registry.history.changes()
    assert (change.node, change.after, change.way, change.by) == ("rtp2", AdminState.DISABLED, "edit", "bob")
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
    site.set_time(mocker, later)
    site.tick()
    assert admin(site)["rtp2"] == "enabled"
    assert site.registry.load().entries == {}
    assert site.registry.history.changes()[-1].way == "until"


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
        _, routed = site.call(site.ksr.workers[0], f"after-{method}")
        assert len(routed.relayed) == 1
        assert site.serving(f"after-{method}") != ["rtp2"]
    assert site.registry.load().entries["rtp2"].state is AdminState.DISABLED


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


# --- duties -----------------------------------------------------------------------------------------------------------


def test_a_decision_ends_in_time_though_the_registry_is_faulty_by_then(site: Site, mocker: MockerFixture) -> None:
    site.start()
    site.disable("rtp1")
    site.cli("drain", "rtp2", "--for", "1h")
    site.tick(2)
    edit(site.registry.path, "nonsense: [")
    later = utc_now() + timedelta(hours=2)
    site.set_time(mocker, later)
    site.tick()
    assert admin(site) == {"rtp1": "disabled", "rtp2": "enabled", "rtp3": "enabled"}


def test_an_edit_made_while_kamailio_was_down_is_the_last_good_version_from_its_start(site: Site) -> None:
    site.state_dir.mkdir()
    store(site, Entry("rtp1", AdminState.DRAINING))
    edit(site.registry.path, "version: 1\nnodes:\n  rtp2: {state: disabled}\n")
    site.start()
    edit(site.registry.path, "nonsense: [")
    assert set(site.registry.load().entries) == {"rtp2"}
