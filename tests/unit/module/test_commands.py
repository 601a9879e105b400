"""Sending through the rtpengine module: what an unanswered command leaves behind on the process's sockets."""

import itertools
import socket
from collections.abc import Iterator

import pytest
from pytest_mock import MockerFixture

import KSR
from kemi_rtp.model.nodes import Node
from kemi_rtp.module import commands, rpcs
from kemi_rtp.module.commands import Reply
from KSR.testing import State
from tests.unit.site import THREE, Site


def node_at(port: int) -> Node:
    return Node("rtp1", f"udp:127.0.0.1:{port}", "default", 1, 0, set_id=7)


def is_refused(one: socket.socket) -> bool:
    """Whether the next command on a socket fails at once."""
    try:
        one.send(b"command")
    except ConnectionRefusedError:
        return True
    return False


@pytest.fixture
def to_closed_port() -> Iterator[socket.socket]:
    """A connected socket, like the module's, with an error pending: nobody listens on the node's port any more."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one,
    ):
        listener.bind(("127.0.0.1", 0))
        one.connect(listener.getsockname())
        listener.close()
        one.send(b"command")
        yield one


def test_an_unanswered_command_does_not_make_the_next_one_fail(to_closed_port: socket.socket) -> None:
    node = node_at(to_closed_port.getpeername()[1])
    commands._forget_errors(node)
    assert not is_refused(to_closed_port)


def test_sockets_to_other_nodes_are_left_alone(to_closed_port: socket.socket) -> None:
    node = node_at(to_closed_port.getpeername()[1] ^ 1)
    commands._forget_errors(node)
    assert is_refused(to_closed_port)


def test_only_the_first_command_after_an_unanswered_one_looks_for_errors(site: Site, mocker: MockerFixture) -> None:
    site.write_nodes({"default": THREE["default"][:1]})
    worker = site.start()
    look = mocker.patch.object(commands, "_descriptors", return_value=[])
    site.call(worker, "c1")
    site.daemon("rtp1").state = State.DEAD
    site.call(worker, "c2")
    look.assert_not_called()
    site.daemon("rtp1").state = State.ALIVE
    rpcs.enable(site.node("rtp1").url)
    site.call(worker, "c3")
    look.assert_called_once()
    site.call(worker, "c4")
    look.assert_called_once()


EXPECTED = {State.ALIVE: Reply.DONE, State.REFUSING: Reply.REFUSED, State.DEAD: Reply.SILENT}


@pytest.mark.parametrize("first", EXPECTED)
def test_what_became_of_a_command_does_not_depend_on_those_before(site: Site, first: State) -> None:
    """What the module notes of an answered command stays there until the next one is answered."""
    site.start()
    nodes = [site.node(name) for name in ("rtp1", "rtp2")]
    with site.ksr.handling(site.ksr.invite(call_id="c1")):
        for rest in itertools.product(itertools.product(nodes, EXPECTED), repeat=2):
            sender = commands.Sender()
            for node, state in ((nodes[0], first), *rest):
                site.daemon(node.name).state = State.ALIVE
                rpcs.enable(node.url)
                site.daemon(node.name).state = state
                reply = sender.send(KSR.rtpengine.rtpengine_offer, node, "")
                assert reply is EXPECTED[state], [(n.name, s) for n, s in rest]
