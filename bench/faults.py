"""A stretch of network in front of a node that can lose packets or be slow: a UDP relay in a process of its own.

`python -m bench.faults PORT TARGET_PORT DELAY_MS`, all on 127.0.0.1. It starts transparent. SIGUSR1 makes it drop
everything, SIGUSR2 makes answers late by DELAY_MS, SIGHUP makes it transparent again.
"""

import contextlib
import heapq
import itertools
import selectors
import signal
import socket
import sys
import time

PASS, DROP, DELAY = "pass", "drop", "delay"
SIGNALS = {signal.SIGHUP: PASS, signal.SIGUSR1: DROP, signal.SIGUSR2: DELAY}


class Relay:
    def __init__(self, port: int, target: int, delay: float) -> None:
        self.mode = PASS
        self._target = ("127.0.0.1", target)
        self._delay = delay
        self._selector = selectors.DefaultSelector()
        self._front = self._socket(port)
        self._behind: dict[tuple[str, int], socket.socket] = {}  # by asker
        self._late: list[tuple[float, int, bytes, tuple[str, int]]] = []
        self._number = itertools.count()

    def run(self) -> None:
        while True:
            wait = max(0.0, self._late[0][0] - time.monotonic()) if self._late else None
            for key, _ in self._selector.select(wait):
                self._take(key)
            while self._late and self._late[0][0] <= time.monotonic():
                _, _, packet, asker = heapq.heappop(self._late)
                self._front.sendto(packet, asker)

    def _take(self, key: selectors.SelectorKey) -> None:
        one = key.fileobj
        assert isinstance(one, socket.socket)
        with contextlib.suppress(OSError):  # nothing there, or nobody listens on the other side
            while True:
                packet, sender = one.recvfrom(65_536)
                if self.mode == DROP:
                    continue
                if one is self._front:
                    self._to_node(sender).send(packet)
                elif self.mode == DELAY:
                    heapq.heappush(self._late, (time.monotonic() + self._delay, next(self._number), packet, key.data))
                else:
                    self._front.sendto(packet, key.data)

    def _to_node(self, asker: tuple[str, int]) -> socket.socket:
        if asker not in self._behind:
            self._behind[asker] = self._socket(0, asker)
            self._behind[asker].connect(self._target)
        return self._behind[asker]

    def _socket(self, port: int, asker: tuple[str, int] | None = None) -> socket.socket:
        one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        one.setblocking(False)
        one.bind(("127.0.0.1", port))
        self._selector.register(one, selectors.EVENT_READ, asker)
        return one


def main() -> None:
    port, target, delay_ms = (int(argument) for argument in sys.argv[1:4])
    relay = Relay(port, target, delay_ms / 1000)

    def change(number: int, _frame: object) -> None:
        relay.mode = SIGNALS[signal.Signals(number)]

    for number in SIGNALS:
        signal.signal(number, change)
    relay.run()


if __name__ == "__main__":
    main()
