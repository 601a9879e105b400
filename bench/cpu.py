"""cpu: CPU time of all Kamailio processes per call, of four setups in alternation."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Any

from rich.table import Table

from bench import setups
from bench.load import Load
from bench.measure import Budget, Result, Run, median, ratio, workshop
from bench.media import Fleet
from bench.setups import Setup

BASE = "plain KEMI"
BUDGET = 1.03


def run(run: Run) -> Result:
    rounds, calls, rate = (2, 200, 200.0) if run.quick else (6, 600, 200.0)
    with workshop() as folder, Fleet(folder / "fleet", crowd=True) as fleet, ExitStack() as stack:
        compared: dict[str, Setup] = {
            "native cfg": setups.native(folder / "native", fleet.nodes),
            BASE: setups.plain(folder / "plain", fleet.nodes),
            "kemi_rtp, 3 nodes": setups.KemiRtp(folder / "kemi3", fleet.nodes, name="kemi3"),
            "kemi_rtp, 300 nodes": setups.KemiRtp(folder / "kemi300", fleet.with_crowd(300), name="kemi300"),
        }
        for one in compared.values():
            stack.enter_context(one)
        figures = alternate(compared, folder, rounds, calls, rate, run.random("cpu"))
    data = {"setups": summary(figures, BASE), "rounds": figures}
    budgets = [
        Budget(f"CPU per call, {name} / {BASE}", data["setups"][name]["all_ratio"]["median"], BUDGET, "×")
        for name in ("kemi_rtp, 3 nodes", "kemi_rtp, 300 nodes")
    ]
    parameters = {"rounds": rounds, "calls_per_round": calls, "rate": rate}
    return Result("cpu", parameters, data, [_table(data, rate)], budgets)


def alternate(
    compared: Mapping[str, Setup], folder: Path, rounds: int, calls: int, rate: float, order: Random
) -> dict[str, dict[str, list[float]]]:
    """By setup, of each round: ms of CPU per call of `all` processes and of the SIP `workers`; calls that `failed`."""
    names = list(compared)
    figures: dict[str, dict[str, list[float]]] = {name: {"all": [], "workers": [], "failed": []} for name in names}
    for number in range(-1, rounds):  # the first one warms up
        for name in order.sample(names, len(names)):
            one = compared[name]
            count = calls if number >= 0 else max(20, calls // 10)
            with Load(one.folder, f"r{number}", one.proxy, calls=count, rate=rate, hold_ms=300) as load:
                before = one.cpu()
                done = load.wait()
                seconds = one.spent(before)
            if number >= 0:
                for what in ("all", "workers"):
                    figures[name][what].append(seconds[what] / count * 1000)
                figures[name]["failed"].append(len({*done.failed, *done.unrelayed}))
    return figures


def summary(figures: Mapping[str, Mapping[str, Sequence[float]]], base: str) -> dict[str, Any]:
    """Median of each figure, and its ratio to that of the base in the same round."""
    return {
        name: {
            **{f"{what}_ms_per_call": round(median(of[what]), 4) for what in ("all", "workers")},
            **{f"{what}_ratio": ratio(of[what], figures[base][what]) for what in ("all", "workers")},
            "failed": sum(of["failed"]),
        }
        for name, of in figures.items()
    }


def _table(data: dict[str, Any], rate: float) -> Table:
    table = Table(title=f"CPU per call at {rate:g} calls/s: ms, user and system", title_justify="left")
    headings = ("setup", "all processes", f"/ {BASE}", "least to greatest", "SIP workers", f"/ {BASE}", "calls failed")
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "setup" else "right")
    for name, of in data["setups"].items():
        table.add_row(
            name,
            f"{of['all_ms_per_call']:.3f}",
            f"{of['all_ratio']['median']:.3f} ×",
            f"{of['all_ratio']['min']:.3f} to {of['all_ratio']['max']:.3f}",
            f"{of['workers_ms_per_call']:.3f}",
            f"{of['workers_ratio']['median']:.3f} ×",
            str(of["failed"]),
        )
    return table
