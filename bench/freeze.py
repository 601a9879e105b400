"""freeze: what a node that falls sick does to calls, with stock Kamailio and with kemi_rtp, side by side in one run.

Stock Kamailio has native routes and the rtpengine module's defaults. Both get the same calls at the same time; each has
three nodes of its own, of which one falls sick, or all do and come back.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from bench import product, setups
from bench.load import Calls, Load
from bench.measure import Budget, Result, Run, workshop
from bench.media import Daemon, Fleet
from bench.setups import Setup
from tests.lab import lines
from tests.lab.kamailio import Line

RATE = 100.0
FAULT_AT = 5.0  # seconds
OUTAGE = 3.0  # seconds, of all nodes
QUICK = {"calls": 400, "fewer": 400, "fault_at": 1.0, "outage": 1.0}
FULL = {"calls": 3000, "fewer": 1500, "fault_at": FAULT_AT, "outage": OUTAGE}
SIDES = ("stock", "kemi_rtp")
QUICK_MS = 10.0
HALF_A_TRY_MS = product.one_try_ms() // 2


@dataclass(frozen=True)
class Case:
    """A sickness: what is done to the nodes, `sick` of the three."""

    name: str
    begin: Callable[[Daemon], None]
    sick: int = 1
    end: Callable[[Daemon], None] | None = None  # after the outage
    relayed: bool = False  # a relay in front of each node


CASES = (
    Case("freezes", Daemon.freeze),
    Case("loses all packets", Daemon.drop, relayed=True),
    Case("closes its port", Daemon.close_port),
    Case(f"answers {HALF_A_TRY_MS} ms late", Daemon.delay, relayed=True),
    Case("all freeze, and come back", Daemon.freeze, sick=3, end=Daemon.thaw),
)


def run(run: Run) -> Result:
    scale = QUICK if run.quick else FULL
    outcomes = []
    first = True
    missing = {}
    for name in run.lines:
        try:
            line = lines.get(name)
        except lines.LineError as error:
            missing[name] = str(error)
            run.console.print(f"[red]Kamailio {name} CANNOT BE HAD: {error}[/red]")
            continue
        for case in CASES if first else CASES[:1]:
            outcome = _side_by_side(line, case, scale)
            outcomes.append({"case": case.name, "line": name, "version": line.version(), **outcome})
            run.say(f"{line.version()}, {case.name}: done")
        first = False
    longest = product.module_timeout_ms() + 100
    budgets = []
    for one in outcomes:
        if one["case"] == CASES[0].name:
            kemi_rtp, on = one["kemi_rtp"], f"one of three freezes, {one['version']}"
            budgets += [
                Budget(f"{on}: new calls failed", kemi_rtp["failed_after_fault"], 0),
                Budget(f"{on}: setup p99", kemi_rtp["p99"], 10, "ms"),
                Budget(f"{on}: setup max", kemi_rtp["max"], longest, "ms"),
            ]
    parameters = {"rate": RATE, "workers": setups.WORKERS, **scale}
    data = {"outcomes": outcomes, "missing_lines": missing, "module_timeout_ms": product.module_timeout_ms()}
    return Result("freeze", parameters, data, [_table(outcomes), _back_table(outcomes)], budgets)


def _side_by_side(line: Line, case: Case, scale: Mapping[str, float]) -> dict[str, Any]:
    delay = HALF_A_TRY_MS if case.relayed else None
    with (
        workshop() as folder,
        Fleet(folder / "stock-nodes", delay_ms=delay) as stock_nodes,
        Fleet(folder / "kemi-nodes", delay_ms=delay) as kemi_nodes,
        setups.native(folder / "stock", stock_nodes.nodes, line, "stock") as stock,
        setups.KemiRtp(folder / "kemi", kemi_nodes.nodes, line) as kemi_rtp,
    ):
        both: dict[str, Setup] = {"stock": stock, "kemi_rtp": kemi_rtp}
        for one in both.values():
            with Load(folder, f"warm-{one.name}", one.proxy, calls=40, rate=RATE, hold_ms=100) as warm:
                warm.wait()
        sick = [daemon for fleet in (stock_nodes, kemi_nodes) for daemon in fleet.daemons[: case.sick]]
        return _under_load(folder, both, case, sick, scale)


def _under_load(
    folder: Path, both: Mapping[str, Setup], case: Case, sick: Sequence[Daemon], scale: Mapping[str, float]
) -> dict[str, Any]:
    calls, fault_at = int(scale["calls" if case is CASES[0] else "fewer"]), scale["fault_at"]
    loads = {side: Load(folder, side, one.proxy, calls=calls, rate=RATE) for side, one in both.items()}
    try:
        for load in loads.values():
            load.start()
        began = time.monotonic()
        _until(began + fault_at)
        for daemon in sick:
            case.begin(daemon)
        back_at = None
        if case.end:
            _until(began + fault_at + scale["outage"])
            for daemon in sick:
                case.end(daemon)
            back_at = fault_at + scale["outage"]
        done = {side: load.wait() for side, load in loads.items()}
    finally:
        for load in loads.values():
            load.stop()
    return {side: _figures(one, fault_at, back_at) for side, one in done.items()}


def _until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))


def _figures(calls: Calls, fault_at: float, back_at: float | None) -> dict[str, Any]:
    figures: dict[str, Any] = calls.figures()
    # Calls that were up or under way when the node fell sick are apart: they were on it.
    figures["failed_after_fault"] = sum(begin > fault_at for begin in calls.failed)
    figures["unrelayed_after_fault"] = sum(begin > fault_at for begin in calls.unrelayed)
    if back_at is not None:
        figures["failed_when_back"] = sum(begin > back_at for begin in calls.failed)
        figures["last_failed_s_after_back"] = max([begin - back_at for begin in calls.failed] + [0.0])
    # For the plot, seconds and milliseconds: every slow call, and some of those that were as quick as always.
    shown = [pair for number, pair in enumerate(calls.setups) if pair[1] > QUICK_MS or number % 5 == 0]
    figures["setups"] = [(round(begin, 2), round(ms, 1)) for begin, ms in shown]
    return figures


def _table(outcomes: Sequence[dict[str, Any]]) -> Table:
    table = Table(
        title=f"a node of three falls sick at {RATE:g} calls/s, {setups.WORKERS} workers: setup in ms",
        title_justify="left",
    )
    headings = ("the node", "Kamailio", "with", "calls", "failed", "new ones", "no media", "p50", "p95", "p99", "max")
    for heading in (*headings, "BYE max"):
        table.add_column(heading, justify="left" if heading in headings[:3] else "right")
    for one in outcomes:
        for side in SIDES:
            of = one[side]
            table.add_row(
                one["case"] if side == SIDES[0] else "",
                one["version"] if side == SIDES[0] else "",
                side,
                *(str(of[name]) for name in ("calls", "failed", "failed_after_fault", "unrelayed")),
                *(f"{of[name]:.1f}" for name in ("p50", "p95", "p99", "max", "bye_max")),
            )
    return table


def _back_table(outcomes: Sequence[dict[str, Any]]) -> Table:
    """What happens once nodes that were all frozen are back."""
    table = Table(title="once all nodes are back", title_justify="left")
    for heading in (
        "Kamailio",
        "with",
        "calls that failed in all",
        "that began since",
        "the last one after",
    ):
        table.add_column(heading, justify="left" if heading in ("Kamailio", "with") else "right")
    for one in outcomes:
        for side in SIDES:
            of = one[side]
            if "failed_when_back" in of:
                last = f"{of['last_failed_s_after_back']:.2f} s" if of["failed_when_back"] else "-"
                table.add_row(one["version"], side, str(of["failed"]), str(of["failed_when_back"]), last)
    return table
