"""The module's other commands go to the node that the call is on, and to no other."""

import pytest

from tests.lab.agents import Agent, Flow

SCRIPT = "commands.py"

COMMANDS = {
    "query": "query",
    "start_recording": "start recording",
    "stop_recording": "stop recording",
    "block_media": "block media",
    "unblock_media": "unblock media",
    "block_dtmf": "block DTMF",
    "unblock_dtmf": "unblock DTMF",
    "silence_media": "silence media",
    "unsilence_media": "unsilence media",
}
FROM_6_1 = ("start_forwarding", "stop_forwarding")
"""The module has them for scripts from then on; before, the script is told so."""


def info(a: Agent, media: str) -> None:
    a.within("INFO", headers=[("X-Media", media)])


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_reaches_the_calls_node(flow: Flow, name: str) -> None:
    a, b = flow.agents("A", "B")
    flow.established(a, b)
    info(a, name)
    if name in FROM_6_1 and not flow.world.kamailio.line.version().startswith("6.1"):
        a.receive(501)
        flow.hang_up(a, b)
        return
    a.receive(200)
    assert list(flow.world.served(a.dialog.call_id).values()) == [["offer", "answer", COMMANDS[name]]]
    flow.hang_up(a, b)


def test_blocked_media_does_not_pass(flow: Flow) -> None:
    a, b = flow.agents("A", "B")
    flow.established(a, b)
    info(a, "block_media")
    a.receive(200)
    with pytest.raises(AssertionError, match="RTP that arrived"):
        flow.talk(a, b)
    info(a, "unblock_media")
    a.receive(200)
    flow.talk(a, b)
    flow.hang_up(a, b)


def test_a_command_reaches_the_node_after_a_restart(flow: Flow) -> None:
    a, b = flow.agents("A", "B")
    flow.established(a, b)
    node = flow.node_of(a.dialog.call_id)
    flow.world.kamailio.restart()
    info(b, "query")
    b.receive(200)
    assert "query" in node.commands_of(a.dialog.call_id)
    flow.hang_up(a, b)


def test_a_disabled_node_gets_no_command(flow: Flow) -> None:
    a, b = flow.agents("A", "B")
    flow.established(a, b)
    node = flow.node_of(a.dialog.call_id)
    flow.disable(node)
    since = node.mark()
    info(a, "query")
    a.receive(503)
    assert node.counts(since) == {}
    flow.enable(node)
    flow.hang_up(a, b)
