"""What the pytest fixture `ksr` gives to a test: a Kamailio with helpers to build messages and to drive a script."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, Unpack

from KSR.mock.engine.behaviour import BEHAVIOURS
from KSR.mock.engine.config import Config, read_config
from KSR.mock.engine.errors import KemiFault, UnknownFunction, WouldHang
from KSR.mock.engine.kamailio import Call, Kamailio
from KSR.mock.engine.rpc import RpcFault
from KSR.mock.engine.worker import Routed, Worker, fork, run_event
from KSR.mock.htable.module import declare
from KSR.mock.htable.table import Table
from KSR.mock.modules.rtimer import Timer
from KSR.mock.rtpengine.daemons import Daemon, NgCommand, State
from KSR.mock.sip import compose
from KSR.mock.sip.compose import RequestParts
from KSR.mock.sip.message import Address, SipMessage
from KSR.mock.sip.sent import SentMessage

__all__ = [
    "Address", "Call", "Daemon", "KemiFault", "Ksr", "NgCommand", "Routed", "RpcFault", "SentMessage", "SipMessage",
    "State", "UnknownFunction", "Worker", "WouldHang",
]  # fmt: skip


TIMER_RANK = -1


class Script(Protocol):
    """A routing script: a module with mod_init()."""

    def mod_init(self) -> object:
        """Return the script object."""


class Ksr(Kamailio):
    """One Kamailio for one test."""

    # ---- the script -------------------------------------------------------------------------------------------------

    def start(self, script: ModuleType | Script | str | Path, workers: int = 1, *, timers: bool = False) -> Worker:
        """Start Kamailio with a script and return the first SIP worker; all are in `ksr.workers`.

        Order as in Kamailio: mod_init once, the modules' mod_init (rtpengine reads its table now), event route
        htable:mod-init, then child_init in the main process (rank 0) and in each worker (ranks 1 ...). With `timers`
        the rtimer routes run whenever the clock advances; else the test runs them itself (`worker.run`).
        """
        self.load_script = self._loader(script)
        self.htables_ready = False
        handler = self.load_script()
        self.htables_ready = True
        if handler is None:
            raise KemiFault("mod_init() returned None: Kamailio would not start")
        self.main.handler = handler
        self.rtpengine.start()
        if self.htable_event_callback:
            run_event(self.main, self.htable_event_callback, "htable:mod-init")
        self._master = fork(handler)  # untouched by any child_init, for the processes to come
        self.workers = [self.worker(fork(handler), rank) for rank in range(1, workers + 1)]
        Worker(self.main, handler).child_init()
        for worker in self.workers:
            worker.child_init()
        for timer in self.timers.found.values() if timers else ():
            self._run_timer(timer)
        self.check_faults()
        return self.workers[0]

    def _run_timer(self, timer: Timer) -> None:
        """Let an rtimer run with the clock, in a process of its own as mode=1 does."""
        worker = self.fork(TIMER_RANK)

        def run() -> None:
            for route in timer.routes:
                worker.event(route, "rtimer")

        self.clock.every(timer.interval, run)

    def configure(self, path: Path, **env: str) -> Config:
        """Take defines, module parameters, loaded modules and addresses from a kamailio.cfg; call it before start().

        `env` are the environment variables that the file asks for (`#!defenv`). A KSR module whose .so is not loaded
        is then missing here, too.
        """
        config = read_config(Path(path), env, self.line.major)
        self.defines.update(config.defines)
        for module, name, value in config.modparams:
            self.modparam(module, name, value)
        self.modules = {name: found for name, found in self.modules.items() if name in config.ksr_modules()}
        self.signatures = {found.name: found for functions in self.modules.values() for found in functions.values()}
        if config.listen:
            self.myself = {host for _, host, _ in config.listen}
            self.aliases = set(config.aliases)
            self.my_ports = {port for _, _, port in config.listen}
        return config

    def htable(self, spec: str) -> Table:
        """Declare a hash table: "name=>size=8;autoexpire=60"."""
        return declare(self, spec)

    def fork(self, rank: int = -1) -> Worker:
        """Fork one more process of the started script and run its child_init, such as an rtimer process (rank -1)."""
        worker = self.worker(fork(self._master), rank)
        worker.child_init()
        return worker

    def worker(self, handler: object, rank: int | None = None) -> Worker:
        """Make one more process with this script object; ranks below 0 are helpers such as rtimer processes."""
        process = self.new_process(len(self.processes) if rank is None else rank)
        process.reload_version = self.reload_version
        return Worker(process, handler)

    def _loader(self, script: ModuleType | Script | str | Path) -> Any:
        if isinstance(script, str | Path):
            script = load_file(Path(script))
        loaded = script
        first = True

        def load() -> object:
            nonlocal first, loaded
            if not first and isinstance(loaded, ModuleType):
                loaded = importlib.reload(loaded)
            first = False
            return loaded.mod_init()

        return load

    # ---- messages ---------------------------------------------------------------------------------------------------

    def invite(self, uri: str = "sip:bob@example.com", **parts: Unpack[RequestParts]) -> SipMessage:
        """Build an INVITE; with an SDP body unless `sdp=""`. For the parts see KSR.mock.sip.compose.request."""
        parts.setdefault("sdp", True)
        return compose.request("INVITE", uri, **parts)

    def message(self, method: str, uri: str = "sip:bob@example.com", **parts: Unpack[RequestParts]) -> SipMessage:
        """Build any request."""
        return compose.request(method, uri, **parts)

    def in_dialog(
        self,
        method: str,
        invite: SipMessage,
        relayed: SentMessage,
        uri: str = "sip:bob@192.0.2.20:5060",
        **parts: Unpack[RequestParts],
    ) -> SipMessage:
        """Build the caller's next request in the dialog of an INVITE that Kamailio relayed: to-tag, Route, CSeq."""
        parts.setdefault("call_id", invite.call_id)
        parts.setdefault("from_tag", invite.from_.tag or "")
        parts.setdefault("from_uri", invite.from_.uri)
        parts.setdefault("to_uri", invite.to.uri)
        parts.setdefault("to_tag", "callee-tag")
        parts.setdefault("cseq", invite.cseq[0] + (0 if method == "ACK" else 1))
        parts.setdefault("route", relayed.headers("Record-Route")[::-1])
        return compose.request(method, uri, **parts)

    def from_callee(
        self,
        method: str,
        invite: SipMessage,
        relayed: SentMessage,
        uri: str = "sip:alice@192.0.2.10:5060",
        **parts: Unpack[RequestParts],
    ) -> SipMessage:
        """Build the callee's request in that dialog: the tags are the other way round."""
        parts.setdefault("call_id", invite.call_id)
        parts.setdefault("from_tag", "callee-tag")
        parts.setdefault("from_uri", invite.to.uri)
        parts.setdefault("to_uri", invite.from_.uri)
        parts.setdefault("to_tag", invite.from_.tag or "")
        parts.setdefault("route", relayed.headers("Record-Route"))
        parts.setdefault("source", "192.0.2.20:5060")
        parts.setdefault("contact", "<sip:bob@192.0.2.20:5060>")
        return compose.request(method, uri, **parts)

    def cancel(self, invite: SipMessage) -> SipMessage:
        """Build the CANCEL of an INVITE."""
        via = invite.vias[0]
        return compose.request(
            "CANCEL", invite.uri, call_id=invite.call_id, cseq=invite.cseq[0], from_tag=invite.from_.tag or "",
            from_uri=invite.from_.uri, to_uri=invite.to.uri, branch=via.branch, contact="",
        )  # fmt: skip

    reply_to = staticmethod(compose.reply_to)

    @contextmanager
    def handling(self, message: SipMessage | str, route: str = "request") -> Iterator[SipMessage]:
        """Make a message the current one for KSR calls that the test itself makes, without a script."""
        received = self.receive(message)
        self.process.begin_message()
        with self.process.handling(received, route):
            yield received
        self.check_faults()

    @contextmanager
    def expects_fault(self, text: str = "") -> Iterator[None]:
        """Check that the script or the test misuses KEMI here; the message must hold `text`."""
        before = len(self.found_faults)
        with suppress(KemiFault):
            yield
        found = self.found_faults[before:]
        del self.found_faults[before:]
        assert any(text in str(fault) for fault in found), f"no fault with {text!r}; faults: {found}"

    # ---- what happened ----------------------------------------------------------------------------------------------

    def calls_to(self, *names: str) -> list[Call]:
        """Return the calls to these functions ("htable.sht_get"), in order."""
        return [call for call in self.calls if call.name in names]

    @property
    def unsimulated(self) -> list[str]:
        """The functions called so far that the stub only knows by type: they gave a default result."""
        names = {call.name: None for call in self.calls}
        return [name for name in names if name not in BEHAVIOURS and name not in self.results]

    def args_of(self, name: str) -> list[tuple[object, ...]]:
        """Return the arguments of each call to a function."""
        return [call.args for call in self.calls if call.name == name]

    def assert_called(self, name: str, *args: object) -> Call:
        """Check that a function was called with these arguments, and return that call."""
        for call in self.calls:
            if call.name == name and call.args == args:
                return call
        shown = "\n  ".join(str(call) for call in self.calls_to(name)) or "never called"
        raise AssertionError(f"KSR.{name}{args!r} was not called:\n  {shown}")

    def assert_not_called(self, *names: str) -> None:
        """Check that none of these functions was called."""
        found = self.calls_to(*names)
        assert not found, "called: " + ", ".join(map(str, found))

    def assert_order(self, *wanted: str | Sequence[object]) -> None:
        """Check that these calls were made in this order, others between them allowed.

        Each is a name, or a name with arguments: ("rr.add_rr_param", ";x=1").
        """
        rest = iter(self.calls)
        for item in wanted:
            name, args = (item, None) if isinstance(item, str) else (item[0], tuple(item[1:]))
            if not any(call.name == name and (args is None or call.args == args) for call in rest):
                shown = "\n  ".join(map(str, self.calls))
                raise AssertionError(f"{item!r} is missing or out of order in:\n  {shown}")

    def log_at(self, *levels: str) -> list[str]:
        """Return the log lines of these levels ("err", "warn" ...)."""
        return [line.text for line in self.log if line.level in levels]

    @property
    def replies(self) -> list[SentMessage]:
        """All replies sent so far."""
        return self.sent.replies

    @property
    def relayed(self) -> list[SentMessage]:
        """All requests sent so far."""
        return self.sent.requests


def load_file(path: Path) -> ModuleType:
    """Load a script file as app_python3 does: by its base name, with its folder first in sys.path."""
    name = path.stem
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
