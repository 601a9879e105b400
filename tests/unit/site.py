"""A site on the stub: nodes.yaml, a state directory, Kamailio with the project's own parameters, and the routes."""

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from click.testing import CliRunner, Result
from pytest_mock import MockerFixture

from kemi_rtp.command.main import main
from kemi_rtp.files.registry import Registry
from kemi_rtp.model.nodes import Node
from kemi_rtp.remote.rpc import NotReachable, Rpc, RpcError
from kemi_rtp.routes import Routes
from kemi_rtp.shm.state.worker import WorkerState
from kemi_rtp.timer.ng import PING, STATISTICS, Address
from KSR.mock.engine.worker import fork
from KSR.testing import Daemon, Ksr, NgCommand, Routed, RpcFault, SentMessage, SipMessage, Worker

THREE = {"default": [{"name": f"rtp{number}", "url": f"udp:192.0.2.{number}:2223"} for number in (1, 2, 3)]}

ANOTHER = 77
"""The id of a process that runs, and that no test needs."""

CONFIG = Path(__file__).resolve().parents[2] / "kamailio.cfg.d" / "kamailio.cfg"


def is_of(command: NgCommand, call_id: str) -> bool:
    """Whether a command is for a call: for one of its sessions, which may have a number."""
    return call_of(command.call_id) == call_id


def call_of(id: str) -> str:
    """The SIP Call-ID of a session at a node, which may have a number: see kemi_rtp/model/binding.py."""
    return id.partition("#")[0]


class Script:
    """What app_python3 loads."""

    def mod_init(self) -> Routes:
        return Routes.load()


class Site:
    """One Kamailio of the stub with kemi_rtp in it."""

    def __init__(self, ksr: Ksr, folder: Path) -> None:
        self.ksr = ksr
        self.nodes_path = folder / "nodes.yaml"
        self.state_dir = folder / "state"
        self.rpc_socket = folder / "rpc.sock"
        self.pings: list[str] = []
        self.deletes: list[tuple[str, bytes]] = []
        self.timer: Worker
        ksr.configure(
            CONFIG,
            KEMI_RTP_NODES=str(self.nodes_path),
            KEMI_RTP_STATE_DIR=str(self.state_dir),
            KEMI_RTP_RPC_SOCKET=str(self.rpc_socket),
        )
        self.write_nodes(THREE)

    def write_nodes(self, pools: Mapping[str, Iterable[Mapping[str, object]]], **settings: object) -> None:
        """Write nodes.yaml; `settings` beside the two places."""
        places = {"state_dir": str(self.state_dir), "rpc_socket": str(self.rpc_socket)}
        document = {"settings": places | settings, "pools": {pool: list(nodes) for pool, nodes in pools.items()}}
        self.nodes_path.write_text(yaml.safe_dump(document))

    @property
    def registry(self) -> Registry:
        return Registry(self.state_dir)

    def start(self, workers: int = 2) -> Worker:
        """Start Kamailio; the first SIP worker. `timer` is the process that the supervisor runs in."""
        first = self.ksr.start(Script(), workers=workers)
        self.timer = self.ksr.worker(fork(self.ksr.main.handler), -1)
        self.timer.child_init()
        return first

    def tick(self, times: int = 1, seconds: float = 1.0) -> None:
        """Let the timer run so often, this long apart."""
        for _ in range(times):
            self.ksr.clock.advance(seconds)
            supervisor = self.routes(self.timer).supervisor
            supervisor.duties.due.clear()  # every duty at every tick: time.monotonic() is not the stub's clock
            supervisor.prober.due = supervisor.counts.due = 0
            self.timer.run("ksr_timer_event", "kemi_rtp")  # sends the pings
            self.timer.run("ksr_timer_event", "kemi_rtp")  # gathers the answers

    def getpid(self) -> int:
        """The id of the process that runs now."""
        return self.ksr.process.pid

    def is_alive(self, pid: int) -> bool:
        """Whether a process of this Kamailio runs."""
        return pid == ANOTHER or any(process.pid == pid for process in self.ksr.processes)

    def routes(self, worker: Worker) -> Routes:
        script = worker.script
        assert isinstance(script, Routes)
        return script

    def client(self, looks_up: object = None) -> "FakeClient":
        """What stands for an NG client of the timer."""
        return FakeClient(self)

    def state(self, worker: Worker) -> WorkerState:
        """A worker's hold on shared memory."""
        return self.routes(worker).rtp.state

    def daemon(self, name: str) -> Daemon:
        """The fake rtpengine behind a node."""
        return self.ksr.rtpengine.daemon(self.node(name).url)

    def node(self, name: str) -> Node:
        return next(node for node in self.state(self.ksr.workers[0]).config().nodes if node.name == name)

    def serving(self, call_id: str) -> list[str]:
        """Names of the nodes that got an offer for a call, in the order of the nodes."""
        nodes = self.state(self.ksr.workers[0]).config().nodes
        return [n.name for n in nodes if any(is_of(c, call_id) for c in self.daemon(n.name).commands("offer"))]

    def call(self, worker: Worker, call_id: str, **parts: Any) -> tuple[SipMessage, Routed]:
        """Send an INVITE into a worker."""
        invite = self.ksr.invite(call_id=call_id, **parts)
        return invite, worker.request(invite)

    def answer(self, worker: Worker, relayed: SentMessage, code: int = 200, **parts: Any) -> Routed:
        """Let the callee reply to a relayed request."""
        parts.setdefault("sdp", True)
        return worker.reply(self.ksr.reply_to(relayed, code, **parts))

    def set_time(self, mocker: MockerFixture, now: datetime) -> None:
        """Let it be this time for the timer and for all that looks at the view."""
        for room in ("timer.registry_file", "shm.state.process", "shm.state.decisions"):
            mocker.patch(f"kemi_rtp.{room}.utc_now", return_value=now)

    # --- the operator's side -----------------------------------------------------------------------------------------

    def cli(self, *arguments: str) -> Result:
        """Run the kemi-rtp command; its RPCs reach this Kamailio while `reachable`."""
        return CliRunner().invoke(main, ["--nodes", str(self.nodes_path), *arguments])

    def disable(self, name: str, reason: str = "NIC swap") -> None:
        assert self.cli("disable", name, "--reason", reason, "--by", "alice@lb1").exit_code == 0

    def drain(self, name: str) -> None:
        assert self.cli("drain", name).exit_code == 0


class StubRpc(Rpc):
    """JSON-RPC that ends in the stub."""

    site: Site
    reachable = True

    def __init__(self, path: str, timeout: float = 2.0) -> None:
        self._path = path

    def __exit__(self, *exception: object) -> None:
        pass

    def call_all(self, method: str, parameters: Sequence[Sequence[str | int]]) -> list[Any]:
        return [self._call(method, each) for each in parameters]

    def _call(self, method: str, parameters: Sequence[str | int]) -> Any:
        if not type(self).reachable:
            raise NotReachable(f"{self._path}: Connection refused")
        ksr = self.site.ksr
        try:
            return ksr.rpc.execute(ksr.main, method, list(parameters))
        except RpcFault as fault:
            return RpcError(f"{method}: {fault.text}")


class StubTime:
    """Time for the command: while it sleeps, Kamailio's timer runs."""

    def __init__(self, site: Site) -> None:
        self.site = site

    def monotonic(self) -> float:
        return self.site.ksr.clock.now

    def monotonic_ns(self) -> int:
        return int(self.site.ksr.clock.now * 1e9)

    def sleep(self, seconds: float) -> None:
        self.site.tick(seconds=max(seconds, 0.1))


class FakeClient:
    """Sends to the stub's daemons instead of sockets."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.out: dict[str, str] = {}
        self.sent: dict[str, bytes] = {}
        self.took: dict[str, float] = {}

    def __deepcopy__(self, memo: object) -> "FakeClient":
        return FakeClient(self.site)

    def resolve(self, addresses: Iterable[Address], lost: Container[Address] = ()) -> set[Address]:
        list(addresses)
        return set()

    def send(self, name: str, address: Address, command: bytes) -> str:
        url = f"udp:{address[0]}:{address[1]}"
        self.out[name] = url
        self.sent[name] = command
        if command == PING:
            self.site.pings.append(url)
        elif command != STATISTICS:
            self.site.deletes.append((url, command))
            if self.site.ksr.rtpengine.daemon(url).answers:
                self.site.ksr.rtpengine.daemon(url).calls.pop(session_of(command), None)
        return ""

    def collect(self, timeout: float = 0.0) -> dict[str, bytes]:
        answered = {name for name, url in self.out.items() if self.site.ksr.rtpengine.daemon(url).answers}
        self.out = {name: url for name, url in self.out.items() if name not in answered}
        return {name: self.reply(name) for name in answered}

    def reply(self, name: str) -> bytes:
        if self.sent[name] != STATISTICS:
            return b"d6:result4:ponge"
        sessions = len(self.site.ksr.rtpengine.daemon(name).calls)
        return b"d6:result2:ok10:statisticsd17:currentstatisticsd11:sessionsowni%deeee" % sessions

    def overdue(self, age: float) -> set[str]:
        late, self.out = set(self.out), {}
        return late


def session_of(delete: bytes) -> str:
    """The call-id that a delete names."""
    found = re.search(rb"7:call-id(\d+):", delete)
    assert found, delete
    return delete[found.end() : found.end() + int(found[1])].decode()
