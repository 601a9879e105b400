"""The module's own node states and its table, kept in step without waking a disabled node."""

import pytest

from kemi_rtp import module
from KSR.testing import State

from .site import Site


def permanent(site: Site, name: str) -> bool:
    return site.ksr.rtpengine.find(site.node(name).url).permanent


def test_a_disabled_node_gets_the_modules_permanent_mark(site: Site) -> None:
    site.start()
    site.tick()
    site.disable("rtp2")
    site.tick(2)
    assert permanent(site, "rtp2")
    assert module.read_table(site.state_dir)[site.node("rtp2").url]


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
    assert not module.read_table(site.state_dir)[site.node("rtp2").url]
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
    assert module.read_table(site.state_dir)[site.node("rtp3").url]
    site.daemon("rtp3").state = State.ALIVE
    site.tick(4)
    assert not module.read_table(site.state_dir)[site.node("rtp3").url]


def test_a_native_disable_is_not_undone(site: Site) -> None:
    worker = site.start()
    site.tick()
    url = site.node("rtp2").url
    site.ksr.rpc.execute(site.ksr.main, "rtpengine.enable", [url, 0])
    site.routes(worker).shared.touch()
    site.tick(3)
    assert permanent(site, "rtp2")
    assert any("disabled in the rtpengine module by rtpengine.enable" in line for line in site.ksr.log_at("err"))
    for number in range(20):
        _, routed = site.call(worker, f"c{number}")
        assert len(routed.relayed) == 1


@pytest.mark.parametrize("ksr", ["5.6.3", "6.0.1", "6.0.2", "6.1.5"], indirect=True)
def test_after_a_native_reload_the_timer_sends_nothing_to_a_disabled_node(site: Site) -> None:
    worker = site.start()
    site.tick()
    site.disable("rtp2")
    site.tick(12)
    before = len(site.daemon("rtp2").log)
    site.ksr.rpc.execute(site.ksr.main, "rtpengine.reload", [])
    site.routes(worker).shared.touch()
    site.tick(3)
    assert len(site.daemon("rtp2").log) == before


@pytest.mark.parametrize("ksr", ["5.6.3", "6.0.1", "6.0.2", "6.1.5"], indirect=True)
def test_after_a_native_reload_the_timers_rpcs_ping_no_node(site: Site) -> None:
    """The module would ping them one after the other while every SIP worker waits for its locks."""
    worker = site.start()
    site.tick(12)
    site.ksr.rpc.execute(site.ksr.main, "rtpengine.reload", [])
    before = [len(site.daemon(f"rtp{number}").commands("ping")) for number in (1, 2, 3)]
    site.routes(worker).shared.touch()
    site.tick(2)
    assert [len(site.daemon(f"rtp{number}").commands("ping")) for number in (1, 2, 3)] == before


def test_the_table_is_restored_when_somebody_has_put_another_in_place(site: Site) -> None:
    worker = site.start()
    site.tick(12)
    node = site.node("rtp1")
    view = site.routes(worker).shared.view()
    module.write_table(site.state_dir, [(n, s) for n, s in view if n == node])
    site.ksr.rpc.execute(site.ksr.main, "rtpengine.reload", [])
    site.routes(worker).shared.touch()
    site.tick(14)
    assert len(module.read_table(site.state_dir)) == 3
    for number in range(30):
        _, routed = site.call(worker, f"c{number}")
        assert len(routed.relayed) == 1
