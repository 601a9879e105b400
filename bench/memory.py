"""memory: what a SIP worker takes, after calls, with kemi_rtp and with a plain KEMI script."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rich.table import Table

from bench import setups
from bench.load import Load
from bench.measure import Result, Run, median, workshop
from bench.media import Fleet
from bench.processes import private_kb, pss_kb
from bench.setups import Setup

SIZES = (3, 300, 1000)
COMPARED = ("plain KEMI", "kemi_rtp")


def run(run: Run) -> Result:
    calls = 100 if run.quick else 1000
    kb: dict[str, dict[str, dict[str, float]]] = {name: {} for name in COMPARED}
    with workshop() as folder, Fleet(folder / "fleet", crowd=True) as fleet:
        for size in SIZES:
            nodes = fleet.with_crowd(size)
            with ExitStack() as stack:
                both: dict[str, Setup] = {
                    "plain KEMI": setups.plain(folder / f"plain{size}", nodes),
                    "kemi_rtp": setups.KemiRtp(folder / f"kemi{size}", nodes),
                }
                for name, one in both.items():
                    stack.enter_context(one)
                    kb[name][str(size)] = _measure(one, folder, f"{name.replace(' ', '-')}{size}", calls)
    data: dict[str, Any] = {
        "sizes": list(SIZES),
        "kb": kb,
        "more_per_worker_kb": {
            str(size): kb["kemi_rtp"][str(size)]["worker_pss"] - kb["plain KEMI"][str(size)]["worker_pss"]
            for size in SIZES
        },
    }
    return Result("memory", {"calls": calls, "workers": setups.WORKERS}, data, [_table(data)])


def _measure(one: Setup, folder: Path, name: str, calls: int) -> dict[str, float]:
    with Load(folder, name, one.proxy, calls=calls, rate=200.0, hold_ms=200) as load:
        load.wait()
    workers = one.workers()
    return {
        "worker_pss": median([pss_kb(pid) for pid in workers]),
        "worker_private": median([private_kb(pid) for pid in workers]),
        "all_pss": sum(pss_kb(pid) for pid in one.processes()),
    }


def _table(data: dict[str, Any]) -> Table:
    table = Table(title="memory of a SIP worker (PSS, private) and of all processes: MB", title_justify="left")
    table.add_column("setup")
    for size in data["sizes"]:
        table.add_column(f"{size} nodes", justify="right")
    for what, label in (("worker_pss", "PSS"), ("worker_private", "private"), ("all_pss", "all processes, PSS")):
        for name in COMPARED:
            cells = [f"{data['kb'][name][str(size)][what] / 1024:.1f}" for size in data["sizes"]]
            table.add_row(f"{name}: {label}", *cells)
    return table
