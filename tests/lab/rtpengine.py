"""Real rtpengine daemons, and what each of them says that it received.

The counts come from the daemon's own log (one line per packet on its NG port), so nothing has to be sent to
that port in order to count. `control_totals` asks the daemon's CLI port for the same numbers as a cross-check.
"""

import re
import socket
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from .ports import Address, free_port, media_range
from .process import Process, wait_until

# One line per packet (rtpengine 10.5, `log_ng` messages at info level). Call-IDs may contain brackets: match greedily.
_RECEIVED = re.compile(
    r"^\S+ \w+: (?:\[(?P<call_id>.*)\]: )?\[control\] Received command '(?P<command>[^']*)' from (?P<source>\S+)$"
)
# The same packet once more (a retransmission, known by its cookie), and packets that are not NG at all.
_DUPLICATE = re.compile(r"\[control\] Detected command from (?P<source>\S+) as a duplicate")
_INVALID = re.compile(
    r"\[control\] (?:Received invalid data on NG port .* from (?P<source>\S+):"
    r"|Protocol error in packet from (?P<other>\S+): Invalid NG data format)"
)

DUPLICATE = "duplicate"
INVALID = "invalid"


@dataclass(frozen=True)
class Packet:
    """One packet that reached the NG port: `command` as the daemon read it, or `duplicate`, `invalid`."""

    command: str
    call_id: str | None
    source: str


def parse_packet(line: str) -> Packet | None:
    """The NG packet that a line of a daemon's log tells of, if any."""
    if "[control]" not in line:
        return None
    if found := _RECEIVED.search(line):
        return Packet(found["command"], found["call_id"], found["source"])
    if found := _DUPLICATE.search(line):
        return Packet(DUPLICATE, None, found["source"])
    if found := _INVALID.search(line):
        return Packet(INVALID, None, found["source"] or found["other"])
    return None


class _Received:
    """The packets that a daemon's log tells of, each line read once, whoever asks how often."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._read_to = 0
        self._offsets: list[int] = []
        self._packets: list[Packet] = []
        self._of_call: dict[str, list[int]] = {}  # by Call-ID: places in the lists above

    def since(self, mark: int) -> list[Packet]:
        self._read()
        return self._packets[bisect_left(self._offsets, mark) :]

    def of_call(self, call_id: str, mark: int) -> list[Packet]:
        self._read()
        first = bisect_left(self._offsets, mark)
        return [self._packets[place] for place in self._of_call.get(call_id, ()) if place >= first]

    def _read(self) -> None:
        if not self._log.exists():
            return
        with self._log.open("rb") as log:
            log.seek(self._read_to)
            for line in log:
                if not line.endswith(b"\n"):
                    break  # it is being written
                if packet := parse_packet(line.decode(errors="replace").rstrip("\r\n")):
                    if packet.call_id:
                        # A session with a number is one of its call's: see kemi_rtp/model/binding.py.
                        of = packet.call_id.partition("#")[0]
                        self._of_call.setdefault(of, []).append(len(self._packets))
                    self._offsets.append(self._read_to)
                    self._packets.append(packet)
                self._read_to += len(line)


class Rtpengine:
    """One rtpengine daemon on ports of its own, with a media address of its own (127.0.1.N) where the family allows."""

    def __init__(self, name: str, number: int, folder: Path, host: str = "127.0.0.1") -> None:
        self.name = name
        self.ng = Address(host, free_port())
        self.media_host = "::1" if self.ng.is_v6 else f"127.0.1.{number}"
        self._cli = Address("127.0.0.1", free_port())
        media_ports = media_range(2000)
        self.process = Process(
            name,
            [
                "rtpengine",
                "--config-file=none",  # else Debian's default file adds ports that a second daemon cannot have
                "--foreground",
                "--log-stderr",
                "--log-level=4",
                "--log-level-control=6",  # one line per packet on the NG port
                f"--listen-ng={self.ng}",
                f"--listen-cli={self._cli}",
                f"--interface={self.media_host}",
                f"--port-min={media_ports.start}",
                f"--port-max={media_ports.stop - 1}",
                "--table=-1",
                "--num-threads=2",
                "--delete-delay=0",  # a deleted call is gone at once, so `sessions` is exact
                "--timeout=3600",  # SIPp sends no RTP: silence must not end a call
                "--silent-timeout=3600",
                "--offer-timeout=3600",
            ],
            folder / f"{name}.log",
        )
        self._received = _Received(self.process.log)

    @property
    def url(self) -> str:
        """The NG address as nodes.yaml and the rtpengine module write it."""
        return f"{'udp6' if self.ng.is_v6 else 'udp'}:{self.ng}"

    def start(self) -> None:
        """Start it and wait until it serves, without sending anything to its NG port."""
        self.process.start()
        wait_until(self._serves, f"{self.name} serves (log: {self.process.log})")

    def stop(self) -> None:
        self.process.stop()

    def kill(self) -> None:
        """kill -9: the node is down and its calls are forgotten."""
        self.process.kill()

    def restart(self) -> None:
        """Stop it and start it again on the same ports; its calls are forgotten, its counts go on."""
        self.stop()
        self.start()

    def freeze(self) -> None:
        """The daemon hangs: packets wait in its socket and are counted after `thaw`."""
        self.process.freeze()

    def thaw(self) -> None:
        self.process.thaw()

    def mark(self) -> int:
        """A point in time, for `since` below."""
        return self.process.mark()

    def packets(self, since: int = 0) -> list[Packet]:
        """Every packet that reached its NG port since the mark, in order."""
        return self._received.since(since)

    def counts(self, since: int = 0) -> "Counter[str]":
        """Packets by command (`offer`, `answer`, `delete`, `ping`, `query`, ..., `duplicate`, `invalid`)."""
        return Counter(packet.command for packet in self.packets(since))

    def call_ids(self, command: str, since: int = 0) -> list[str]:
        """Call-IDs of the packets with this command, in order; once for each packet."""
        return [packet.call_id for packet in self.packets(since) if packet.command == command and packet.call_id]

    def commands_of(self, call_id: str, since: int = 0) -> list[str]:
        """What was asked of this node for one call, in order: `['offer', 'answer', 'delete']`."""
        return [packet.command for packet in self._received.of_call(call_id, since)]

    def sessions(self) -> int:
        """Calls that the daemon holds now."""
        found = re.search(r"Current sessions own: (\d+)", self._ask("list numsessions", r"Current sessions own: \d+\n"))
        assert found is not None
        return int(found[1])

    def control_totals(self) -> dict[str, int]:
        """The daemon's own counters by command since its start, from its CLI port (duplicates not counted)."""
        # Not read as JSON: at times rtpengine 10.5 leaves out a comma.
        found = re.findall(r'"total(\w+)count":\s*(\d+)', self._ask("list jsonstats", r"\}\s*\Z"))
        return {command: int(count) for command, count in found if int(count)}

    def _ask(self, command: str, whole: str) -> str:
        """An answer of its CLI port that matches `whole`: at times rtpengine 10.5 breaks one off; then ask again."""
        answers: list[str] = []

        def is_whole() -> bool:
            answers.append(self.cli(command))
            return re.search(whole, answers[-1]) is not None

        wait_until(is_whole, f"{self.name} answers {command}")
        return answers[-1]

    def cli(self, command: str) -> str:
        """One command to the daemon's CLI port, which is apart from its NG port."""
        with socket.create_connection((self._cli.host, self._cli.port), timeout=5) as connection:
            connection.sendall(command.encode() + b"\n")
            connection.shutdown(socket.SHUT_WR)
            answer = b""
            while chunk := connection.recv(65_536):
                answer += chunk
        return answer.decode()

    def _serves(self) -> bool:
        if not self.process.is_running:
            raise RuntimeError(f"{self.name} ended at its start: {self.process.output()[-500:]}")
        # The CLI is opened after the NG port and served by the same threads.
        try:
            return "Current sessions" in self.cli("list numsessions")
        except OSError:
            return False
