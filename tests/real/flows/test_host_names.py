"""A host name as a node's URL: when its address changes, the node is used there, or its state says that it is not."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.lab.agents import Flow
from tests.lab.kamailio import MACHINE, Line
from tests.lab.ports import Address
from tests.lab.rtpengine import Rtpengine
from tests.lab.world import World

from .conftest import CONFIG

HOST = "media.lab.invalid"
ELSEWHERE = "127.0.0.2"


def with_hosts(line: Line, hosts: Path) -> Line:
    """A line that sees this file as its /etc/hosts, in a mount namespace of its own."""
    root = "" if line.name == MACHINE.name else line.command[-2]
    inner = 'mount --bind "$1" "$2"; shift 2; exec "$@"'
    outer = ("unshare", "--mount", "--", "sh", "-euc", inner, "with-hosts", str(hosts), f"{root}/etc/hosts")
    return replace(line, command=(*outer, *line.command))


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("etc") / "hosts"


@pytest.fixture(scope="module")
def module_world(kamailio_line: Line, hosts: Path) -> Iterator[World]:
    """One node, known by a host name."""
    hosts.write_text(f"127.0.0.1 localhost {HOST}\n")  # written in place: it is mounted
    world = World(nodes=1, line=with_hosts(kamailio_line, hosts), config=CONFIG)
    node = world.nodes["rtp1"]
    node.ng = Address(HOST, node.ng.port)
    world.write_nodes()
    with world:
        yield world


@pytest.fixture(scope="module")
def moved(module_world: World) -> Iterator[Rtpengine]:
    """The same node at another address, not started yet; it stays there to the end."""
    node = module_world.nodes["rtp1"]
    moved = Rtpengine("moved", 1, module_world.folder)
    there = f"{ELSEWHERE}:{node.ng.port}"
    moved.process.command = [word.replace(str(moved.ng), there) for word in moved.process.command]
    yield moved
    moved.stop()


@pytest.mark.long
@pytest.mark.faults("rtpengine")
def test_a_node_that_moves_is_followed_or_said(flow: Flow, hosts: Path, moved: Rtpengine) -> None:
    """Never `routable` in show, with `verify` content, while every call gets 503."""
    world, node = flow.world, flow.world.nodes["rtp1"]
    a, b = flow.agents("A", "B")
    flow.established(a, b)
    flow.hang_up(a, b)
    node.stop()
    moved.start()
    hosts.write_text(f"127.0.0.1 localhost\n{ELSEWHERE} {HOST}\n")
    flow.until(lambda: not world.shown("rtp1")["routable"], "the node is missed at its old address")
    flow.until(lambda: world.shown("rtp1")["routable"], "show has the node at its new address", timeout=75)
    a.invite(b)
    b.answer(b.receive("INVITE"), 200, b.sdp())
    a.ack(a.receive(200))
    flow.talk(a, b)
    flow.hang_up(a, b)
