"""The laboratory can be trusted: it notices media that is not relayed, and counts what the daemons count."""

from pathlib import Path

import pytest

from tests.lab.calls import KINDS
from tests.lab.process import wait_until
from tests.lab.sipp import Sipp
from tests.lab.wire import KEMI_RTP, OPERATOR
from tests.lab.world import World


@pytest.mark.parametrize("kind", [kind for kind, (_, callee) in KINDS.items() if callee and kind != "held"])
def test_a_call_whose_media_is_not_relayed_fails(tmp_path: Path, kind: str) -> None:
    """Caller and callee without a proxy between them: each gets the other's own SDP and must complain."""
    caller_scenario, callee_scenario = KINDS[kind]
    assert callee_scenario
    ring_ms = 0 if callee_scenario == "uas_call" else None
    callee = Sipp(callee_scenario, tmp_path, name=kind, calls=1, ring_ms=ring_ms, timeout=5)
    caller = Sipp(caller_scenario, tmp_path, name=kind, calls=1, proxy=callee.address, callee=callee.address, timeout=5)
    try:
        callee.start()
        caller.start()
        at_caller, at_callee = caller.wait(), callee.wait()
    finally:
        caller.stop()
        callee.stop()
    assert not at_callee.ok
    if kind not in ("cancel", "busy"):  # these never get an answer
        assert not at_caller.ok


def test_packets_are_counted_as_the_daemon_counts_them(world: World) -> None:
    """The log of each daemon against the counters of its CLI port, which are kept apart from it."""
    world.call("plain", calls=10, rate=50).assert_ok()
    world.call("cancel", calls=2).assert_ok()
    for node in world.nodes.values():
        before, counters, after = node.counts(), node.control_totals(), node.counts()
        for command in ("offer", "answer", "delete", "ping"):
            assert before[command] <= counters.get(command, 0) <= after[command], (node.name, command)


@pytest.mark.faults("can't send command", "failed to select new", "no available proxies")
def test_the_wire_tells_every_packet_and_its_sender(world: World) -> None:
    """The capture against the daemons' logs, and every sender a process of Kamailio; packets to a dead node too."""
    with world.wiretap() as wire:
        since, captured = world.mark(), wire.mark()
        world.call("plain", calls=20, rate=50).assert_ok()
        world.native("ping", world.nodes["rtp1"].url)
        assert wire.counts("rtp1", captured, OPERATOR).keys() == {"ping"}
        for name, counts in world.counts(since).items():
            sent = wire.sent(name, captured)
            assert "unknown" not in {one.process for one in sent}, sent
            for command in ("offer", "answer", "delete"):
                assert sum(one.command == command for one in sent) == counts[command]
                assert all(one.sender == KEMI_RTP for one in sent if one.command == command)
        world.nodes["rtp1"].stop()
        dead = wire.mark()
        wait_until(lambda: wire.counts("rtp1", dead)["ping"] > 0, "a ping to the dead node is captured")


def test_nothing_is_left_mounted(world: World) -> None:
    """What a Kamailio in a folder of its own has mounted is seen by no other process, nor left behind by kill -9."""
    before = Path("/proc/mounts").read_text()
    world.kamailio.restart()
    assert Path("/proc/mounts").read_text() == before
    world.kamailio.kill()
    assert Path("/proc/mounts").read_text() == before
