"""The laboratory can be trusted: it notices media that is not relayed, and counts what the daemons count."""

from pathlib import Path

import pytest

from tests.lab.calls import KINDS
from tests.lab.sipp import Sipp
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
