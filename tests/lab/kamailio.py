"""A real Kamailio: started with a configuration and an environment, asked over JSON-RPC, stopped without leftovers."""

import contextlib
import functools
import itertools
import json
import re
import socket
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .ports import Address, is_udp_bound
from .process import Process, wait_until

_FAULT = re.compile(r"^\s*\d+\(\d+\) (?:ERROR|CRITICAL|ALERT|BUG)\b.*|^Traceback \(most recent.*", re.MULTILINE)
# Logged at every start where each node is a set of its own, so that set 0, the module's default, does not exist.
_AT_EVERY_START = r"rtpengine .*select_rtpp_set\(\):  script error-invalid id_set to be selected"
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Line:
    """One installed Kamailio. `command` starts it; that of a line in a folder of its own enters that first."""

    name: str
    command: tuple[str, ...]

    def version(self) -> str:
        """What `kamailio -V` says, such as `5.6.3`."""
        return _version(self.command)


@functools.cache
def _version(command: tuple[str, ...]) -> str:
    output = subprocess.run([*command, "-V"], capture_output=True, text=True, check=True, timeout=10).stdout
    found = re.search(r"version: \S+ (\S+)", output)
    if not found:
        raise RuntimeError(f"cannot read a version from {output[:200]!r}")
    return found[1]


MACHINE = Line("5.6", ("kamailio",))


class StartFailedError(Exception):
    """Kamailio ended instead of starting."""

    def __init__(self, exit_code: int, log: str) -> None:
        super().__init__(f"Kamailio ended with {exit_code} at its start:\n{log[-3000:]}")
        self.exit_code = exit_code
        self.log = log


class RpcError(Exception):
    """Kamailio answered the RPC with an error."""

    def __init__(self, method: str, code: int, message: str) -> None:
        super().__init__(f"{method}: {code} {message}")
        self.code = code
        self.message = message


class Kamailio:
    """One Kamailio with its worker processes.

    `config` reads its listen addresses from `env`; `listen` repeats them here so that the laboratory can wait for
    them. `rpc_socket` is the UNIX datagram socket of its jsonrpcs module.
    """

    def __init__(
        self,
        folder: Path,
        config: Path,
        listen: Sequence[Address],
        rpc_socket: Path,
        env: Mapping[str, str] | None = None,
        line: Line = MACHINE,
        shared_memory_mb: int = 64,
    ) -> None:
        self.listen = tuple(listen)
        self.rpc_socket = rpc_socket
        self.line = line
        self.processes: dict[int, str] = {}  # what each process is for, by its id; of all starts
        self._folder = folder
        run_folder = folder / "run"
        run_folder.mkdir(exist_ok=True)
        self.process = Process(
            "kamailio",
            [
                *line.command,
                *("-f", str(config), "-DD", "-E", "-m", str(shared_memory_mb), "-M", "8"),
                *("-Y", str(run_folder), "-P", str(run_folder / "kamailio.pid")),
            ],
            folder / "kamailio.log",
            env,
            dies_by="TERM",  # it ends its workers then; killed, it would leave them behind
        )

    def start(self, timeout: float = 15.0) -> None:
        """Start it and wait until it listens and answers RPCs. Raises StartFailedError when it ends instead."""
        since = self.mark()
        self.process.start()

        def is_ready() -> bool:
            if not self.process.is_running:
                code = self.process.exit_code
                self.process.kill()  # children of a start that was given up
                raise StartFailedError(-1 if code is None else code, self.log(since))
            return all(is_udp_bound(address) for address in self.listen) and self._answers()

        wait_until(is_ready, f"Kamailio is ready (log: {self.process.log})", timeout)
        wait_until(self._lists_its_processes, "Kamailio lists all its processes")

    def stop(self) -> None:
        """SIGTERM, and SIGKILL for what is left after a while."""
        self.process.stop()

    def kill(self) -> None:
        """kill -9 for the main process and every worker."""
        self.process.kill()

    def restart(self) -> None:
        self.stop()
        self.start()

    def mark(self) -> int:
        """A point in time, for `since` below."""
        return self.process.mark()

    def log(self, since: int = 0) -> str:
        """What it logged since the mark."""
        return self.process.output(since)

    def faults(self, since: int = 0, allow: Sequence[str] = ()) -> list[str]:
        """Log lines of level ERROR and worse, and tracebacks, without those that match an expression of `allow`."""
        lines = [found.group().strip() for found in _FAULT.finditer(self.log(since))]
        allowed = (_AT_EVERY_START, *allow)
        return [line for line in lines if not any(re.search(pattern, line) for pattern in allowed)]

    def assert_no_faults(self, since: int = 0, allow: Sequence[str] = ()) -> None:
        faults = self.faults(since, allow)
        assert not faults, "Kamailio logged faults:\n" + "\n".join(faults[:20])

    def rpc(self, method: str, *params: object, timeout: float = 5.0) -> object:
        """One RPC over the UNIX socket; returns its result. Raises RpcError for an error answer."""
        number = next(_numbers)
        request = {"jsonrpc": "2.0", "id": number, "method": method, "params": list(params)}
        own_path = self._folder / f"rpc-{number}.sock"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
            client.settimeout(timeout)
            client.bind(str(own_path))
            try:
                client.connect(str(self.rpc_socket))
                client.send(json.dumps(request).encode())
                answer = json.loads(client.recv(1 << 20))
            finally:
                own_path.unlink()
        if "error" in answer:
            raise RpcError(method, answer["error"]["code"], answer["error"]["message"])
        return answer["result"]

    def _lists_its_processes(self) -> bool:
        """Whether `core.ps` is complete: the first processes work while the last are being forked."""
        listed = self.rpc("core.ps")
        assert isinstance(listed, list)
        self.processes.update(zip(listed[::2], listed[1::2], strict=True))
        return self.process.pids() <= self.processes.keys()

    def _answers(self) -> bool:
        with contextlib.suppress(OSError, RpcError):
            return bool(self.rpc("core.version", timeout=1.0))
        return False
