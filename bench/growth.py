"""growth: what is left to show over the number of nodes, and all curves in one picture.

CPU per call, CPU of a Kamailio without calls (its probing), and the commands `disable` and `show`, with 3 to 1,000
nodes. The other curves are taken from the benches that ran before into the same folder.
"""

import contextlib
import time
from contextlib import ExitStack
from typing import Any

from rich.table import Table

from bench import setups
from bench.cpu import alternate, summary
from bench.measure import Result, Run, median, workshop
from bench.media import Fleet

SIZES = (3, 30, 300, 1000)
OTHERS = ("choose", "registry", "start", "memory")


def run(run: Run) -> Result:
    rounds, calls, idle_s = (1, 100, 1.0) if run.quick else (3, 400, 5.0)
    names = {size: f"{size} nodes" for size in SIZES}
    with workshop() as folder, Fleet(folder / "fleet", crowd=True) as fleet, ExitStack() as stack:
        compared = {
            size: setups.KemiRtp(folder / f"kemi{size}", fleet.with_crowd(size), name=names[size]) for size in SIZES
        }
        for one in compared.values():
            stack.enter_context(one)
        order = run.random("growth")
        figures = alternate({names[size]: one for size, one in compared.items()}, rounds, calls, 200.0, order)
        before = {size: one.cpu() for size, one in compared.items()}
        time.sleep(idle_s)
        idle = {size: one.spent(before[size])["all"] / idle_s * 100 for size, one in compared.items()}
        commands: dict[str, dict[int, list[float]]] = {"disable": {}, "show": {}}
        failed: dict[str, str] = {}
        for _ in range(max(2, rounds)):
            for size in order.sample(SIZES, len(SIZES)):
                site = compared[size].site
                for name, arguments in (("disable", ("disable", "rtp2", "--reason", "bench")), ("show", ("show",))):
                    began = time.monotonic()
                    try:
                        site.command(*arguments)
                    except RuntimeError as error:
                        failed[f"{name}, {size} nodes"] = str(error)
                    commands[name].setdefault(size, []).append((time.monotonic() - began) * 1000)
                with contextlib.suppress(RuntimeError):  # it fails as disable did
                    site.command("enable", "rtp2")
    by_name = summary(figures, names[SIZES[0]])
    data: dict[str, Any] = {
        "sizes": list(SIZES),
        "cpu_ms_per_call": {str(size): by_name[names[size]]["all_ms_per_call"] for size in SIZES},
        "cpu_ms_per_call_workers": {str(size): by_name[names[size]]["workers_ms_per_call"] for size in SIZES},
        "cpu_ratio": {str(size): by_name[names[size]]["all_ratio"] for size in SIZES},
        "cpu_ratio_workers": {str(size): by_name[names[size]]["workers_ratio"] for size in SIZES},
        "idle_cpu_percent": {str(size): round(idle[size], 2) for size in SIZES},
        "command_ms": {
            name: {str(size): round(median(values), 1) for size, values in of.items()} for name, of in commands.items()
        },
    }
    data["failed_commands"] = failed
    for what, why in failed.items():
        run.console.print(f"[red]kemi-rtp {what} FAILED: {why}[/red]")
    for name in OTHERS:
        if run.earlier(name) is None:
            run.say(f"no {name}.json yet: its curves are left out (python -m bench {name})")
    parameters = {"rounds": rounds, "calls_per_round": calls, "idle_s": idle_s}
    return Result("growth", parameters, data, [_table(data)])


def _table(data: dict[str, Any]) -> Table:
    table = Table(title="growth with the number of nodes", title_justify="left")
    table.add_column("figure")
    for size in data["sizes"]:
        table.add_column(f"{size} nodes", justify="right")

    def row(label: str, of: dict[str, Any], form: str) -> None:
        table.add_row(label, *(form.format(of[str(size)]) for size in data["sizes"]))

    row("CPU per call, all processes: ms", data["cpu_ms_per_call"], "{:.3f}")
    row("  / with 3 nodes", {size: of["median"] for size, of in data["cpu_ratio"].items()}, "{:.3f} ×")
    row("CPU per call, SIP workers: ms", data["cpu_ms_per_call_workers"], "{:.3f}")
    row("  / with 3 nodes", {size: of["median"] for size, of in data["cpu_ratio_workers"].items()}, "{:.3f} ×")
    row("CPU without calls: % of one core", data["idle_cpu_percent"], "{:.2f}")
    row("kemi-rtp disable: ms", data["command_ms"]["disable"], "{:.0f}")
    row("kemi-rtp show: ms", data["command_ms"]["show"], "{:.0f}")
    return table
