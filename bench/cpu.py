"""cpu: CPU time of all Kamailio processes per call, of four setups in alternation.

At two rates, because kemi_rtp's pings and its timer cost the same whatever the number of calls; and with Kamailio's
memory manager fm in place of the default one, whose search for free memory is most of what a call costs.
"""

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
QUIET, LOADED = 200.0, 500.0
"""Calls per second."""
SECONDS = 3
"""In which the calls of one round begin."""


def run(run: Run) -> Result:
    rounds, seconds = (2, 1) if run.quick else (5, SECONDS)
    cases: dict[str, Any] = {}
    with workshop() as folder, Fleet(folder / "fleet", crowd=True) as fleet:
        for manager, rates in (("default", (QUIET, LOADED)), ("fm", (LOADED,))):
            with ExitStack() as stack:
                compared = _setups(folder / manager, fleet, manager)
                for one in compared.values():
                    stack.enter_context(one)
                for rate in rates:
                    name = f"{rate:g} calls/s, {manager} memory manager"
                    order = run.random(f"cpu-{name}")
                    figures = alternate(compared, rounds, round(rate * seconds), rate, order)
                    cases[name] = {"setups": summary(figures, BASE), "rounds": figures}
                    run.say(f"{name}: done")
    budgets = [
        Budget(f"CPU per call at {case}, {name} / {BASE}", of["setups"][name]["all_ratio"]["median"], BUDGET, "×")
        for case, of in cases.items()
        for name in of["setups"]
        if name.startswith("kemi_rtp") and "default" in case
    ]
    parameters = {"rounds": rounds, "seconds_per_round": seconds}
    return Result("cpu", parameters, cases, [_table(case, of["setups"]) for case, of in cases.items()], budgets)


def _setups(folder: Path, fleet: Fleet, manager: str) -> dict[str, Setup]:
    compared: dict[str, Setup] = {
        "native cfg": setups.native(folder / "native", fleet.nodes),
        BASE: setups.plain(folder / "plain", fleet.nodes),
        "kemi_rtp, 3 nodes": setups.KemiRtp(folder / "kemi3", fleet.nodes, name="kemi3"),
        "kemi_rtp, 300 nodes": setups.KemiRtp(folder / "kemi300", fleet.with_crowd(300), name="kemi300"),
    }
    if manager != "default":
        for one in compared.values():
            one.kamailio.process.command += ["-x", manager]
    return compared


def alternate(
    compared: Mapping[str, Setup], rounds: int, calls: int, rate: float, order: Random
) -> dict[str, dict[str, list[float]]]:
    """By setup, of each round: ms of CPU per call of `all` processes and of the SIP `workers`; calls that `failed`."""
    names = list(compared)
    figures: dict[str, dict[str, list[float]]] = {name: {"all": [], "workers": [], "failed": []} for name in names}
    for number in range(-1, rounds):  # the first one warms up
        for name in order.sample(names, len(names)):
            one = compared[name]
            count = calls if number >= 0 else max(20, calls // 10)
            with Load(one.folder, f"{rate:g}-{number}", one.proxy, calls=count, rate=rate, hold_ms=300) as load:
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


def _table(case: str, summaries: dict[str, Any]) -> Table:
    table = Table(title=f"CPU per call at {case}: ms, user and system", title_justify="left")
    headings = ("setup", "all processes", f"/ {BASE}", "least to greatest", "SIP workers", f"/ {BASE}", "calls failed")
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "setup" else "right")
    for name, of in summaries.items():
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
