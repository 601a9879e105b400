"""Medians and ratios, budgets, and the JSON in which a run is kept."""

import json
import math
import os
import platform
import re
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

from rich.console import Console, RenderableType

CHECKOUT = Path(__file__).resolve().parents[1]

_NUMBERS = re.compile(r"\[[-\d.,e\s\[\]]+\]")  # lists of nothing but numbers, which JSON is to keep on a line


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` of the values do not exceed (nearest rank); NaN when there are none."""
    if not values:
        return float("nan")
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * share - 1e-9) - 1)]


median = statistics.median


def ratio(values: Sequence[float], others: Sequence[float]) -> dict[str, float]:
    """How many times the other each value is, pair by pair: median, least and greatest."""
    ratios = [one / other for one, other in zip(values, others, strict=True)]
    return {"median": round(median(ratios), 3), "min": round(min(ratios), 3), "max": round(max(ratios), 3)}


@dataclass(frozen=True)
class Budget:
    """A figure of shared claims: `value` must not exceed `limit`."""

    what: str
    value: float
    limit: float
    unit: str = ""

    @property
    def met(self) -> bool:
        return self.value <= self.limit


@dataclass
class Result:
    """What one bench found: `data` is what JSON and plots have, `tables` what people read."""

    name: str
    parameters: dict[str, Any]
    data: dict[str, Any]
    tables: list[RenderableType] = field(default_factory=list)
    budgets: list[Budget] = field(default_factory=list)


@dataclass
class Run:
    """One invocation: what the benches share. `quick` checks that they work; its figures mean nothing."""

    console: Console
    out: Path
    seed: int
    quick: bool
    lines: tuple[str, ...]

    def random(self, name: str) -> Random:
        """The order of things in one bench; the same for the same seed."""
        return Random(f"{self.seed}-{name}")

    def say(self, text: str) -> None:
        self.console.print(f"[dim]{text}[/dim]")

    def earlier(self, name: str) -> dict[str, Any] | None:
        """The data of a bench that ran before, into the same folder."""
        path = self.out / f"{name}.json"
        return json.loads(path.read_text())["data"] if path.exists() else None

    def keep(self, result: Result) -> Path:
        """Write the JSON of a result."""
        self.out.mkdir(parents=True, exist_ok=True)
        path = self.out / f"{result.name}.json"
        document = {
            "bench": result.name,
            "command": f"python -m bench {result.name} --seed {self.seed}{' --quick' if self.quick else ''}",
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "seed": self.seed,
            "quick": self.quick,
            "machine": machine(),
            "versions": versions(),
            "parameters": result.parameters,
            "budgets": [{**asdict(budget), "met": budget.met} for budget in result.budgets],
            "data": result.data,
        }
        text = json.dumps(document, indent=1)
        path.write_text(_NUMBERS.sub(lambda found: re.sub(r"\s+", " ", found[0]), text) + "\n")
        return path


@contextmanager
def workshop() -> Iterator[Path]:
    """A folder of one bench; kept when KEMI_RTP_LAB_KEEP is set in the environment."""
    # A short path: a UNIX socket's may have 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="kemi-rtp-bench-"))
    try:
        yield folder
    finally:
        if "KEMI_RTP_LAB_KEEP" not in os.environ:
            shutil.rmtree(folder, ignore_errors=True)


def machine() -> dict[str, Any]:
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text())
    return {
        "cpu": model[1] if model else platform.machine(),
        "cores": os.cpu_count(),
        "memory_mb": int(memory[1]) // 1024 if memory else None,
        "system": platform.freedesktop_os_release().get("PRETTY_NAME"),
        "load_average": os.getloadavg()[0],
    }


def versions() -> dict[str, str]:
    asked = {
        "kamailio": (("kamailio", "-V"), r"version: \S+ (\S+)"),
        "rtpengine": (("rtpengine", "--version"), r"(\d\S+)"),
        "sipp": (("sipp", "-v"), r"SIPp (v[\d.]+)"),
        "valgrind": (("valgrind", "--version"), r"valgrind-(\S+)"),
        "python": (("/usr/bin/python3", "--version"), r"(\d\S+)"),
        "kemi_rtp": (("git", "-C", str(CHECKOUT), "describe", "--always", "--dirty"), r"(\S+)"),
    }
    return {name: _first(command, pattern) for name, (command, pattern) in asked.items()}


def _first(command: Sequence[str], pattern: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    except OSError:
        return "not found"
    found = re.search(pattern, done.stdout + done.stderr)
    return found[1] if found else "unknown"
