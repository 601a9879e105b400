"""Memory that all processes of one Kamailio share: the commands in flight, to which node and since when.

It is made before Kamailio forks, and every process inherits it. So this one module stays loaded when
`app_python.reload` brings in the others anew.

Each process has a place, and writes the cells of its own place only, each with a single store of eight bytes, so it
needs no lock. The order between these cells and the htables is kept by the locks of the latter: see
WorkerState.begin_command.
"""

from __future__ import annotations

import contextlib
import mmap
from pathlib import Path

PLACES = 1024
"""Processes of one Kamailio at most; place 0 is nobody's."""
_WIDTH = 8

made = False
"""Whether there is any: false in a process whose main process did not make it."""
pids: memoryview
"""By place: the id of the process that has it; 0 when nobody has."""
sets: memoryview
"""By place: set id of the node to which a command of the process is in flight; 0 for none."""
since: memoryview
"""By place: time.monotonic_ns() at which it began."""
taken: memoryview
"""One cell: no place from this one on is taken."""


def make() -> None:
    """Make it anew, for a Kamailio that starts."""
    global made, pids, sets, since, taken
    cells = memoryview(mmap.mmap(-1, (3 * PLACES + 1) * _WIDTH)).cast("q")
    pids, sets, since = (cells[n * PLACES : (n + 1) * PLACES] for n in range(3))
    taken = cells[3 * PLACES :]
    made = True


def place_of(pid: int) -> int | None:
    """The place that a process has taken; None when it has none."""
    with contextlib.suppress(ValueError):
        return pids.tolist().index(pid)
    return None


def take(place: int, pid: int) -> int:
    """Give a process a place, 1 or more, that a counter common to all has given to no other; returns it.

    Raises RuntimeError when there is no such place.
    """
    if not 0 < place < PLACES or pids[place]:
        raise RuntimeError(f"there is no place {place} in shared memory: Kamailio may have {PLACES - 1} processes")
    pids[place] = pid
    taken[0] = max(taken[0], place + 1)
    return place


def in_flight() -> frozenset[tuple[int, int, int]]:
    """The commands in flight: place of the process, set id of the node, and since when."""
    now = sets.tolist()
    if not any(now):
        return frozenset()
    return frozenset((place, set_id, since[place]) for place, set_id in enumerate(now) if set_id)


def tidy() -> None:
    """Take out the commands of processes that have died."""
    taken[0] = max((place + 1 for place, pid in enumerate(pids.tolist()) if pid), default=0)
    for place, _, _ in in_flight():
        if not _is_alive(pids[place]):
            sets[place] = 0


def _is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()
