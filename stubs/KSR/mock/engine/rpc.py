"""Kamailio's RPC commands, as KSR.jsonrpcs.exec reaches them. A test adds its own with `ksr.rpc.register`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from KSR.mock.engine.kamailio import Kamailio
    from KSR.mock.engine.process import Process

# Gets the process that executes it and the parameters, returns what becomes "result".
RpcCommand: TypeAlias = Callable[["Process", list[Any]], object]
BUILT_IN: dict[str, RpcCommand] = {}


class RpcFault(Exception):
    """An RPC command fails with this code and text."""

    def __init__(self, code: int, text: str) -> None:
        """Keep both."""
        super().__init__(text)
        self.code = code
        self.text = text


def rpc(name: str) -> Callable[[RpcCommand], RpcCommand]:
    """Register a command that every Kamailio of the mock has."""

    def register(command: RpcCommand) -> RpcCommand:
        BUILT_IN[name] = command
        return command

    return register


class RpcTable:
    """The commands of one Kamailio."""

    def __init__(self, kamailio: Kamailio) -> None:
        """Begin with the built-in ones."""
        self.kamailio = kamailio
        self.commands = dict(BUILT_IN)

    def register(self, name: str, command: RpcCommand | object) -> None:
        """Add or replace a command: a function of (process, parameters), or the result itself."""
        if callable(command):
            self.commands[name] = command
        else:
            self.commands[name] = lambda process, params: command

    def execute(self, process: Process, name: str, params: list[Any]) -> object:
        """Run a command; raises RpcFault."""
        command = self.commands.get(name)
        if command is None:
            raise RpcFault(500, "Method Not Found")
        return command(process, params)


def scan_text(params: list[Any], place: int) -> str | None:
    """Return a text parameter; None when it is missing or no text."""
    value = params[place] if place < len(params) else None
    return value if isinstance(value, str) else None


def scan_converted(params: list[Any], place: int) -> str | None:
    """Return a text parameter that may be given as a number (the format "." of Kamailio's scan)."""
    value = params[place] if place < len(params) else None
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else scan_text(params, place)


def scan_int(params: list[Any], place: int) -> int | None:
    """Return a number; a text counts as 0, as Kamailio's JSON-RPC takes it. None when it is missing."""
    if place >= len(params):
        return None
    value = params[place]
    return int(value) if isinstance(value, int | float) else 0


@rpc("core.version")
def _version(process: Process, params: list[Any]) -> object:
    return f"kamailio {process.kamailio.line.version} (x86_64/linux) "


@rpc("core.uptime")
def _uptime(process: Process, params: list[Any]) -> object:
    return {"now": "", "up_since": "", "uptime": process.kamailio.clock.ticks}
