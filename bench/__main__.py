"""`python -m bench`: run the benches, print their tables, keep JSON and plots."""

import argparse
import importlib
import resource
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import plots
from bench.measure import CHECKOUT, Budget, Run
from tests.lab import lines
from tests.lab.foreground import foreground

NAMES = ("choose", "cpu", "instructions", "freeze", "disable", "registry", "start", "memory", "growth")
RESULTS = CHECKOUT / "bench" / "results"
QUICK_RESULTS = CHECKOUT / ".cache" / "bench-quick"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="BENCH", help=f"which (default: all): {', '.join(NAMES)}")
    parser.add_argument("--quick", action="store_true", help="only see that they work: the figures mean nothing")
    parser.add_argument("--seed", type=int, default=1, help="of the order of alternation and of Call-IDs")
    parser.add_argument("--line", action="append", choices=lines.NAMES, help="Kamailio lines for freeze (default: all)")
    parser.add_argument("--out", type=Path, help=f"folder for JSON and PNG (default: {RESULTS.relative_to(CHECKOUT)})")
    parser.add_argument("--plots", action="store_true", help="measure nothing; draw the plots of what is in the folder")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(NAMES):
        parser.error(f"no such bench: {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    console = Console(width=None if sys.stdout.isatty() else 140, highlight=False)
    run = Run(
        console,
        (arguments.out or (QUICK_RESULTS if arguments.quick else RESULTS)).absolute(),
        arguments.seed,
        arguments.quick,
        tuple(arguments.line or lines.NAMES),
    )
    names = arguments.names or NAMES
    if arguments.plots:
        for name in names:
            plots.draw(name, run.out)
        return 0
    # A Kamailio with a thousand nodes opens that many sockets in each process.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    budgets: list[tuple[str, Budget]] = []
    with foreground():
        for name in names:
            console.rule(f"[bold]{name}[/bold]")
            began = time.monotonic()
            result = importlib.import_module(f"bench.{name}").run(run)
            for table in result.tables:
                console.print(table)
            path = run.keep(result)
            drawn = plots.draw(name, run.out)
            written = ", ".join(str(one) for one in [path, *drawn])
            run.say(f"{time.monotonic() - began:.0f} s; {written}")
            budgets += [(name, budget) for budget in result.budgets]
    console.rule("[bold]budgets[/bold]")
    console.print(_budget_table(budgets))
    return 0


def _budget_table(budgets: list[tuple[str, Budget]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("bench", "what", "measured", "budget", ""):
        table.add_column(heading, justify="right" if heading in ("measured", "budget") else "left")
    for name, budget in budgets:
        met = "[green]met[/green]" if budget.met else "[red]missed[/red]"
        table.add_row(name, budget.what, f"{budget.value:.4g} {budget.unit}", f"≤ {budget.limit:g} {budget.unit}", met)
    return table


if __name__ == "__main__":
    sys.exit(main())
