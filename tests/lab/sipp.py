"""SIPp as caller and callee: runs the scenarios beside this file and reads what became of the calls.

Every scenario that gets an SDP checks that it names a relay's media address (127.0.1.N, or ::1 for IPv6) and not
the peer's own, so a call whose media was not relayed is a failed call.
"""

import csv
import re
import signal
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .ports import Address, free_address, free_port, is_udp_bound
from .process import Process, wait_until

SCENARIOS = Path(__file__).parent / "scenarios"

# Calls up at a time when their number is open; SIPp's own limit would slow the calls down.
_MOST_AT_A_TIME = 5000

# Media addresses that the peers name as their own; nothing is ever sent there (the second is from RFC 3849's range).
_OWN_MEDIA_V4 = "IP4 127.0.0.1"
_OWN_MEDIA_V6 = "IP6 2001:db8::1"


@dataclass(frozen=True)
class Result:
    """What SIPp says about its calls."""

    scenario: str
    exit_code: int
    created: int
    successful: int
    failed: int
    retransmissions: int
    reasons: Mapping[str, int] = field(default_factory=dict)  # SIPp's counters `Failed...`, those above 0
    errors: str = ""  # the first lines of SIPp's error log

    @property
    def ok(self) -> bool:
        return self.exit_code == 0 and self.failed == 0

    def __str__(self) -> str:
        text = (
            f"{self.scenario}: exit code {self.exit_code}, {self.created} calls, {self.successful} successful, "
            f"{self.failed} failed, {self.retransmissions} retransmissions"
        )
        if self.reasons:
            text += ", " + ", ".join(f"{name}: {count}" for name, count in self.reasons.items())
        return text + (f"\n{self.errors}" if self.errors else "")


class Sipp:
    """One SIPp process that plays one scenario for `calls` calls, or until `finish` when that is None.

    `proxy` is where a caller sends its requests, `callee` the address in its request URI; a callee has neither.
    `name` begins the Call-IDs of a caller: `NAME-1@lab`, `NAME-2@lab`, ... `ring_ms` is for `uas_call` alone.
    """

    def __init__(
        self,
        scenario: str,
        folder: Path,
        *,
        name: str,
        calls: int | None,
        host: str = "127.0.0.1",
        proxy: Address | None = None,
        callee: Address | str | None = None,
        rate: float = 10.0,
        pause_ms: int = 0,
        ring_ms: int | None = None,
        timeout: float = 60.0,
    ) -> None:
        self.scenario = scenario
        self.calls = calls
        self.address = free_address(host)
        self._host = host
        self._name = name
        self._files = folder / f"{name}-{scenario}"
        command = [
            *("sipp", "-sf", str(SCENARIOS / f"{scenario}.xml"), "-nostdin"),
            *("-i", host, "-p", str(self.address.port), "-bind_local", "-ci", "127.0.0.1", "-cp", str(free_port())),
            *("-r", f"{round(rate * 10)}", "-rp", "10000", "-l", str(calls or _MOST_AT_A_TIME)),
            *("-d", str(pause_ms), "-timeout", str(round(timeout)), "-timeout_error"),
            *("-cid_str", f"{name}-%u@lab"),
            *("-key", "sdp_address", _OWN_MEDIA_V6 if self.address.is_v6 else _OWN_MEDIA_V4),
            *("-trace_stat", "-fd", "1", "-stf", str(self._file("csv"))),
            *("-trace_err", "-error_file", str(self._file("errors"))),
            *("-trace_logs", "-log_file", str(self._file("log"))),
        ]
        if ring_ms is not None:
            command += ["-set", "ring_ms", str(ring_ms)]
        if calls is not None:
            command += ["-m", str(calls)]
        if callee is not None:
            command += ["-key", "callee", str(callee)]
        if proxy is not None:
            command += [str(proxy)]
        self.process = Process(f"sipp {scenario}", command, self._file("screen"), cwd=folder)
        self._timeout = timeout

    @property
    def call_ids(self) -> list[str]:
        """The Call-IDs of a caller's calls; without a number of calls, of those made so far."""
        calls = self.result().created if self.calls is None else self.calls
        return [f"{self._name}-{number}@lab" for number in range(1, calls + 1)]

    def start(self) -> None:
        """Start it and wait until it can receive."""
        self.process.start()
        wait_until(self._listens, f"SIPp listens on {self.address}")

    def established(self) -> int:
        """How many calls of a callee that answers and waits have got their ACK."""
        return self._logged("established")

    def reinvited(self) -> int:
        """How many re-INVITEs of such a callee have got their ACK."""
        return self._logged("reinvited")

    def say(self, word: str, call_ids: Sequence[str] | None = None) -> None:
        """Say a word that the scenario waits for (`REINVITE`, `HANGUP` in `uac_held`) to these calls, or to all."""
        family = socket.AF_INET6 if self.address.is_v6 else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as mouth:
            for call_id in self.call_ids if call_ids is None else call_ids:
                message = (
                    f"{word} sip:caller@{self.address} SIP/2.0\r\n"
                    f"Via: SIP/2.0/UDP {self.address.bracketed_host}:9;branch=z9hG4bK-{word}\r\n"
                    f"From: <sip:lab@lab>\r\nTo: <sip:caller@lab>\r\nCall-ID: {call_id}\r\nCSeq: 1 {word}\r\n"
                    "Content-Length: 0\r\n\r\n"
                )
                mouth.sendto(message.encode(), self.address)

    def wait(self, timeout: float | None = None) -> Result:
        """Wait for its last call and return the result."""
        self.process.wait(self._timeout + 10 if timeout is None else timeout)
        return self.result()

    def stop(self) -> None:
        """End it now, whatever its calls do."""
        self.process.kill()

    def finish(self) -> None:
        """Start no more calls, and end when those that are up have ended."""
        self.process.send_signal(signal.SIGUSR1)

    def result(self) -> Result:
        """What has become of its calls so far."""
        exit_code = self.process.exit_code
        row = self._last_statistics()

        def count(column: str) -> int:
            return int(row.get(f"{column}(C)", "0") or 0)

        reasons = {
            key.removesuffix("(C)"): count(key.removesuffix("(C)"))
            for key in row
            if key.startswith("Failed") and key.endswith("(C)") and key != "FailedCall(C)"
        }
        errors = self._file("errors")
        return Result(
            scenario=self.scenario,
            exit_code=-1 if exit_code is None else exit_code,
            created=int(row.get("TotalCallCreated", "0") or 0),
            successful=count("SuccessfulCall"),
            failed=count("FailedCall"),
            retransmissions=count("Retransmissions"),
            reasons={name: value for name, value in reasons.items() if value},
            errors=errors.read_text(errors="replace")[:3000] if errors.exists() else "",
        )

    def _file(self, kind: str) -> Path:
        return self._files.with_name(f"{self._files.name}.{kind}")

    def _listens(self) -> bool:
        if not self.process.is_running and self.process.exit_code not in (0, 1):
            raise RuntimeError(f"SIPp ended at its start: {self.process.output()[-1000:]}")
        return is_udp_bound(self.address) or not self.process.is_running

    def _logged(self, word: str) -> int:
        log = self._file("log")
        return len(re.findall(rf"\b{word}\b", log.read_text(errors="replace"))) if log.exists() else 0

    def _last_statistics(self) -> dict[str, str]:
        path = self._file("csv")
        if not path.exists():
            return {}
        with path.open(newline="", errors="replace") as file:
            rows = [row for row in csv.DictReader(file, delimiter=";") if row.get("TotalCallCreated")]
        return rows[-1] if rows else {}
