"""instructions: what a call costs that no clock is needed for, by the plain KEMI script and by kemi_rtp's routes.

Machine instructions of the SIP worker, counted by valgrind in a running Kamailio: see callgrind.py. KEMI calls, calls
of Python functions and bytecodes, counted on the stub: see counted.py. A call is INVITE, 100, 180, 200, ACK, BYE and
200, with SDP in the INVITE and its 200, one after the other through one worker; 3 nodes, all enabled.

The instructions of Kamailio's start and of the first calls do not count: valgrind is asked for its counters after each
message of so many calls, and what it had counted before the batches that are kept is dropped. So is what a worker does
outside receive_msg(), and the other processes. What is left of differences between batches is mostly the search of
Kamailio's memory manager, whose free memory looks a little different each time.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.table import Table

from bench import callgrind, setups
from bench.exchange import MESSAGES, Exchange
from bench.measure import CHECKOUT, Result, Run, median, ratio, workshop
from bench.media import Fleet
from bench.processes import cpu_seconds, is_asleep
from bench.setups import Setup
from tests.lab.process import wait_until

BASE, OURS = "plain KEMI", "kemi_rtp"
CASES = {BASE: "plain", OURS: "kemi_rtp"}
"""By setup, what counted.py calls it."""
ENTRY = "receive_msg"
"""The function of Kamailio that deals with one message, whatever that leads to."""
KEMI = "sr_apy_kemi_exec_func"
"""The function of app_python3 that every KEMI call goes through."""
FEW = 0.002
"""Object files with a lower share of the instructions are listed together."""

Instructions = callgrind.Instructions


def run(run: Run) -> Result:
    if shutil.which("valgrind") is None:
        raise RuntimeError("valgrind is not installed (make bench installs it)")
    runs, warm_up, batches, calls = (1, 1, 2, 10) if run.quick else (5, 2, 3, 40)
    taken: dict[str, list[list[dict[str, Instructions]]]] = {name: [] for name in CASES}
    warnings: dict[str, list[str]] = {name: [] for name in CASES}
    order = run.random("instructions")
    counts = {name: _counted(case) for name, case in CASES.items()}
    run.say("counted on the stub: done")
    with workshop() as folder, Fleet(folder / "fleet") as fleet:
        for number in range(runs):
            for name in order.sample(list(CASES), len(CASES)):
                place = folder / f"{CASES[name]}{number}"
                one: Setup
                if name == BASE:
                    one = setups.plain(place, fleet.nodes, workers=1)
                else:
                    one = setups.KemiRtp(place, fleet.nodes, workers=1)
                found, warned = _one_run(one, warm_up, batches, calls)
                taken[name].append(found)
                warnings[name] += warned
            run.say(f"run {number + 1} of {runs}: done")
    instructions = {name: _summary(of, calls) for name, of in taken.items()}
    data: dict[str, Any] = {
        "instructions": instructions,
        "ratio": ratio(instructions[OURS]["runs"], instructions[BASE]["runs"]),
        "counts": {name: _per_call(of) for name, of in counts.items()},
        "warnings": warnings,
    }
    for name, lines in warnings.items():
        for line in lines[:3]:
            run.say(f"[red]{name} logged:[/red] {line}")
    parameters = {
        "runs": runs,
        "warm_up_calls": warm_up * calls,
        "batches_per_run": batches,
        "calls_per_batch": calls,
        "python": counts[OURS]["python"],
    }
    tables: list[RenderableType] = [
        _instruction_table(data),
        _object_table(data),
        _count_table(data),
        _kemi_table(data),
        *(_function_table(name, data) for name in CASES),
    ]
    return Result("instructions", parameters, data, tables)


# --- instructions -----------------------------------------------------------------------------------------------------


def _one_run(one: Setup, warm_up: int, batches: int, calls: int) -> tuple[list[dict[str, Instructions]], list[str]]:
    """What each message of each batch of calls took; and what Kamailio warned of meanwhile."""
    command = one.kamailio.process.command
    start = command.index("kamailio")
    counted = callgrind.command([*command[start:], "-x", "fm"], one.folder, ENTRY)
    # Where a string's hash is another one each time, so is the way through each dictionary.
    command[start:] = ["env", "PYTHONHASHSEED=0", *counted]
    found = []
    with one, Exchange(one.proxy) as exchange:
        (worker,) = one.workers()
        counter = callgrind.Counted(worker, one.folder)
        for number in range(-warm_up, batches):
            if number == 0:
                mark = one.kamailio.mark()
            call_ids = [f"instructions-{number + warm_up:03d}-{call:04d}@bench" for call in range(calls)]
            of: dict[str, Instructions] = {}
            for message in MESSAGES:
                exchange.step(message, call_ids)
                _wait_until_idle(worker)
                of[message] = counter.take()
            entered = [of[message].calls[ENTRY] for message in MESSAGES]
            if entered != [calls] * len(MESSAGES):
                raise RuntimeError(f"{one.name}: {entered} messages came to the worker, not {calls} of each kind")
            if number >= 0:
                found.append(of)
        log = one.kamailio.log(mark)
    return found, re.findall(r"^.*\b(?:WARNING|ERROR|CRITICAL|ALERT|BUG):.*", log, re.MULTILINE)


def _wait_until_idle(pid: int) -> None:
    """Until a worker has done what it has to do for messages that nobody gets an answer to, too."""

    def is_idle() -> bool:
        before = cpu_seconds(pid)
        time.sleep(0.03)
        return is_asleep(pid) and cpu_seconds(pid) == before

    wait_until(is_idle, "the worker is idle", 30)


def _summary(runs: Sequence[Sequence[Mapping[str, Instructions]]], calls: int) -> dict[str, Any]:
    """Per call: of each run the median of its batches, and of these the median."""
    totals = [[sum(of.total for of in batch.values()) / calls for batch in batches] for batches in runs]
    every = [batch for batches in runs for batch in batches]
    objects: Counter[str] = Counter()
    functions: Counter[str] = Counter()
    for of in (of for batch in every for of in batch.values()):
        objects.update(of.by_object())
        functions.update({f"{name}:{function}": count for (name, function), count in of.by_function.items()})
    per_run = [median(batches) for batches in totals]
    made = calls * len(every)
    return {
        "per_call": round(median(per_run)),
        "runs": [round(of) for of in per_run],
        "batches": [[round(of) for of in batches] for batches in totals],
        "messages": {message: round(median(batch[message].total for batch in every) / calls) for message in MESSAGES},
        "objects": {name: round(count / made) for name, count in objects.most_common()},
        "functions": {name: round(count / made) for name, count in functions.most_common(40)},
        "kemi_calls": {
            message: round(sum(batch[message].calls[KEMI] for batch in every) / made, 2) for message in MESSAGES
        },
    }


# --- counts on the stub -----------------------------------------------------------------------------------------------


def _counted(case: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "bench.counted", case],
        env={**os.environ, "PYTHONPATH": str(CHECKOUT / "stubs"), "PYTHONHASHSEED": "0"},
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _per_call(counts: Mapping[str, Any]) -> dict[str, Any]:
    calls = counts["calls"]
    messages = {
        message: {
            what: {name: round(count / calls, 2) for name, count in counter.items()} for what, counter in of.items()
        }
        for message, of in counts["messages"].items()
    }
    return {**{name: of for name, of in counts.items() if name != "messages"}, "messages": messages}


def _sums(counts: Mapping[str, Any], what: str) -> "Counter[str]":
    """By function, per call."""
    found: Counter[str] = Counter()
    for of in counts["messages"].values():
        found.update(of[what])
    return found


# --- tables -----------------------------------------------------------------------------------------------------------


def _compared(title: str, first: str) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column(first)
    for heading in (BASE, OURS, "more", f"/ {BASE}"):
        table.add_column(heading, justify="right")
    return table


def _cells(base: float, ours: float) -> tuple[str, str, str, str]:
    return f"{base:,.0f}", f"{ours:,.0f}", f"{ours - base:+,.0f}", f"{ours / base:.3f} ×" if base else ""


def _instruction_table(data: Mapping[str, Any]) -> Table:
    base, ours = data["instructions"][BASE], data["instructions"][OURS]
    table = _compared("machine instructions of the SIP worker, by message", "message")
    for message in MESSAGES:
        table.add_row(message, *_cells(base["messages"][message], ours["messages"][message]))
    table.add_section()
    table.add_row("[bold]the call[/bold]", *_cells(base["per_call"], ours["per_call"]))
    for what, pick in (("least", min), ("greatest", max)):
        values = [f"{pick(of['runs']):,}" for of in (base, ours)]
        table.add_row(f"{what} of the runs", *values, "", f"{data['ratio'][pick.__name__]:.3f} ×")
    for what, pick in (("least", min), ("greatest", max)):
        values = [f"{pick(one for batches in of['batches'] for one in batches):,}" for of in (base, ours)]
        table.add_row(f"{what} of the batches", *values, "", "")
    return table


def _object_table(data: Mapping[str, Any]) -> Table:
    base, ours = (data["instructions"][name]["objects"] for name in (BASE, OURS))
    limit = FEW * sum(base.values())
    table = _compared("where: by object file, per call", "file")
    names = sorted({*base, *ours}, key=lambda name: (-ours.get(name, 0), -base.get(name, 0)))
    large = [name for name in names if max(base.get(name, 0), ours.get(name, 0)) >= limit]
    for name in large:
        table.add_row(name, *_cells(base.get(name, 0), ours.get(name, 0)))
    table.add_row("others", *_cells(*(sum(n for name, n in of.items() if name not in large) for of in (base, ours))))
    return table


def _count_table(data: Mapping[str, Any]) -> Table:
    table = Table(
        title=f"by message, {BASE} and {OURS}: counted on the stub, KEMI calls in Kamailio too", title_justify="left"
    )
    table.add_column("message")
    whats = ("kemi", "entered", "bytecodes")
    for heading in ("KEMI calls", "in Kamailio", "Python calls", "bytecodes"):
        for name in (BASE, OURS):
            table.add_column(f"{heading}\n{name}", justify="right")
    sums = [0.0] * 8
    for message in MESSAGES:
        cells = []
        for what in whats:
            cells += [sum(data["counts"][name]["messages"][message][what].values()) for name in (BASE, OURS)]
        cells[2:2] = [data["instructions"][name]["kemi_calls"][message] for name in (BASE, OURS)]
        table.add_row(message, *(f"{cell:,.5g}" for cell in cells))
        sums = [so_far + cell for so_far, cell in zip(sums, cells, strict=True)]
    table.add_section()
    table.add_row("[bold]the call[/bold]", *(f"{cell:,.5g}" for cell in sums))
    least_and_most = [
        "{} to {}".format(*data["counts"][name]["least_and_most_in_a_call"][what]) for what in whats for name in CASES
    ]
    table.add_row("least and most", *least_and_most[:2], "", "", *least_and_most[2:])
    return table


def _kemi_table(data: Mapping[str, Any]) -> Table:
    base, ours = (_sums(data["counts"][name], "kemi") for name in (BASE, OURS))
    table = Table(title="KEMI functions: calls per call", title_justify="left")
    for heading in ("function", BASE, OURS):
        table.add_column(heading, justify="left" if heading == "function" else "right")
    for name in sorted({*base, *ours}, key=lambda name: (-ours[name], -base[name], name)):
        table.add_row(name, f"{base[name]:g}", f"{ours[name]:g}")
    return table


def _function_table(name: str, data: Mapping[str, Any]) -> Table:
    entered, bytecodes = (_sums(data["counts"][name], what) for what in ("entered", "bytecodes"))
    table = Table(title=f"{name}: Python functions, per call", title_justify="left")
    for heading in ("function", "file", "calls", "bytecodes", "in"):
        table.add_column(heading, justify="right" if heading in ("calls", "bytecodes") else "left")
    for function, count in bytecodes.most_common():
        file, _, qualified = function.partition(":")
        messages = [m for m, of in data["counts"][name]["messages"].items() if function in of["entered"]]
        everywhere = len(messages) == len(MESSAGES)
        where = "every message" if everywhere else ", ".join(messages)
        table.add_row(qualified, file, f"{entered[function]:g}", f"{count:,.5g}", where)
    table.add_section()
    table.add_row("[bold]all[/bold]", "", f"{sum(entered.values()):g}", f"{sum(bytecodes.values()):,.5g}", "")
    return table
