"""Calls of a node that is taken out spread over all others, and no other call moves."""

import pytest

from tests.lab.agents import Agent, Flow

NODES = 3
CALLS = 90


def places(flow: Flow, a: Agent, b: Agent, call_ids: list[str]) -> dict[str, str]:
    """The node that each of these calls is offered on; none is answered for long."""
    since = flow.world.mark()
    for call_id in call_ids:
        a.invite(b, call_id=call_id)
        b.answer(b.receive("INVITE"), 486)
        a.receive(486)
    return {call_id: next(iter(flow.world.served(call_id, since))) for call_id in call_ids}


@pytest.mark.parametrize("name", ["rtp1", "rtp2", "rtp3"])
def test_a_disabled_nodes_calls_spread(flow: Flow, name: str) -> None:
    a, b = flow.agents("A", "B")
    call_ids = [f"{a.tag}-spread-{number}" for number in range(CALLS)]
    before = places(flow, a, b, call_ids)
    flow.disable(flow.world.nodes[name])
    after = places(flow, a, b, call_ids)
    moved = [after[call_id] for call_id in call_ids if before[call_id] == name]
    strayed = [call_id for call_id in call_ids if before[call_id] not in (name, after[call_id])]
    assert not strayed, f"{len(strayed)} calls of other nodes moved as well"
    # Some 30 calls: that a neighbour gets less than a tenth of them is a fault, not chance (odds 1 to 10^5).
    others = set(flow.world.nodes) - {name}
    assert min(moved.count(other) for other in others) >= len(moved) // 10, moved
