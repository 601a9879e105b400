"""Calls by SIPp, and the setup time of each."""

import re
import signal
from dataclasses import dataclass
from pathlib import Path

from bench.measure import percentile
from tests.lab.ports import Address, free_address, free_port, is_udp_bound
from tests.lab.process import Process, wait_until

SCENARIOS = Path(__file__).parent / "scenarios"
_AT_A_TIME = 5000


@dataclass(frozen=True)
class Calls:
    """What became of calls. `begins` are their first INVITEs, in seconds since the first of all."""

    made: int
    failed: tuple[float, ...]  # begins of the calls that failed
    unrelayed: tuple[float, ...]  # begins of those whose answer named no relay
    setups: tuple[tuple[float, float], ...]  # begin, milliseconds from INVITE to 200
    byes: tuple[float, ...]  # milliseconds from BYE to 200

    def setup_ms(self, share: float, since: float = 0.0) -> float:
        """A percentile of the setup times (0.5, 0.95, 0.99, 1.0) of calls that began at `since` seconds or later."""
        return percentile([ms for begin, ms in self.setups if begin >= since], share)

    def bye_ms(self, share: float) -> float:
        return percentile(list(self.byes), share)

    def figures(self) -> dict[str, float | int]:
        return {
            "calls": self.made,
            "failed": len(self.failed),
            "unrelayed": len(self.unrelayed),
            **{name: round(self.setup_ms(share), 2) for name, share in SHARES.items()},
            "bye_p99": round(self.bye_ms(0.99), 2),
            "bye_max": round(self.bye_ms(1.0), 2),
        }


SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}


class Load:
    """A caller and a callee; `calls` None: until `finish`."""

    def __init__(
        self, folder: Path, name: str, proxy: Address, *, calls: int | None, rate: float, hold_ms: int = 500
    ) -> None:
        self.rate = rate
        self._calls = calls
        self._folder = folder / f"load-{name}"
        self._folder.mkdir()
        callee = free_address("127.0.0.1")
        self._callee_address = callee
        self._callee = self._sipp("callee", callee, [])
        # Long enough for every retransmission of the last call.
        timeout = round((calls or 60_000) / rate) + 60
        self._caller = self._sipp(
            "caller",
            free_address("127.0.0.1"),
            [
                *("-r", f"{round(rate * 10)}", "-rp", "10000", "-l", str(calls or _AT_A_TIME), "-d", str(hold_ms)),
                *(("-m", str(calls)) if calls else ()),
                *("-timeout", str(timeout), "-key", "callee", str(callee), "-cid_str", f"{name}-%u@bench"),
                *("-trace_rtt", "-rtt_freq", "1", "-trace_logs", "-log_file", str(self._folder / "caller.log")),
                str(proxy),
            ],
        )

    def start(self) -> None:
        self._callee.start()
        wait_until(lambda: is_udp_bound(self._callee_address), "SIPp listens")
        self._caller.start()

    def finish(self) -> None:
        """Start no more calls, and end when those that are up have ended."""
        self._caller.send_signal(signal.SIGUSR1)

    def wait(self) -> Calls:
        self._caller.wait(900)
        self._callee.kill()
        return self._read()

    def stop(self) -> None:
        self._caller.kill()
        self._callee.kill()

    def __enter__(self) -> "Load":
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def _sipp(self, scenario: str, address: Address, options: list[str]) -> Process:
        command = [
            *("sipp", "-sf", str(SCENARIOS / f"{scenario}.xml"), "-nostdin", "-bind_local"),
            *("-i", address.host, "-p", str(address.port), "-ci", "127.0.0.1", "-cp", str(free_port())),
            *("-trace_stat", "-fd", "1", "-stf", str(self._folder / f"{scenario}.csv")),
            *("-trace_err", "-error_file", str(self._folder / f"{scenario}.errors")),
            *options,
        ]
        return Process(f"sipp {scenario}", command, self._folder / f"{scenario}.screen", cwd=self._folder)

    def _read(self) -> Calls:
        log = (self._folder / "caller.log").read_text(errors="replace")
        numbers = {word: {int(n) for n in re.findall(rf"\b{word} (\d+)", log)} for word in ("unrelayed", "done")}
        times: dict[str, list[tuple[float, float]]] = {"1": [], "2": []}
        for path in self._folder.glob("*_rtt.csv"):
            for line in path.read_text(errors="replace").splitlines():
                # Date_ms;response_time_ms;rtd_no
                fields = line.split(";")
                if len(fields) >= 3 and fields[2] in times:
                    at, ms = float(fields[0]), float(fields[1])
                    times[fields[2]].append((at - ms, ms))
        made = self._made()
        setups = sorted(times["1"])
        first = setups[0][0] if setups else 0.0
        return Calls(
            made,
            tuple((n - 1) / self.rate for n in range(1, made + 1) if n not in numbers["done"]),
            tuple((n - 1) / self.rate for n in sorted(numbers["unrelayed"])),
            tuple(((begin - first) / 1000, ms) for begin, ms in setups),
            tuple(ms for _, ms in times["2"]),
        )

    def _made(self) -> int:
        if self._calls:
            return self._calls
        lines = (self._folder / "caller.csv").read_text().splitlines()
        column = lines[0].split(";").index("TotalCallCreated")
        return int(lines[-1].split(";")[column])
