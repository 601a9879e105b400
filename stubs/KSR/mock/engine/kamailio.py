"""The Kamailio around a test: shared memory, clock, log, every KEMI call made, and the processes.

`active()` is the one that `KSR` functions act on; the pytest fixture makes a fresh one for each test.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Literal

from KSR.mock.engine import api
from KSR.mock.engine.arguments import convert
from KSR.mock.engine.behaviour import BEHAVIOURS, Behaviour, Result, default_result
from KSR.mock.engine.clock import Clock
from KSR.mock.engine.errors import BadCall, KemiFault, UnknownFunction, WouldHang
from KSR.mock.engine.exports import ANY, PARAMETERS, SHARED_MEMORY
from KSR.mock.engine.process import Process
from KSR.mock.engine.rpc import RpcTable
from KSR.mock.sip.message import SipMessage
from KSR.mock.sip.sent import Sent

if TYPE_CHECKING:
    from collections.abc import Callable

    from KSR.mock.htable.table import Table
    from KSR.mock.modules.rtimer import Timers
    from KSR.mock.modules.usrloc import Location
    from KSR.mock.modules.xhttp import HttpReply
    from KSR.mock.rtpengine.module import RtpengineModule
    from KSR.mock.tm.module import TmModule

Faults = Literal["test", "kamailio"]
LOG_LEVELS = {"alert": -5, "bug": -4, "crit": -2, "err": -1, "warn": 0, "notice": 1, "info": 2, "dbg": 3}


@dataclass(slots=True)
class Call:
    """One KEMI call: full name, arguments as given, what it returned, and the process that made it."""

    name: str
    args: tuple[object, ...]
    process: Process
    result: object = None

    def __str__(self) -> str:
        return f"KSR.{self.name}({', '.join(map(repr, self.args))}) -> {self.result!r}"


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of the log: what a script wrote, or what Kamailio would have written."""

    level: str
    text: str


class Kamailio:
    """One Kamailio. `version` is "5.6.3", "6.0.1", "6.0.2" or "6.1.5"; `faults` says what a misuse does.

    faults="test" (default): it raises KemiFault, and a fault that the script swallows still fails the test.
    faults="kamailio": it does what Kamailio does, such as raising SystemError or returning False.
    """

    # What modules keep in shared memory; each module makes its own (exports.py).
    htables: dict[str, Table]
    location: Location
    rtpengine: RtpengineModule
    timers: Timers
    tm: TmModule

    def __init__(self, version: str = api.DEFAULT_VERSION, faults: Faults = "test") -> None:
        """Start with empty shared memory and one process, the main one."""
        self.line = api.line(version)
        self.faults: Faults = faults
        self.modules = api.modules(self.line.api)
        self.signatures = api.signatures(self.line.api)
        self.clock = Clock()
        self.log: list[LogLine] = []
        self.calls: list[Call] = []
        self.found_faults: list[KemiFault] = []
        self.results: dict[str, Behaviour] = {}
        self.learned: list[tuple[ModuleType, str]] = []

        # False while mod_init of the script runs: the tables are declared then, but their memory is not there yet.
        self.htables_ready = True
        self.htable_event_callback = ""
        self.shared_variables: dict[str, Result] = {}
        self.defines: dict[str, str] = {}
        self.sent = Sent()
        self.rpc = RpcTable(self)
        self.params: dict[tuple[str, str], int | str] = {}
        # Addresses that are Kamailio's own (`listen`), the ports it listens on (empty: any), other names (`alias`).
        self.myself: set[str] = {"127.0.0.1"}
        self.aliases: set[str] = {"localhost"}
        self.my_ports: set[int] = set()
        self.http_replies: list[HttpReply] = []
        self.named_locks: dict[str, Process] = {}
        self.reload_version = 0
        self.load_script: Callable[[], object] | None = None
        self._message_number = 0
        for attribute, make in SHARED_MEMORY.items():
            setattr(self, attribute, make(self))
        self.processes: list[Process] = []
        self.main = self.new_process(0)
        self.process = self.main

    # ---- configuration ------------------------------------------------------------------------------------------

    def modparam(self, module: str, name: str, value: int | str) -> None:
        """Set a module parameter as kamailio.cfg does; the mock acts on those that it knows and keeps all."""
        self.params[module, name] = value
        take = PARAMETERS.get((module, name)) or PARAMETERS.get((module, ANY))
        if take is not None:
            take(self, name, value)

    def define(self, name: str, value: str = "1") -> None:
        """Set a `#!define`; the value with its quotes, if it has any."""
        self.defines[name] = value

    def returns(self, name: str, result: Result | Callable[..., Result]) -> None:
        """Give a KEMI function ("pike.pike_check_req") a fixed result, or a function of its arguments."""
        if name not in self.signatures:
            raise ValueError(f"Kamailio {self.line.version} has no KEMI function {name!r}")
        if callable(result):
            function = result
            self.results[name] = lambda process, *args: function(*args)
        else:
            self.results[name] = lambda process, *args: result

    def new_process(self, rank: int) -> Process:
        """Fork one more process."""
        process = Process(self, rank)
        self.processes.append(process)
        return process

    # ---- calls --------------------------------------------------------------------------------------------------

    def call(self, name: str, args: tuple[object, ...]) -> object:
        """Do what KSR.<name>(*args) does in the current process."""
        signature = self.signatures.get(name)
        if signature is None:
            missing = f"KSR.{name} does not exist in Kamailio {self.line.version}"
            self.fault(missing, "Kamailio would raise AttributeError")
            raise AttributeError(name)
        call = Call(name, args, self.process)
        self.calls.append(call)
        if self.process.pending is not None:
            pending, self.process.pending = self.process.pending, None
            self._raise_system_error(name, pending)
        try:
            values = convert(signature, args, self.line.major)
        except BadCall as bad:
            return self._bad_call(name, args, bad)
        behaviour = self.results.get(name) or BEHAVIOURS.get(name)
        if behaviour is None:
            result = default_result(self.process, signature.returns)
        else:
            result = behaviour(self.process, *values)
        call.result = result
        return result

    def _bad_call(self, name: str, args: tuple[object, ...], bad: BadCall) -> object:
        self.log_line("err", f"app_python3: {bad.log}")
        shown = ", ".join(map(repr, args))
        if self.line.major == 5:
            self.fault(f"KSR.{name}({shown}): {bad}", "Kamailio 5.x would raise SystemError")
            self._raise_system_error(name, bad.cause)
        self.fault(f"KSR.{name}({shown}): {bad}", f"Kamailio 6.x would log '{bad.log}' and return False")
        return False

    def _raise_system_error(self, name: str, cause: Exception) -> None:
        function = name.rpartition(".")[2]
        raise SystemError(f"<built-in function {function}> returned a result with an exception set") from cause

    def unknown_attribute(self, module: str, name: str, *, probing: bool) -> object:
        """Raise what an attribute that this version does not have raises; asking with hasattr() is no fault."""
        text = f"module {module!r} has no attribute {name!r}"
        if self.faults == "kamailio" or probing:
            raise AttributeError(text)
        unknown = UnknownFunction(f"{text} in Kamailio {self.line.version}: it would raise AttributeError")
        self.found_faults.append(unknown)
        raise unknown

    def fault(self, what: str, consequence: str) -> None:
        """Fail the test for a misuse; with faults="kamailio" only return."""
        if self.faults == "kamailio":
            return
        found = KemiFault(f"{what}. {consequence}.")
        self.found_faults.append(found)
        raise found

    def hang(self, what: str) -> None:
        """Fail the test where Kamailio would wait for ever; nothing else could be done, whatever `faults` says."""
        found = WouldHang(f"{what}. Nobody is there to release it: Kamailio would hang.")
        self.found_faults.append(found)
        raise found

    def check_faults(self) -> None:
        """Raise the first fault that a script has swallowed."""
        if self.found_faults:
            found, self.found_faults = self.found_faults[0], []
            raise found

    # ---- messages -----------------------------------------------------------------------------------------------

    def next_message_number(self) -> int:
        """Return the number of the next message, $mi."""
        self._message_number += 1
        return self._message_number

    def receive(self, message: SipMessage | str) -> SipMessage:
        """Take a message as a new one, untouched by earlier processing."""
        if isinstance(message, str):
            return SipMessage(message, number=self.next_message_number())
        return SipMessage(message.text, message.source, message.received, self.next_message_number())

    def reload_if_marked(self, process: Process) -> None:
        """Run the script and mod_init again when RPC app_python.reload has asked for it."""
        if process.reload_version == self.reload_version or self.load_script is None:
            return
        process.reload_version = self.reload_version
        process.handler = self.load_script()
        child_init = getattr(process.handler, "child_init", None)
        if child_init is not None:
            child_init(process.rank)

    # ---- log ----------------------------------------------------------------------------------------------------

    def log_line(self, level: str, text: str) -> None:
        """Add a line to the log, unless the process has a level of its own that hides it."""
        hidden_above = self.process.log_level
        if hidden_above is None or LOG_LEVELS.get(level, 0) <= hidden_above:
            self.log.append(LogLine(level, text))


_active: list[Kamailio] = []


def active() -> Kamailio:
    """Return the Kamailio that KSR functions act on; outside a test, one that is made on first use."""
    if not _active:
        activate(Kamailio())
    return _active[-1]


def activate(kamailio: Kamailio) -> None:
    """Make this Kamailio the active one, and forget the functions that the one before had."""
    for previous in _active:
        for module, name in previous.learned:
            module.__dict__.pop(name, None)
    _active[:] = [kamailio]
