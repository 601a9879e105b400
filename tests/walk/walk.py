"""The site of the long walk: a Kamailio on the stub that can be killed anywhere, and all traffic to the daemons."""

import importlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import yaml

from kemi_rtp.model.times import utc_now
from kemi_rtp.remote.rpc import Rpc
from kemi_rtp.timer.ng import Client
from KSR.mock.engine.kamailio import activate
from KSR.testing import Daemon, Ksr
from tests.unit.sabotage import Killed
from tests.unit.site import CONFIG, Site, StubRpc, StubTime, call_of, session_of

URLS = [f"udp:192.0.2.{number}:2223" for number in range(1, 6)]


@dataclass(frozen=True)
class Packet:
    """One command that reached a daemon. `ours`: kemi_rtp caused it, and not the module by its timer or an operator."""

    url: str
    command: str
    call_id: str
    ours: bool


class WalkSite(Site):
    """A site whose Kamailio goes down and comes back, whose clock is everybody's, and which notes who sends what."""

    def __init__(self, version: str, folder: Path, ping_interval: int) -> None:
        self.version = version
        self.ping_interval = ping_interval
        self.packets: list[Packet] = []
        self.killer: Callable[[], None] | None = None
        self._seen: dict[str, int] = {}
        self._writes = 0
        super().__init__(Ksr(version), folder)
        self._installed()

    def _installed(self) -> None:
        activate(self.ksr)
        if self.ping_interval and self.ksr.line.major > 5:
            self.ksr.modparam("rtpengine", "ping_interval", self.ping_interval)

    def reboot(self) -> None:
        """A new Kamailio beside the same files, daemons and clock."""
        old, self.ksr = self.ksr, Ksr(self.version)
        self.ksr.clock.advance(old.clock.now - self.ksr.clock.now)
        self.ksr.rtpengine.version_time = self.ksr.clock.seconds
        self.ksr.rtpengine.daemons = old.rtpengine.daemons
        self.ksr.configure(
            CONFIG,
            KEMI_RTP_NODES=str(self.nodes_path),
            KEMI_RTP_STATE_DIR=str(self.state_dir),
            KEMI_RTP_RPC_SOCKET=str(self.rpc_socket),
        )
        self._installed()

    @property
    def now(self) -> float:
        return self.ksr.clock.now

    def utc_now(self) -> datetime:
        return datetime.fromtimestamp(int(self.now), UTC)

    def tick(self, times: int = 1, seconds: float = 1.0) -> None:
        """Let time pass, then the timer run: a duty is due as in Kamailio, not at every tick.

        It runs ten times a second, the module's own ping timer once: what an operator did natively is seen before that.
        """
        killer, self.killer = self.killer, None  # the command that waits meanwhile is killed, not the timer
        first = 0.1 if self.ping_interval and seconds > 0.2 else 0.0
        for _ in range(times):
            for part in (first, seconds - first) if first else (seconds,):
                self.advance(part)
                self.timer.run("ksr_timer_event", "kemi_rtp")  # sends the pings
                self.timer.run("ksr_timer_event", "kemi_rtp")  # gathers the answers
        self.killer = killer

    def advance(self, seconds: float) -> None:
        """Let time pass: the module's own timer pings now."""
        self.collect()
        self.ksr.clock.advance(seconds)
        self.collect(ours=False)

    def dropped_deletes(self) -> bool:
        """Whether a delete that was put off has been given up since Kamailio started."""
        return bool(self.ksr.htables["kemi_rtp"].cells["deletes_dropped"].value)

    def daemon_at(self, url: str) -> Daemon:
        return self.ksr.rtpengine.daemon(url)

    def native(self, method: str, *parameters: str | int) -> object:
        """An operator's RPC to the module."""
        self.collect()
        try:
            return self.ksr.rpc.execute(self.ksr.main, method, list(parameters))
        finally:
            self.collect(ours=False)

    def collect(self, *, ours: bool = True) -> None:
        """Note what has reached the daemons since the last time."""
        self.packets += [Packet(url, "ping", "", ours=True) for url in self.pings]
        self.packets += [Packet(url, "delete", call_of(session_of(delete)), ours=True) for url, delete in self.deletes]
        self.pings.clear()
        self.deletes.clear()
        for url, daemon in self.ksr.rtpengine.daemons.items():
            seen = self._seen.get(url, 0)
            self.packets += [Packet(url, sent.command, call_of(sent.call_id), ours) for sent in daemon.log[seen:]]
            self._seen[url] = len(daemon.log)

    # --- files -------------------------------------------------------------------------------------------------------

    def write(self, path: Path, text: str | bytes | None) -> None:
        """Write a file (or remove it) as an editor does; two writes never look alike, however quickly they follow."""
        if text is None:
            path.unlink(missing_ok=True)
            return
        draft = path.with_name(f"{path.name}.edited")
        draft.write_bytes(text if isinstance(text, bytes) else text.encode())
        self._writes += 1
        os.utime(draft, ns=(self._writes * 1_000_000, self._writes * 1_000_000))
        os.replace(draft, path)

    def nodes_text(self, nodes: list[dict[str, Any]]) -> str:
        """A nodes.yaml; each node with its pool."""
        pools: dict[str, list[dict[str, Any]]] = {}
        for node in nodes:
            pools.setdefault(node["pool"], []).append({key: node[key] for key in ("name", "url", "weight", "tier")})
        places = {"state_dir": str(self.state_dir), "rpc_socket": str(self.rpc_socket)}
        return yaml.safe_dump({"settings": places, "pools": pools})

    # --- kill -9 -----------------------------------------------------------------------------------------------------

    @contextmanager
    def killed_after(self, points: int) -> Iterator[None]:
        """Raise Killed at the `points`th step of what runs inside: a KEMI call, an RPC, a change in the file system."""
        left = points

        def point() -> None:
            nonlocal left
            left -= 1
            if left == 0:
                raise Killed

        with ExitStack() as stack:
            self.killer = point
            stack.callback(setattr, self, "killer", None)
            for owner, name in ((self.ksr, "call"), *((os, each) for each in ("replace", "fsync", "link", "write"))):
                stack.enter_context(mock.patch.object(owner, name, self._pointed(getattr(owner, name))))
            yield

    def _pointed(self, real: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object) -> object:
            if self.killer:
                self.killer()
            return real(*args)

        return call


class WalkRpc(StubRpc):
    """JSON-RPC of a command that may be killed before each of its requests."""

    def _call(self, method: str, parameters: Sequence[str | int]) -> Any:
        site = self.site
        assert isinstance(site, WalkSite)
        if site.killer:
            site.killer()
        return super()._call(method, parameters)


class WalkTime(StubTime):
    """The site's clock; only what must never be the same twice is the real one."""

    time_ns = staticmethod(time.time_ns)

    def time(self) -> float:
        return self.site.ksr.clock.now


@contextmanager
def walk_site(version: str, folder: Path, ping_interval: int) -> Iterator[WalkSite]:
    """A site, with everything in kemi_rtp that would reach a socket, a daemon or the real clock led to it."""
    for late in (
        "remote.report",
        "remote.differences",
        "files.module_table",
    ):  # imported by a command when it needs them
        importlib.import_module(f"kemi_rtp.{late}")
    site = WalkSite(version, folder, ping_interval)
    clock = WalkTime(site)
    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(StubRpc, "site", site, create=True))
        stack.enter_context(mock.patch.object(StubRpc, "reachable", new=True))
        stack.enter_context(mock.patch.object(os, "fsync", return_value=None))  # processes die here, no machine
        for name, module in list(sys.modules.items()):
            if (
                name.startswith("kemi_rtp.") and name != "kemi_rtp.files.registry"
            ):  # which sleeps while it waits for its lock
                for attribute, stand_in in _stand_ins(module, site, clock):
                    stack.enter_context(mock.patch.object(module, attribute, stand_in))
        stack.callback(activate, Ksr())
        yield site


def _stand_ins(module: ModuleType, site: WalkSite, clock: StubTime) -> Iterator[tuple[str, object]]:
    found = vars(module)
    if isinstance(found.get("time"), ModuleType):
        yield "time", clock
    if found.get("utc_now") is utc_now:
        yield "utc_now", site.utc_now
    for name in ("_is_alive", "getpid"):
        if name in found:
            yield name, getattr(site, name.strip("_"))
    if found.get("Rpc") is Rpc and module.__name__ != Rpc.__module__:
        yield "Rpc", WalkRpc
    if found.get("Client") is Client:
        yield "Client", site.client
