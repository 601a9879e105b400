"""The module's own node states and its table, kept in step without waking a disabled node."""

import pytest

from kemi_rtp.files.module_table import read_table, write_table
from kemi_rtp.model.admin import AdminState
from kemi_rtp.shm.state.process import touch
from KSR.testing import State
from tests.unit.site import THREE, Site


def permanent(site: Site, name: str) -> bool:
    return site.ksr.rtpengine.find(site.node(name).url).permanent


def off_on_disk(site: Site, name: str) -> bool:
    return {url: bool(disabled) for _, url, _, disabled in read_table(site.state_dir)}[site.node(name).url]


def test_a_disabled_node_gets_the_modules_permanent_mark(site: Site) -> None:
    site.start()
    site.tick()
    site.disable("rtp2")
    site.tick(2)
    assert permanent(site, "rtp2")
    assert off_on_disk(site, "rtp2")


def test_an_enabled_node_is_active_in_the_module_once_it_answers(site: Site) -> None:
    worker = site.start()
    site.disable("rtp2")
    site.tick(2)
    site.daemon("rtp2").state = State.DEAD
    assert site.cli("enable", "rtp2").exit_code == 0
    site.tick(5)
    assert permanent(site, "rtp2")
    site.daemon("rtp2").state = State.ALIVE
    site.tick(4)
    assert not permanent(site, "rtp2")
    assert not off_on_disk(site, "rtp2")
    for number in range(30):
        site.call(worker, f"c{number}")
    assert site.daemon("rtp2").commands("offer")


def test_the_module_is_never_asked_to_enable_a_silent_node(site: Site) -> None:
    """Its RPC would wait for the node while it holds the module's locks."""
    site.start()
    site.tick()
    site.disable("rtp2")
    site.tick(2)
    site.daemon("rtp2").state = State.DEAD
    site.cli("enable", "rtp2")
    before = len(site.daemon("rtp2").log)
    site.tick(6)
    assert len(site.daemon("rtp2").log) == before


def test_a_node_that_is_down_stands_in_the_table_as_disabled(site: Site) -> None:
    """So that nobody's reload makes the module wait for it."""
    site.start()
    site.tick()
    site.daemon("rtp3").state = State.DEAD
    site.tick(5)
    assert off_on_disk(site, "rtp3")
    site.daemon("rtp3").state = State.ALIVE
    site.tick(4)
    assert not off_on_disk(site, "rtp3")


def native(site: Site, method: str, *parameters: object) -> None:
    """An operator's own RPC."""
    site.ksr.rpc.execute(site.ksr.main, method, list(parameters))


def drifts(site: Site, name: str) -> list[str]:
    return [change.reason for change in site.registry.history.changes(name) if change.way == "drift"]


LINES = pytest.mark.parametrize("ksr", ["5.6.3", "6.0.1", "6.0.2", "6.1.5"], indirect=True)


@LINES
def test_a_native_disable_is_adopted_with_its_origin(site: Site) -> None:
    worker = site.start()
    site.tick()
    native(site, "rtpengine.enable", site.node("rtp2").url, 0)
    site.tick(2)
    entry = site.registry.load().entries["rtp2"]
    assert entry.state is AdminState.DISABLED
    assert entry.by.startswith("rtpengine.enable@")
    assert len(drifts(site, "rtp2")) == 1
    site.tick(5)
    assert len(drifts(site, "rtp2")) == 1
    before = len(site.daemon("rtp2").log)
    for number in range(20):
        _, routed = site.call(worker, f"c{number}")
        assert len(routed.relayed) == 1
    assert len(site.daemon("rtp2").log) == before
    assert site.cli("enable", "rtp2").exit_code == 0
    site.tick(3)
    assert site.registry.load().entries == {}
    assert not permanent(site, "rtp2")


@LINES
def test_a_native_disable_outlives_a_command_for_a_time_that_crossed_it(site: Site) -> None:
    """The timer had not adopted it yet; the end of the other decision must not enable the node."""
    site.start()
    site.tick()
    native(site, "rtpengine.enable", site.node("rtp2").url, 0)
    assert site.cli("disable", "rtp2", "--reason", "reboot", "--for", "1h", "--by", "alice@lb1").exit_code == 0
    site.tick()
    entry = site.registry.load().entries["rtp2"]
    assert (entry.by, entry.reason) == ("alice@lb1", "reboot")
    assert entry.then is not None
    assert entry.then.by.startswith("rtpengine.enable@")
    assert len(drifts(site, "rtp2")) == 1
    site.tick(2)
    assert site.registry.load().entries["rtp2"] == entry


@LINES
def test_a_native_disable_of_a_node_that_is_down_is_adopted(site: Site) -> None:
    """Though the table on disk, which a reload of the module would load, has the node disabled too."""
    site.start()
    site.tick()
    site.daemon("rtp2").state = State.DEAD
    site.tick(5)
    assert off_on_disk(site, "rtp2")
    native(site, "rtpengine.enable", site.node("rtp2").url, 0)
    site.tick(2)
    assert site.registry.load().entries["rtp2"].state is AdminState.DISABLED


@LINES
def test_a_reload_while_a_node_is_down_disables_nobody(site: Site) -> None:
    """The mark comes from the table, which says so only because the node is down."""
    site.start()
    site.tick()
    site.daemon("rtp2").state = State.DEAD
    site.tick(12)
    native(site, "rtpengine.reload")
    site.tick(2)
    assert permanent(site, "rtp2")
    assert site.registry.load().entries == {}
    site.daemon("rtp2").state = State.ALIVE
    site.tick(4)
    assert not permanent(site, "rtp2")


@LINES
def test_a_native_enable_is_undone_and_told_with_the_command_to_use(site: Site) -> None:
    site.start()
    site.tick()
    site.disable("rtp2")
    site.tick(2)
    native(site, "rtpengine.enable", site.node("rtp2").url, 1)
    site.tick(2)
    assert permanent(site, "rtp2")
    (reason,) = drifts(site, "rtp2")
    assert "kemi-rtp enable rtp2" in reason
    assert sum("kemi-rtp enable rtp2" in line for line in site.ksr.log_at("warn")) == 1


@LINES
def test_a_lost_permanent_mark_is_restored_within_two_ticks(site: Site) -> None:
    """Kamailio issue 4247: a ping of a disabled node that is down turns its mark into a temporary one."""
    site.start()
    site.tick()
    site.disable("rtp2")
    site.tick(2)
    site.daemon("rtp2").state = State.DEAD
    native(site, "rtpengine.ping", "all")
    assert not permanent(site, "rtp2")
    site.tick(2)
    assert permanent(site, "rtp2")
    assert len(drifts(site, "rtp2")) == 1


@LINES
def test_a_node_that_the_module_takes_for_dead_though_it_answers_is_brought_back(site: Site) -> None:
    """Kamailio issue 4354."""
    worker = site.start()
    site.tick()
    daemon = site.daemon("rtp2")
    daemon.state = State.DEAD
    native(site, "rtpengine.ping", site.node("rtp2").url)
    daemon.state = State.ALIVE
    site.tick(2)
    assert len(drifts(site, "rtp2")) == 1
    before = len(daemon.commands("offer"))
    for number in range(30):
        site.call(worker, f"c{number}")
    assert len(daemon.commands("offer")) > before
    assert all("down" not in line for line in site.ksr.log_at("warn")[1:])


def test_another_program_that_fights_back_is_reported_and_not_fought_at_full_speed(site: Site) -> None:
    site.start()
    site.tick()
    site.disable("rtp2")
    site.tick(2)
    for _ in range(20):
        native(site, "rtpengine.enable", site.node("rtp2").url, 1)
        site.tick()
    assert len(drifts(site, "rtp2")) == 5
    assert sum("works against the registry" in line for line in site.ksr.log_at("err")) == 1


@LINES
def test_after_a_native_reload_the_timer_sends_nothing_to_a_disabled_node(site: Site) -> None:
    site.start()
    site.tick()
    site.disable("rtp2")
    site.tick(12)
    before = len(site.daemon("rtp2").log)
    site.ksr.rpc.execute(site.ksr.main, "rtpengine.reload", [])
    touch()
    site.tick(3)
    assert len(site.daemon("rtp2").log) == before


@LINES
def test_after_a_native_reload_the_timers_rpcs_ping_no_node(site: Site) -> None:
    """The module would ping them one after the other while every SIP worker waits for its locks."""
    site.start()
    site.tick(12)
    site.ksr.rpc.execute(site.ksr.main, "rtpengine.reload", [])
    before = [len(site.daemon(f"rtp{number}").commands("ping")) for number in (1, 2, 3)]
    touch()
    site.tick(2)
    assert [len(site.daemon(f"rtp{number}").commands("ping")) for number in (1, 2, 3)] == before


def test_the_table_is_restored_when_somebody_has_put_another_in_place(site: Site) -> None:
    worker = site.start()
    site.tick(12)
    node = site.node("rtp1")
    view = site.state(worker).view()
    write_table(site.state_dir, [(n, s) for n, s in view if n == node])
    site.ksr.rpc.execute(site.ksr.main, "rtpengine.reload", [])
    touch()
    site.tick(14)
    assert len(read_table(site.state_dir)) == 3
    for number in range(30):
        _, routed = site.call(worker, f"c{number}")
        assert len(routed.relayed) == 1


def test_a_native_disable_is_adopted_before_a_reload_of_ours_would_take_it_back(site: Site) -> None:
    site.start()
    site.tick(12)
    site.write_nodes({"default": [*THREE["default"], {"name": "rtp4", "url": "udp:192.0.2.4:2223"}]})
    native(site, "rtpengine.enable", site.node("rtp2").url, 0)
    site.tick(3)
    assert site.registry.load().entries["rtp2"].state is AdminState.DISABLED
    assert permanent(site, "rtp2")


def test_a_native_mark_on_a_node_that_is_disabled_does_not_come_back_when_it_is_enabled(site: Site) -> None:
    site.start()
    site.tick()
    native(site, "rtpengine.enable", site.node("rtp2").url, 0)
    site.disable("rtp2")
    site.tick(3)
    assert site.cli("enable", "rtp2").exit_code == 0
    site.tick(4)
    assert site.registry.load().entries == {}
    assert not permanent(site, "rtp2")
