"""What processes cost: CPU time and memory, from /proc."""

import contextlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """User and system time of all threads of a process.

    From /proc/PID/task/*/schedstat: the same time as in /proc/PID/stat, which counts in steps of 10 ms.
    """
    total = 0
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(FileNotFoundError):
                total += int((task / "schedstat").read_text().split()[0])
    except FileNotFoundError:
        return _stat_seconds(pid)
    return total / 1e9


def _stat_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK  # utime, stime (proc(5))


def is_asleep(pid: int) -> bool:
    """Whether a process waits for something, such as the next message."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "S"


def cpu_of(pids: Iterable[int]) -> dict[int, float]:
    return {pid: cpu_seconds(pid) for pid in pids}


def spent(before: Mapping[int, float]) -> dict[int, float]:
    """CPU seconds by process since `cpu_of`."""
    return {pid: cpu_seconds(pid) - then for pid, then in before.items()}


def pss_kb(pid: int) -> int:
    """Proportional set size: memory of its own, and its share of what it shares with others."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise RuntimeError(f"/proc/{pid}/smaps_rollup has no Pss")


def private_kb(pid: int) -> int:
    """Memory that is this process's alone: what one more of its kind costs."""
    lines = (line.split() for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines())
    return sum(int(fields[1]) for fields in lines if fields[0] in ("Private_Clean:", "Private_Dirty:"))
