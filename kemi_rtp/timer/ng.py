"""rtpengine's NG control protocol over UDP: many nodes in parallel, never waiting.

Source: rtpengine, docs/ng_control_protocol.md: a cookie, a space and a bencoded dictionary; the reply repeats the
cookie.
"""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import socket
import struct
import time
from collections.abc import Container, Iterable

PING = b"d7:command4:pinge"
PONG = b"6:result4:pong"
STATISTICS = b"d7:command10:statisticse"
_SESSIONS = re.compile(rb"11:sessionsowni(\d+)e")


_RESOLVE_AGAIN, _RESOLVE_LOST = 60.0, 5.0
"""Seconds after which a host name is looked up again; sooner when its node does not answer."""
# Linux: asm-generic/socket.h; the kernel notes with each packet when it came, as a timespec.
_SO_TIMESTAMPNS = 35
_TIMESPEC = struct.Struct("@ll")
_ANCILLARY = socket.CMSG_SPACE(_TIMESPEC.size)

Address = tuple[str, int]
_Sockaddr = tuple[int, tuple[object, ...]]


def delete(call_id: str) -> bytes:
    """The command that ends all of a call's media."""
    items = (("call-id", call_id), ("command", "delete"), ("delete delay", 0))
    return b"d" + b"".join(_string(key) + _value(value) for key, value in items) + b"e"


def sessions_of(reply: bytes) -> int | None:
    """How many sessions a node has, from its answer to STATISTICS; None when it does not say.

    Those count that the node keeps for its `delete-delay`, and not those that it holds for another one (foreign).
    """
    found = _SESSIONS.search(reply)
    return int(found[1]) if found else None


def _value(value: str | int) -> bytes:
    return b"i%de" % value if isinstance(value, int) else _string(value)


def _string(text: str) -> bytes:
    data = text.encode("utf-8", "surrogateescape")
    return b"%d:%b" % (len(data), data)


class Client:
    """Sends commands to many nodes and gathers the answers, with two sockets in all, whatever their number.

    It knows the addresses that `looks_up` has resolved, which is another client, or itself.
    """

    def __init__(self, looks_up: Client | None = None) -> None:
        self._resolved: dict[Address, tuple[float, _Sockaddr]] = {} if looks_up is None else looks_up._resolved
        self._waiting: dict[bytes, tuple[str, float]] = {}
        self._sockets: dict[int, socket.socket] = {}
        self._cookie = os.urandom(4).hex()
        self._sent = 0
        self.took: dict[str, float] = {}
        """Seconds that the last answer took, by name: to its arrival here, however much later it was gathered."""

    def resolve(self, addresses: Iterable[Address], lost: Container[Address] = ()) -> set[Address]:
        """Look host names up, which may take long; a name that cannot be found keeps its last address.

        Those that are `lost` sooner: they may have moved. Returns those that have.
        """
        now = time.monotonic()
        moved: set[Address] = set()
        for address in addresses:
            known = self._resolved.get(address)
            again = _RESOLVE_LOST if address in lost else _RESOLVE_AGAIN
            if known is not None and now - known[0] < again:
                continue
            with contextlib.suppress(OSError):
                family, _, _, _, sockaddr = socket.getaddrinfo(*address, type=socket.SOCK_DGRAM)[0]
                self._resolved[address] = (now, (family, sockaddr))
                if known is not None and known[1] != (family, sockaddr):
                    moved.add(address)
        return moved

    def send(self, name: str, address: Address, command: bytes) -> str:
        """Send one command to a resolved address; why it could not be sent, or nothing.

        `name` is what `collect` and `overdue` call it by.
        """
        if address not in self._resolved:
            return f"host {address[0]} is unknown"
        family, sockaddr = self._resolved[address][1]
        self._sent += 1
        cookie = f"{self._cookie}_{self._sent}".encode()
        try:
            self._socket(family).sendto(cookie + b" " + command, sockaddr)
        except OSError as error:
            return f"{error.strerror}"
        self._waiting[cookie] = (name, time.monotonic())
        return ""

    def collect(self, timeout: float = 0.0) -> dict[str, bytes]:
        """The answers that have come, by name; waits up to `timeout` seconds for all that are out."""
        answers: dict[str, bytes] = {}
        deadline = time.monotonic() + timeout
        while self._waiting:
            for one in self._sockets.values():
                answers.update(self._receive(one))
            left = deadline - time.monotonic()
            if not self._waiting or left <= 0:
                break
            with selectors.DefaultSelector() as selector:
                for one in self._sockets.values():
                    selector.register(one, selectors.EVENT_READ)
                if not selector.select(left):
                    break
        return answers

    def overdue(self, age: float) -> set[str]:
        """The names whose answers have not come within `age` seconds; they are not waited for any more."""
        now = time.monotonic()
        late = {cookie: name for cookie, (name, sent) in self._waiting.items() if now - sent >= age}
        for cookie in late:
            del self._waiting[cookie]
        return set(late.values())

    def close(self) -> None:
        """Close the sockets."""
        for one in self._sockets.values():
            one.close()
        self._sockets.clear()

    def _receive(self, one: socket.socket) -> dict[str, bytes]:
        answers: dict[str, bytes] = {}
        # A closed port shows as an error of the next receive on Linux; it belongs to no answer.
        with contextlib.suppress(OSError):
            while True:
                packet, ancillary, _, _ = one.recvmsg(65536, _ANCILLARY)
                cookie, _, reply = packet.partition(b" ")
                if reply.startswith(b"d") and (known := self._waiting.pop(cookie, None)) is not None:
                    name, sent = known
                    answers[name] = reply
                    self.took[name] = max(0.0, time.monotonic() - _age(ancillary) - sent)
        return answers

    def _socket(self, family: int) -> socket.socket:
        if family not in self._sockets:
            one = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            with contextlib.suppress(OSError):
                one.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
            self._sockets[family] = one
        return self._sockets[family]


def _age(ancillary: list[tuple[int, int, bytes]]) -> float:
    """Seconds since a packet came, by the kernel's own note; 0 when there is none."""
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS):
            seconds, nanoseconds = _TIMESPEC.unpack(data)
            age: float = time.time() - seconds - nanoseconds / 1e9
            return max(0.0, age)
    return 0.0
