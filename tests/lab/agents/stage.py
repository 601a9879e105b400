"""Where user agents act: one loop over all their sockets, in the test's own thread, so that nothing happens unasked.

A test waits for a condition, and while it does every agent takes in what comes and does what SIP asks of it by itself:
absorb retransmissions, acknowledge refusals, forward.
"""

from __future__ import annotations

import itertools
import selectors
import socket
import time
from collections.abc import Callable
from typing import Protocol

from tests.lab.ports import Address
from tests.lab.process import TimedOutError

from .message import Message

_LONGEST_POLL = 0.05  # seconds; conditions may also change by what other programs do


class Party(Protocol):
    """Whoever has sockets on the stage."""

    name: str
    address: Address

    def sockets(self) -> list[tuple[socket.socket, Callable[[], None]]]:
        """Its sockets, each with what to do when something can be read."""
        ...

    def close(self) -> None: ...


class Stage:
    """All parties of a flow, and the ladder of what they sent and received."""

    def __init__(self, proxy: Address) -> None:
        self.proxy = proxy
        self.ladder: list[str] = []
        self.numbers = itertools.count(1)
        self._selector = selectors.DefaultSelector()
        self._parties: list[Party] = []
        self._began = time.monotonic()

    def enter(self, party: Party) -> None:
        self._parties.append(party)
        for one, read in party.sockets():
            self._selector.register(one, selectors.EVENT_READ, read)

    def close(self) -> None:
        self._selector.close()
        for party in self._parties:
            party.close()

    def note(self, what: str, message: Message | str) -> None:
        """A line of the ladder, for people who read a failure."""
        self.ladder.append(f"{(time.monotonic() - self._began) * 1000:7.1f} ms  {what:<10} {message}")

    def poll(self, seconds: float = 0.0) -> None:
        """Let every party take in what has come, or what comes first within these seconds."""
        for key, _ in self._selector.select(min(seconds, _LONGEST_POLL)):
            key.data()

    def until(self, condition: Callable[[], object], what: str, timeout: float = 3.0) -> None:
        """Let things happen until `condition()` is true; `what` names it in the error."""
        deadline = time.monotonic() + timeout
        self.poll()
        while not condition():
            left = deadline - time.monotonic()
            if left < 0:
                raise TimedOutError(f"not within {timeout:g} s: {what}\n" + "\n".join(self.ladder))
            self.poll(left)

    def idle(self, seconds: float) -> None:
        """Let time pass where time is what the rule is about; every party goes on taking in what comes."""
        ends = time.monotonic() + seconds
        while (left := ends - time.monotonic()) > 0:
            self.poll(left)

    def name_of(self, address: Address) -> str:
        """The party at an address."""
        if address == self.proxy:
            return "proxy"
        return next((party.name for party in self._parties if party.address == address), str(address))
