"""rtpengine's NG control protocol over UDP: ping many nodes in parallel. Pure (no KSR).

Source: rtpengine, docs/ng_control_protocol.md: a cookie, a space and a bencoded dictionary; the reply repeats the
cookie.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import time
from collections.abc import Iterable, Mapping

PING = b"d7:command4:pinge"
PONG = b"6:result4:pong"
_RESOLVE_AGAIN = 60.0

Address = tuple[str, int]
_Sockaddr = tuple[int, tuple[object, ...]]


class Pinger:
    """Sends one ping to each of many nodes and gathers the answers; two sockets in all, whatever their number."""

    def __init__(self) -> None:
        self._resolved: dict[Address, tuple[float, _Sockaddr]] = {}
        self._waiting: dict[bytes, str] = {}
        self._sockets: dict[int, socket.socket] = {}
        self._cookie = os.urandom(4).hex()
        self._sent = 0

    def resolve(self, addresses: Iterable[Address]) -> None:
        """Look host names up, which may take long; a name that cannot be found keeps its last address."""
        now = time.monotonic()
        for address in addresses:
            if address in self._resolved and now - self._resolved[address][0] < _RESOLVE_AGAIN:
                continue
            with contextlib.suppress(OSError):
                family, _, _, _, sockaddr = socket.getaddrinfo(*address, type=socket.SOCK_DGRAM)[0]
                self._resolved[address] = (now, (family, sockaddr))

    def send(self, targets: Mapping[str, Address]) -> dict[str, str]:
        """Ping every target (name to resolved address), without waiting; returns which could not be, and why."""
        self._waiting.clear()
        failed: dict[str, str] = {}
        for name, address in targets.items():
            if address not in self._resolved:
                failed[name] = f"host {address[0]} is unknown"
                continue
            family, sockaddr = self._resolved[address][1]
            self._sent += 1
            cookie = f"{self._cookie}_{self._sent}".encode()
            try:
                self._socket(family).sendto(cookie + b" " + PING, sockaddr)
            except OSError as error:
                failed[name] = f"ping cannot be sent: {error.strerror}"
            else:
                self._waiting[cookie] = name
        return failed

    def collect(self, timeout: float) -> set[str]:
        """The names that answered with pong within `timeout` seconds from now; returns as soon as all have."""
        answered: set[str] = set()
        deadline = time.monotonic() + timeout
        with selectors.DefaultSelector() as selector:
            for one in self._sockets.values():
                selector.register(one, selectors.EVENT_READ)
            while self._waiting and (left := deadline - time.monotonic()) > 0:
                for key, _ in selector.select(left):
                    answered.update(self._receive(key.fileobj))  # type: ignore[arg-type]
        return answered

    def close(self) -> None:
        """Close the sockets."""
        for one in self._sockets.values():
            one.close()
        self._sockets.clear()

    def _receive(self, one: socket.socket) -> list[str]:
        names = []
        # A closed port shows as an error of the next receive on Linux; it belongs to no answer.
        with contextlib.suppress(OSError):
            while True:
                cookie, _, reply = one.recv(65536).partition(b" ")
                if PONG in reply and (name := self._waiting.pop(cookie, None)) is not None:
                    names.append(name)
        return names

    def _socket(self, family: int) -> socket.socket:
        if family not in self._sockets:
            one = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            self._sockets[family] = one
        return self._sockets[family]
