"""Pings over the NG protocol, against sockets on loopback that answer as rtpengine does, or badly, or not at all."""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from pytest_mock import MockerFixture

from kemi_rtp.timer import ng
from kemi_rtp.timer.ng import Address, Client

PONG = b"d6:result4:ponge"
LONG = 10.0
"""Seconds that nothing here takes; a wait that ends before shows that it did not wait for the clock."""
SHORT = 0.05


class Peer:
    """A node's NG socket: takes pings and answers when told to."""

    def __init__(self, family: int = socket.AF_INET, host: str = "127.0.0.1") -> None:
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.bind((host, 0))
        self.socket.settimeout(LONG)
        self.address: Address = (host, self.socket.getsockname()[1])

    def take(self) -> tuple[bytes, bytes, object]:
        """The next ping: cookie, command, and who sent it."""
        packet, sender = self.socket.recvfrom(65536)
        cookie, _, command = packet.partition(b" ")
        return cookie, command, sender

    def answer(self, reply: bytes = PONG) -> None:
        cookie, _, sender = self.take()
        self.socket.sendto(cookie + b" " + reply, sender)  # type: ignore[call-overload]

    def send(self, packet: bytes, to: object) -> None:
        self.socket.sendto(packet, to)  # type: ignore[call-overload]


@pytest.fixture
def pinger() -> Iterator[Client]:
    made = Client()
    yield made
    made.close()


@pytest.fixture
def peers() -> Iterator[list[Peer]]:
    made = [Peer() for _ in range(5)]
    yield made
    for peer in made:
        peer.socket.close()


def send(pinger: Client, targets: dict[str, Address]) -> dict[str, str]:
    """One round of pings; which could not be sent, and why."""
    pinger.resolve(targets.values())
    return {name: why for name, address in targets.items() if (why := pinger.send(name, address, ng.PING))}


def ponged(pinger: Client, timeout: float) -> set[str]:
    """Who answers the round within a time; nobody else is waited for afterwards."""
    answered = {name for name, reply in pinger.collect(timeout).items() if ng.PONG in reply}
    pinger.overdue(0)
    return answered


def targets_of(peers: list[Peer]) -> dict[str, Address]:
    return {f"n{number}": peer.address for number, peer in enumerate(peers)}


def test_a_ping_is_a_cookie_and_the_bencoded_command(pinger: Client, peers: list[Peer]) -> None:
    send(pinger, targets_of(peers[:1]))
    cookie, command, _ = peers[0].take()
    assert re.fullmatch(rb"[0-9a-z_]+", cookie)
    assert command == b"d7:command4:pinge"


def test_all_nodes_are_pinged_at_once_and_no_answer_is_waited_for_in_between(pinger: Client, peers: list[Peer]) -> None:
    assert send(pinger, targets_of(peers)) == {}
    for peer in reversed(peers):
        peer.answer()
    assert ponged(pinger, LONG) == {"n0", "n1", "n2", "n3", "n4"}


def test_gathering_ends_with_the_last_answer_and_not_with_the_time(pinger: Client, peers: list[Peer]) -> None:
    send(pinger, targets_of(peers))
    for peer in peers:
        peer.answer()
    before = time.monotonic()
    ponged(pinger, LONG)
    assert time.monotonic() - before < LONG


def test_gathering_without_a_ping_ends_at_once(pinger: Client) -> None:
    before = time.monotonic()
    assert ponged(pinger, LONG) == set()
    assert time.monotonic() - before < LONG


def test_a_silent_node_is_not_among_those_that_answered_and_holds_nobody_up(pinger: Client, peers: list[Peer]) -> None:
    send(pinger, targets_of(peers))
    for peer in peers[1:]:
        peer.answer()
    assert ponged(pinger, SHORT) == {"n1", "n2", "n3", "n4"}


def test_many_silent_nodes_cost_the_timeout_once(pinger: Client, peers: list[Peer]) -> None:
    send(pinger, {f"n{number}": peers[0].address for number in range(400)})
    before = time.monotonic()
    assert ponged(pinger, SHORT) == set()
    assert time.monotonic() - before < 400 * SHORT / 2


def test_a_closed_port_is_a_silent_node_and_disturbs_no_other(pinger: Client, peers: list[Peer]) -> None:
    closed = Peer()
    closed.socket.close()
    for _ in range(3):
        assert send(pinger, {"closed": closed.address, "n0": peers[0].address}) == {}
        peers[0].answer()
        assert ponged(pinger, SHORT) == {"n0"}


@pytest.mark.parametrize("reply", [b"", b"\xff\x00\x01", b"d6:result5:errore", b"d6:result2:oke", b"4:pong", b"pong"])
def test_an_answer_that_is_not_pong_is_no_answer(pinger: Client, peers: list[Peer], reply: bytes) -> None:
    send(pinger, targets_of(peers[:2]))
    peers[0].answer(reply)
    peers[1].answer()
    assert ponged(pinger, SHORT) == {"n1"}


def test_a_pong_after_an_answer_that_is_none_still_counts(pinger: Client, peers: list[Peer]) -> None:
    send(pinger, targets_of(peers[:1]))
    cookie, _, sender = peers[0].take()
    for packet in (b"", b"garbage", b" ", cookie, cookie + b" x", b"other " + PONG, cookie + b" " + PONG):
        peers[0].send(packet, sender)
    assert ponged(pinger, LONG) == {"n0"}


def test_a_pong_with_other_keys_counts(pinger: Client, peers: list[Peer]) -> None:
    send(pinger, targets_of(peers[:1]))
    peers[0].answer(b"d4:load4:high6:result4:ponge")
    assert ponged(pinger, LONG) == {"n0"}


def test_a_late_answer_of_an_earlier_round_is_not_taken_for_a_new_one(pinger: Client, peers: list[Peer]) -> None:
    send(pinger, targets_of(peers[:1]))
    late, _, sender = peers[0].take()
    assert ponged(pinger, 0) == set()
    send(pinger, targets_of(peers[:1]))
    peers[0].send(late + b" " + PONG, sender)
    assert ponged(pinger, SHORT) == set()
    send(pinger, targets_of(peers[:1]))
    peers[0].take()
    peers[0].answer()
    assert ponged(pinger, LONG) == {"n0"}


def test_an_answer_given_twice_counts_once_and_for_nobody_else(pinger: Client, peers: list[Peer]) -> None:
    send(pinger, targets_of(peers[:2]))
    cookie, _, sender = peers[0].take()
    peers[0].send(cookie + b" " + PONG, sender)
    peers[0].send(cookie + b" " + PONG, sender)
    assert ponged(pinger, SHORT) == {"n0"}


def test_no_two_pings_have_the_same_cookie(peers: list[Peer]) -> None:
    """Not of one round, not of two rounds, and not of two Kamailios that ping the same node."""
    pingers = [Client(), Client()]
    try:
        for one in (*pingers, *pingers):
            send(one, {"a": peers[0].address, "b": peers[0].address})
        assert len({peers[0].take()[0] for _ in range(8)}) == 8
    finally:
        for one in pingers:
            one.close()


def test_any_number_of_nodes_costs_no_more_than_two_sockets(pinger: Client, peers: list[Peer]) -> None:
    before = len(os.listdir("/proc/self/fd"))
    send(pinger, {f"n{number}": peers[number % 5].address for number in range(100)})
    assert len(os.listdir("/proc/self/fd")) <= before + 2
    pinger.close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_ping_that_cannot_be_sent_is_told_with_the_cause_and_the_others_are_sent(
    pinger: Client, peers: list[Peer]
) -> None:
    """A socket may not broadcast unless it asks for it."""
    failed = send(pinger, {"all": ("255.255.255.255", 2223), "n0": peers[0].address})
    assert failed == {"all": "Permission denied"}
    peers[0].answer()
    assert ponged(pinger, LONG) == {"n0"}


def test_ipv6_nodes_are_pinged_beside_ipv4_nodes(pinger: Client, peers: list[Peer]) -> None:
    try:
        peer = Peer(socket.AF_INET6, "::1")
    except OSError:
        pytest.skip("no IPv6 loopback")
    try:
        assert send(pinger, {"six": peer.address, "four": peers[0].address}) == {}
        peer.answer()
        peers[0].answer()
        assert ponged(pinger, LONG) == {"six", "four"}
    finally:
        peer.socket.close()


# --- host names ------------------------------------------------------------------------------------------------------


class Names:
    """A resolver that knows what it is told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.known: dict[str, str] = {}
        self.asked: list[str] = []
        real = socket.getaddrinfo

        def getaddrinfo(host: str, port: int, **options: int) -> object:
            self.asked.append(host)
            if host not in self.known:
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
            return real(self.known[host], port, type=options["type"])

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Names:
    return Names(monkeypatch)


def test_an_unknown_host_name_is_told_and_the_other_nodes_are_pinged(
    pinger: Client, peers: list[Peer], resolver: Names
) -> None:
    resolver.known["good.example"] = "127.0.0.1"
    failed = send(pinger, {"bad": ("bad.example", 2223), "good": ("good.example", peers[0].address[1])})
    assert failed == {"bad": "host bad.example is unknown"}
    peers[0].answer()
    assert ponged(pinger, LONG) == {"good"}


def test_sending_looks_no_name_up(pinger: Client, peers: list[Peer], resolver: Names) -> None:
    """Looking up may take seconds; it has a method of its own."""
    assert pinger.send("n0", ("good.example", 2223), ng.PING) == "host good.example is unknown"
    assert resolver.asked == []


def test_a_name_is_looked_up_once_in_a_while_and_not_for_every_ping(
    pinger: Client, peers: list[Peer], resolver: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolver.known["good.example"] = "127.0.0.1"
    address = ("good.example", peers[0].address[1])
    for _ in range(5):
        send(pinger, {"n0": address})
    assert resolver.asked == ["good.example"]
    later = time.monotonic() + 3600
    monkeypatch.setattr(time, "monotonic", lambda: later)
    send(pinger, {"n0": address})
    assert resolver.asked == ["good.example"] * 2


def test_clients_that_share_what_was_looked_up_send_where_a_node_has_moved(
    pinger: Client, peers: list[Peer], resolver: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Client(pinger)
    resolver.known["good.example"] = "127.0.0.2"
    address = ("good.example", peers[0].address[1])
    pinger.resolve([address])
    resolver.known["good.example"] = "127.0.0.1"
    later = time.monotonic() + 10
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert pinger.resolve([address], lost=[address]) == {address}
    try:
        assert other.send("n0", address, ng.PING) == ""
        assert peers[0].take()[1] == ng.PING
    finally:
        other.close()


def test_a_name_that_cannot_be_found_any_more_keeps_its_last_address(
    pinger: Client, peers: list[Peer], resolver: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolver.known["good.example"] = "127.0.0.1"
    targets = {"n0": ("good.example", peers[0].address[1])}
    send(pinger, targets)
    peers[0].answer()
    assert ponged(pinger, LONG) == {"n0"}
    resolver.known.clear()
    monkeypatch.setattr(ng, "_RESOLVE_AGAIN", 0)
    assert send(pinger, targets) == {}
    assert len(resolver.asked) == 2
    peers[0].answer()
    assert ponged(pinger, LONG) == {"n0"}


def test_a_name_that_was_unknown_is_looked_up_again(pinger: Client, peers: list[Peer], resolver: Names) -> None:
    targets = {"n0": ("good.example", peers[0].address[1])}
    assert "n0" in send(pinger, targets)
    resolver.known["good.example"] = "127.0.0.1"
    assert send(pinger, targets) == {}


# --- other commands --------------------------------------------------------------------------------------------------


def test_a_command_that_is_overdue_is_named_once(pinger: Client, peers: list[Peer]) -> None:
    send(pinger, targets_of(peers[:2]))
    peers[0].answer()
    assert pinger.collect(SHORT).keys() == {"n0"}
    assert pinger.overdue(LONG) == set()
    assert pinger.overdue(0) == {"n1"}
    assert pinger.overdue(0) == set()


def test_gathering_without_a_timeout_never_waits(pinger: Client, peers: list[Peer]) -> None:
    send(pinger, targets_of(peers))
    before = time.monotonic()
    assert pinger.collect() == {}
    assert time.monotonic() - before < LONG


def test_a_delete_is_bencoded_with_sorted_keys() -> None:
    """Sorted, as bencoding wants it; lengths count bytes."""
    assert ng.delete("call-\u00fc@host") == b"d7:call-id12:call-\xc3\xbc@host7:command6:delete12:delete delayi0ee"


def test_the_time_an_answer_took_ends_when_it_came_not_when_it_was_gathered(
    pinger: Client, peers: list[Peer], mocker: MockerFixture
) -> None:
    """The timer gathers answers at its next tick; what it measures is the node's time, not its own."""
    send(pinger, targets_of(peers[:1]))
    peers[0].answer()
    later = SimpleNamespace(time=lambda: time.time() + LONG, monotonic=lambda: time.monotonic() + LONG)
    mocker.patch("kemi_rtp.timer.ng.time", later)
    assert pinger.collect(SHORT).keys() == {"n0"}
    assert pinger.took["n0"] < LONG
