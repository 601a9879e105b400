"""registry: reading and changing 10 to 10,000 entries, and what an operator and Kamailio's start see of it."""

import time
from collections.abc import Callable
from typing import Any

from rich.table import Table

from bench import setups
from bench.measure import Budget, Result, Run, median, workshop
from bench.media import Fleet, Node

SIZES = (10, 100, 1000, 10_000)
# Nodes of the registry that nodes.yaml does not have: it keeps what was decided about them.
FIGURES = {
    "load": "reading it",
    "load_edited": "reading it, after an edit by hand",
    "change": "changing it, durably",
    "command": "kemi-rtp disable, in force",
    "start": "Kamailio's start, to its first answer",
}


def entries(count: int) -> list[Node]:
    return [Node(f"kept{n}", f"udp:10.{n // 65536}.{n // 256 % 256}.{n % 256}:2223") for n in range(count)]


def run(run: Run) -> Result:
    rounds, slow_rounds = (2, 1) if run.quick else (7, 3)
    sizes = SIZES[:3] if run.quick else SIZES
    order = run.random("registry")
    ms: dict[str, dict[str, list[float]]] = {name: {str(size): [] for size in sizes} for name in FIGURES}
    with workshop() as folder, Fleet(folder / "fleet") as fleet:
        kamailios = {
            size: setups.KemiRtp(folder / f"entries{size}", fleet.nodes, name=f"{size} entries") for size in sizes
        }
        for number in range(rounds):
            for size in order.sample(sizes, len(sizes)):
                one = kamailios[size]
                one.site.write_registry(entries(size))
                ms["load_edited"][str(size)].append(_ms(one.site.load_registry))
                # The first change after an edit by hand adopts it; what is timed is the next.
                one.site.change_registry(fleet.nodes[0])
                ms["load"][str(size)].append(_ms(one.site.load_registry))
                ms["change"][str(size)].append(_ms(lambda one=one: one.site.change_registry(fleet.nodes[1])))  # type: ignore[misc]
                if number < slow_rounds:
                    ms["start"][str(size)].append(one.seconds_to_first_answer() * 1000)
                    try:
                        one.kamailio.rpc("core.version")
                        ms["command"][str(size)].append(
                            _ms(lambda one=one: one.site.command("disable", "rtp3", "--reason", "bench"))  # type: ignore[misc]
                        )
                    finally:
                        one.stop()
        run.say("done")
    data: dict[str, Any] = {
        "sizes": list(sizes),
        "ms": {name: {size: median(values) for size, values in of.items()} for name, of in ms.items()},
    }
    largest = str(sizes[-1])
    smallest = str(sizes[0])
    budgets = [
        Budget(f"registry of {largest} entries, a change", data["ms"]["change"][largest], 50, "ms"),
        Budget(
            f"registry of {largest} entries, Kamailio's start more than with {smallest}",
            data["ms"]["start"][largest] - data["ms"]["start"][smallest],
            1000,
            "ms",
        ),
    ]
    return Result("registry", {"rounds": rounds, "starts": slow_rounds}, data, [_table(data)], budgets)


def _ms(what: Callable[[], object]) -> float:
    began = time.perf_counter()
    what()
    return (time.perf_counter() - began) * 1000


def _table(data: dict[str, Any]) -> Table:
    table = Table(title="registry: ms, medians", title_justify="left")
    table.add_column("entries")
    for size in data["sizes"]:
        table.add_column(f"{size}", justify="right")
    for name, words in FIGURES.items():
        table.add_row(words, *(f"{data['ms'][name][str(size)]:.1f}" for size in data["sizes"]))
    return table
