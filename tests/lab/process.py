"""Programs under the laboratory's control: each in a session of its own, its output in a file."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path


class TimedOutError(AssertionError):
    """A condition did not come true in its time."""


def wait_until(condition: Callable[[], object], what: str, timeout: float = 10.0, interval: float = 0.02) -> None:
    """Wait until `condition()` is true, at most `timeout` seconds; `what` names it in the error."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise TimedOutError(f"not within {timeout:g} s: {what}")
        time.sleep(interval)


class Process:
    """One program that can be started, stopped, frozen, killed and started again; its output is appended to `log`.

    It dies with the laboratory, even when that is killed, by the signal `dies_by`. The kernel watches the thread that
    started the program, so that thread must live as long as the program shall.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        dies_by: str = "KILL",
    ) -> None:
        self.name = name
        self.command = ["setpriv", "--pdeathsig", dies_by, "--", *command]
        self.log = log
        self._env = {**os.environ, **(env or {})}
        self._cwd = cwd
        self._popen: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        if self._popen is None:
            raise RuntimeError(f"{self.name} was not started")
        return self._popen.pid

    @property
    def is_running(self) -> bool:
        return self._popen is not None and self._popen.poll() is None

    @property
    def exit_code(self) -> int | None:
        """None while it runs or before it was started."""
        return None if self._popen is None else self._popen.poll()

    def start(self) -> None:
        if self.is_running:
            raise RuntimeError(f"{self.name} is running already")
        with self.log.open("ab") as output:
            self._popen = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self._env,
                cwd=self._cwd,
                start_new_session=True,
            )

    def send_signal(self, number: int) -> None:
        if self.is_running:
            os.kill(self.pid, number)

    def freeze(self) -> None:
        """Stop it in its tracks (SIGSTOP): its sockets stay open and nobody answers."""
        self._send_group(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen program go on; it finds what was sent to it in the meantime."""
        self._send_group(signal.SIGCONT)

    def wait(self, timeout: float) -> int:
        """Wait for its end; returns the exit code, negative for a signal."""
        wait_until(lambda: not self.is_running, f"{self.name} ends", timeout)
        code = self.exit_code
        assert code is not None
        return code

    def stop(self, timeout: float = 5.0) -> None:
        """Ask it to end (SIGTERM), then make it end, with every process it started."""
        if self._popen is None:
            return
        self.thaw()
        self.send_signal(signal.SIGTERM)
        with contextlib.suppress(TimedOutError):
            self.wait(timeout)
        self.kill()

    def kill(self) -> None:
        """Kill it and every process of its session's group at once (SIGKILL)."""
        if self._popen is None:
            return
        self._send_group(signal.SIGKILL)
        self._popen.wait()
        # Children that lost their parent may be left to init as zombies for a while, which hold no socket any more.
        wait_until(lambda: not self.pids(), f"all processes of {self.name} are gone")

    def output(self, since: int = 0) -> str:
        """What it wrote, from byte `since` of its log on (see `mark`)."""
        if not self.log.exists():
            return ""
        with self.log.open("rb") as file:
            file.seek(since)
            return file.read().decode(errors="replace")

    def mark(self) -> int:
        """The present end of its log, for `output(since=...)`."""
        return self.log.stat().st_size if self.log.exists() else 0

    def _send_group(self, number: int) -> None:
        if self._popen is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._popen.pid, number)

    def pids(self) -> set[int]:
        """It and the processes of its session's group that live; zombies do not."""
        found: set[int] = set()
        for folder in Path("/proc").iterdir():
            if folder.name.isdecimal() and self._popen is not None:
                with contextlib.suppress(OSError):
                    # After the name in brackets: state, parent, process group (proc(5)).
                    state, _, group = (folder / "stat").read_text().rpartition(")")[2].split()[:3]
                    if int(group) == self._popen.pid and state not in "ZX":
                        found.add(int(folder.name))
        return found
