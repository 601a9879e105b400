"""The nodes of a bench: real rtpengine daemons, a crowd of nodes in front of them, and faults in front of a node."""

import re
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

from bench.faults import DELAY, DROP, PASS, SIGNALS
from tests.lab.ports import Address, free_port, is_udp_bound
from tests.lab.process import Process, wait_until
from tests.lab.rtpengine import Rtpengine

CHECKOUT = Path(__file__).resolve().parents[1]

_OFFER = re.compile(r"^\[(?P<at>\d+\.\d+)\] .*\[control\] Received command 'offer'", re.MULTILINE)


@dataclass(frozen=True)
class Node:
    """A node as a setup is told of it."""

    name: str
    url: str
    weight: int = 1
    disabled: bool = False


class Daemon:
    """One rtpengine daemon; with `delay_ms`, behind a relay that can lose its packets or make it answer late."""

    def __init__(self, folder: Path, number: int, delay_ms: int | None = None) -> None:
        self.name = f"rtp{number}"
        self._daemon = Rtpengine(self.name, number, folder)
        self._relay: Process | None = None
        address = self._daemon.ng
        if delay_ms is not None:
            address = Address("127.0.0.1", free_port())
            arguments = [str(address.port), str(self._daemon.ng.port), str(delay_ms)]
            log = folder / f"{self.name}-faults.log"
            self._relay = Process("faults", [sys.executable, "-m", "bench.faults", *arguments], log, cwd=CHECKOUT)
        self.address = address

    @property
    def node(self) -> Node:
        return Node(self.name, f"udp:{self.address}")

    def start(self) -> None:
        self._daemon.start()
        if self._relay:
            self._relay.start()
            wait_until(lambda: is_udp_bound(self.address), "the relay listens")

    def stop(self) -> None:
        if self._relay:
            self._relay.kill()
        self._daemon.stop()

    def freeze(self) -> None:
        self._daemon.freeze()

    def thaw(self) -> None:
        self._daemon.thaw()

    def close_port(self) -> None:
        """The daemon is gone, and its port answers `port unreachable`."""
        self._daemon.kill()

    def drop(self) -> None:
        self._signal(DROP)

    def delay(self) -> None:
        self._signal(DELAY)

    def heal(self) -> None:
        self._signal(PASS)

    def mark(self) -> int:
        return self._daemon.mark()

    def offer_times(self, since: int = 0) -> list[float]:
        """When each offer came (Unix time), as the daemon's log has it."""
        return [float(found["at"]) for found in _OFFER.finditer(self._daemon.process.output(since))]

    def offers(self, since: int = 0) -> int:
        return len(self.offer_times(since))

    def _signal(self, mode: str) -> None:
        assert self._relay, f"{self.name} has no relay in front of it"
        number = next(number for number, name in SIGNALS.items() if name == mode)
        self._relay.send_signal(signal.Signals(number))


class Fleet:
    """A few real daemons, and with `crowd` as many nodes as wanted whose calls these daemons take: see crowd.py."""

    def __init__(self, folder: Path, daemons: int = 3, *, crowd: bool = False, delay_ms: int | None = None) -> None:
        folder.mkdir(exist_ok=True)
        self.daemons = [Daemon(folder, number, delay_ms) for number in range(1, daemons + 1)]
        self._crowd: Process | None = None
        self._crowd_address = Address("0.0.0.0", free_port())
        if crowd:
            ports = [str(address.port) for address in (self._crowd_address, *(one.address for one in self.daemons))]
            command = [sys.executable, "-m", "bench.crowd", *ports]
            self._crowd = Process("crowd", command, folder / "crowd.log", cwd=CHECKOUT)

    def __enter__(self) -> "Fleet":
        try:
            for daemon in self.daemons:
                daemon.start()
            if self._crowd:
                self._crowd.start()
                wait_until(lambda: is_udp_bound(self._crowd_address), "the crowd listens")
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        for daemon in self.daemons:
            daemon.stop()
        if self._crowd:
            self._crowd.kill()

    @property
    def nodes(self) -> list[Node]:
        """The real daemons."""
        return [daemon.node for daemon in self.daemons]

    def crowd(self, count: int, *, disabled: bool = False) -> list[Node]:
        """So many nodes of the crowd."""
        port = self._crowd_address.port
        return [
            Node(f"crowd{number}", f"udp:127.1.{number // 250}.{number % 250 + 1}:{port}", disabled=disabled)
            for number in range(count)
        ]

    def with_crowd(self, total: int) -> list[Node]:
        """The real daemons and a crowd, `total` together."""
        return self.nodes + self.crowd(total - len(self.daemons))
