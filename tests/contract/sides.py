"""The two sides of a contract test: the stub, and a real Kamailio with sockets for the callers and the far end."""

import json
import re
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from select import select
from typing import Any

from KSR.mock.engine.kamailio import activate
from KSR.mock.sip import compose
from KSR.mock.sip.message import Address as SipAddress
from KSR.mock.sip.sent import SentMessage
from KSR.testing import Ksr, SipMessage, State
from tests.lab.kamailio import Kamailio, Line
from tests.lab.ports import Address, free_address
from tests.lab.process import wait_until

from . import probe
from .normal import normalize
from .scenario import Scenario

HERE = Path(__file__).parent
_numbers = count(1)


@dataclass
class Outcome:
    """What one side saw: the results of each route, in the order the routes ran, and what was sent."""

    results: dict[str, list[Any]] = field(default_factory=dict)
    sent: list[str] = field(default_factory=list)

    def add(self, lines: Iterable[str]) -> None:
        """Take the probe's result lines; a route that ran twice counts with its last run."""
        for line in lines:
            ran = json.loads(line)
            self.results[ran["route"]] = ran["results"]


@dataclass(frozen=True)
class Place:
    """The addresses and the folder that both sides use."""

    folder: Path
    listen: Address
    uac: Address
    uas: Address
    nodes: dict[str, str]
    database: str = ""

    @property
    def env(self) -> dict[str, str]:
        """What kamailio.cfg asks for."""
        return {
            "CONTRACT_LISTEN": f"udp:{self.listen}",
            "CONTRACT_LISTEN_TCP": f"tcp:{self.listen}",
            "CONTRACT_RPC": str(self.folder / "rpc.sock"),
            "CONTRACT_PROBE": str(HERE / "probe.py"),
            "CONTRACT_FOLDER": str(self.folder),
            **self.nodes,
            **({"CONTRACT_DATABASE": self.database} if self.database else {}),
        }

    def fill(self, text: str, **more: str) -> str:
        """Put addresses into a message or a call."""
        values = {"uac": self.uac, "uas": self.uas, "listen": self.listen, **self.nodes, **more}
        for name, value in values.items():
            text = text.replace(f"{{{name}}}", str(value))
        return text

    def text(self, scenario: Scenario, call_id: str) -> str:
        """Return the scenario's message."""
        head = self.fill(scenario.message, call_id=call_id, number=call_id).replace("\n", "\r\n")
        body = scenario.body
        return f"{head}Content-Length: {len(body.encode())}\r\n\r\n{body}"

    def later(self, template: str, first: str, call_id: str) -> str:
        """Return a later request of the caller; "again" is the first one once more."""
        if template == "again":
            return first
        head = self.fill(template, call_id=call_id, number=call_id).replace("\n", "\r\n")
        return f"{head}Content-Length: 0\r\n\r\n"

    def write(self, scenario: Scenario, call_id: str) -> Path:
        """Write the scenario's calls where the probe finds them, and return where it puts the results."""
        lines = {route: [self.fill(line) for line in found] for route, found in scenario.lines.items()}
        (self.folder / f"{call_id}.json").write_text(json.dumps(lines))
        return self.folder / f"{call_id}.results"


class StubSide:
    """The stub, on the same configuration and addresses."""

    def __init__(self, place: Place, version: str) -> None:
        self.place = place
        self.version = version

    def run(self, scenario: Scenario) -> Outcome:
        """Run one scenario on a fresh Kamailio of the stub."""
        call_id = f"stub-{next(_numbers)}"
        results = self.place.write(scenario, call_id)
        ksr = Ksr(self.version, faults="kamailio")
        activate(ksr)
        ksr.configure(HERE / "kamailio.cfg", **self.place.env)
        ksr.rtpengine.daemon(self.place.nodes["CLOSED"]).state = State.CLOSED
        ksr.rtpengine.daemon(self.place.nodes["FROZEN"]).state = State.DEAD
        probe.FOLDER = self.place.folder
        probe.DATABASE = self.place.database
        if self.place.database:
            probe.table(*first_rows(self.place.nodes))
        probe.sleep = ksr.clock.advance
        probe.until_reload = lambda: ksr.clock.advance(probe.RELOAD_DELAY)
        worker = ksr.start(probe)
        text = self.place.text(scenario, call_id)
        if scenario.is_http:
            worker.http(text)
            outcome = Outcome()
            outcome.add(results.read_text().splitlines())
            sent = ksr.http_replies
            outcome.sent = ["\n".join([f"{r.code} {r.reason}", *r.headers, "", r.body]) for r in sent]
            return outcome
        request = SipMessage(text, SipAddress(*self.place.uac), SipAddress(*self.place.listen))
        worker.request(request)
        for step in scenario.then:
            if isinstance(step, str):
                worker.request(SipMessage(self.place.later(step, text, call_id), request.source, request.received))
                continue
            relayed = [message for message in ksr.relayed if message.method not in ("ACK", "CANCEL")][-1]
            worker.reply(compose.reply_to(relayed, step, source=str(self.place.uas)))
        outcome = Outcome()
        outcome.add(results.read_text().splitlines())
        # First what the caller gets, then what the far end gets: that is all that two sockets can tell of the order.
        in_order = [message for port in (self.place.uac.port, self.place.uas.port) for message in ksr.sent.messages
                    if message.destination.port == port]  # fmt: skip
        outcome.sent = [normalize(m.text.replace(call_id, "CALL"), str(self.place.listen)) for m in in_order]
        return outcome


class RealSide:
    """A real Kamailio with two UDP sockets around it."""

    def __init__(self, place: Place, line: Line) -> None:
        self.place = place
        self.kamailio = Kamailio(
            place.folder, HERE / "kamailio.cfg", [place.listen], place.folder / "rpc.sock", place.env, line
        )
        self.uac = _bound(place.uac)
        self.uas = _bound(place.uas)

    def run(self, scenario: Scenario) -> Outcome:
        """Run one scenario; tables are emptied before."""
        for table in ("t", "big", "ex", "keep", "long", "count"):
            self.kamailio.rpc("htable.flush", table)
        call_id = f"real-{next(_numbers)}"
        results = self.place.write(scenario, call_id)
        if scenario.is_http:
            return self._run_http(self.place.text(scenario, call_id), results)
        _drain(self.uac), _drain(self.uas)
        text = self.place.text(scenario, call_id)
        self.uac.sendto(text.encode(), self.place.listen)
        wait_until(lambda: _runs(results) >= 1, f"results of {scenario.name}", timeout=60)
        to_caller: list[str] = []
        to_callee: list[str] = []

        def listen(seconds: float) -> None:
            # A transaction of an earlier scenario may still retransmit.
            to_caller.extend(text for text in _receive_rest(self.uac, seconds) if call_id in text)
            to_callee.extend(text for text in _receive_rest(self.uas, seconds) if call_id in text)

        for step in scenario.then:
            listen(0.02)
            if isinstance(step, str):
                self._send(self.uac, self.place.later(step, text, call_id), results)
                continue
            while not _requests(to_callee):
                self._wait_readable(scenario)
                listen(0.02)
            request = _requests(to_callee)[-1]
            reply = compose.reply_to(SentMessage(request, SipAddress(*self.place.uas)), step)
            self._send(self.uas, reply.text, results)
        if scenario.sent or scenario.then:
            listen(0.05)
        outcome = Outcome()
        outcome.add(results.read_text().splitlines())
        outcome.sent = [
            normalize(text.replace(call_id, "CALL"), str(self.place.listen)) for text in (*to_caller, *to_callee)
        ]
        return outcome

    def _run_http(self, text: str, results: Path) -> Outcome:
        with socket.create_connection(self.place.listen, timeout=5) as client:
            client.sendall(text.encode())
            answer = b""
            while b"\r\n\r\n" not in answer:
                answer += client.recv(65_535)
            head, _, body = answer.decode().partition("\r\n\r\n")
            length = int(re.search(r"Content-Length: (\d+)", head)[1])  # type: ignore[index]
            while len(body) < length:
                body += client.recv(65_535).decode()
        wait_until(lambda: _runs(results) >= 1, "results of the HTTP request")
        outcome = Outcome()
        outcome.add(results.read_text().splitlines())
        first, *headers = head.split("\r\n")
        kept = [line for line in headers if not line.startswith(("Sia:", "Server:", "Content-Length:"))]
        outcome.sent = ["\n".join([first.removeprefix("HTTP/1.1 "), *kept, "", body])]
        return outcome

    def _wait_readable(self, scenario: Scenario) -> None:
        readable = select([self.uas], [], [], 2.0)[0]
        assert readable, f"{scenario.name}: no request reached the far end"

    def _send(self, source: socket.socket, text: str, results: Path) -> None:
        """Send a message and wait until the route that it runs is done."""
        before = _runs(results)
        source.sendto(text.encode(), self.place.listen)
        wait_until(lambda: _runs(results) > before, f"more results in {results.name}")

    def close(self) -> None:
        """Stop it."""
        self.kamailio.stop()
        self.uac.close()
        self.uas.close()


def _bound(address: Address) -> socket.socket:
    found = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    found.bind(address)
    return found


def _drain(source: socket.socket) -> list[str]:
    found = []
    source.settimeout(0.0)
    with suppress(BlockingIOError):
        while True:
            found.append(source.recv(65_535).decode())
    return found


def _receive_rest(source: socket.socket, seconds: float) -> list[str]:
    """Return what arrives until nothing has come for so long."""
    found: list[str] = []
    source.settimeout(seconds)
    with suppress(TimeoutError):
        while True:
            found.append(source.recv(65_535).decode())
    return found


def _requests(texts: Iterable[str]) -> list[str]:
    return [text for text in texts if not text.startswith(("ACK", "CANCEL"))]


def _runs(path: Path) -> int:
    """Count the routes whose results are written completely."""
    return path.read_text().count("\n") if path.exists() else 0


def first_rows(nodes: dict[str, str]) -> list[tuple[int, str, int, int]]:
    """The table that Kamailio starts with: sets 1 and 3, and set 2 with a disabled node."""
    return [(1, nodes["FIRST"], 1, 0), (2, nodes["SECOND"], 1, 1), (3, nodes["CLOSED"], 1, 0)]


@contextmanager
def real_side(folder: Path, line: Line, nodes: dict[str, str], database: str = "") -> Iterator[RealSide]:
    """Start a real Kamailio for a block."""
    listen, uac, uas = (free_address("127.0.0.1") for _ in range(3))
    place = Place(folder, listen, uac, uas, nodes, database)
    if database:
        probe.DATABASE = database
        probe.table(*first_rows(nodes))
    side = RealSide(place, line)
    side.kamailio.start()
    try:
        yield side
    finally:
        side.close()
