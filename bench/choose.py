"""choose: what it costs to choose a node and to bind a call to it, and what grows with the number of nodes.

One Kamailio for each number of nodes, all up at once and asked in turn. Beside it the rtpengine module's own choice in
a set of as many nodes, as far as it can be timed: see inside_plain.py.
"""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rich.table import Table

from bench import setups
from bench.measure import Budget, Result, Run, median, ratio, workshop
from bench.media import Fleet
from tests.lab.process import wait_until

SIZES = (3, 30, 300, 1000)
WHOLE = "choose and bind"
SHARES = ("none", "half", "all but one")
# Pings of one Kamailio must not slow another down while it measures; what they cost is in `growth`.
SETTINGS = {"probe_interval": 60}
SCRIPT = Path(__file__).with_name("inside.py")


def disabled_count(share: str, size: int) -> int:
    return {"none": 0, "half": size // 2, "all but one": size - 1}[share]


def run(run: Run) -> Result:
    rounds, calls = (2, 300) if run.quick else (11, 1500)
    sizes = SIZES
    # figures[share][size][figure] = medians of the rounds, in microseconds
    figures: dict[str, dict[str, dict[str, list[float]]]] = {}
    with workshop() as folder, Fleet(folder / "fleet", daemons=0, crowd=True) as fleet:
        _kemi_rtp(run, folder, fleet, sizes, rounds, calls, figures)
        module = _module(run, folder, fleet, sizes, rounds, calls)
    data: dict[str, Any] = {
        "sizes": list(sizes),
        "microseconds": {
            share: {size: {name: median(values) for name, values in of.items()} for size, of in by_size.items()}
            for share, by_size in figures.items()
        },
        "growth": {
            share: ratio(by_size[str(sizes[-1])][WHOLE], by_size[str(sizes[0])][WHOLE])
            for share, by_size in figures.items()
        },
        "module_microseconds": module,
    }
    of_all = {size: [median(figures[share][str(size)][WHOLE]) for share in SHARES] for size in (3, 1000)}
    worst = {size: max(values) for size, values in of_all.items()}
    return Result(
        "choose",
        {"rounds": rounds, "calls_per_round": calls},
        data,
        [_table(data), _steps(data), _module_table(data)],
        [
            Budget("choosing and binding, 3 nodes", worst[3], 8, "µs"),
            Budget("choosing and binding, 1,000 nodes", worst[1000], 10, "µs"),
        ],
    )


def _kemi_rtp(
    run: Run,
    folder: Path,
    fleet: Fleet,
    sizes: tuple[int, ...],
    rounds: int,
    calls: int,
    figures: dict[str, dict[str, dict[str, list[float]]]],
) -> None:
    order = run.random("choose")
    with ExitStack() as stack:
        kamailios = {}
        for size in sizes:
            one = setups.KemiRtp(
                folder / f"kemi{size}", fleet.crowd(size), name=f"{size} nodes", settings=SETTINGS, script=SCRIPT
            )
            kamailios[size] = one
            stack.enter_context(one)
        for share in SHARES:
            for size, one in kamailios.items():
                expected = size - disabled_count(share, size)
                one.site.write_registry(fleet.crowd(size)[: disabled_count(share, size)])
                wait_until(
                    lambda one=one, expected=expected: one.ask(0)["routable"] == expected,  # type: ignore[misc]
                    f"{expected} of {size} nodes are routable",
                    60,
                    interval=0.2,
                )
            of = figures[share] = {str(size): {} for size in sizes}
            for _ in range(rounds):
                for size in order.sample(sizes, len(sizes)):
                    measured: Any = kamailios[size].ask(calls)["figures"]
                    for name, values in measured.items():
                        of[str(size)].setdefault(name, []).append(values["median"])
                        of[str(size)].setdefault(f"{name}, p99", []).append(values["p99"])
            run.say(f"{share} disabled: done")


def _module(
    run: Run, folder: Path, fleet: Fleet, sizes: tuple[int, ...], rounds: int, calls: int
) -> dict[str, dict[str, dict[str, float]]]:
    order = run.random("choose-module")
    found: dict[str, dict[str, dict[str, list[float]]]] = {}
    with ExitStack() as stack:
        kamailios = {}
        for size in sizes:
            for state, disabled in (("none", False), ("all", True)):
                nodes = fleet.crowd(size, disabled=disabled)
                name = f"module {size} {state}"
                one = setups.timed_plain(folder / f"module{size}{state}", nodes, name)
                kamailios[size, state] = one
                stack.enter_context(one)
        for _ in range(rounds):
            for size, state in order.sample(list(kamailios), len(kamailios)):
                measured: Any = kamailios[size, state].ask(calls)["figures"]
                for name, values in measured.items():
                    found.setdefault(state, {}).setdefault(str(size), {}).setdefault(name, []).append(values["median"])
    return {
        state: {size: {name: median(values) for name, values in of.items()} for size, of in by_size.items()}
        for state, by_size in found.items()
    }


def _table(data: dict[str, Any]) -> Table:
    table = Table(title="choosing a node and binding a call to it: µs, median of medians", title_justify="left")
    table.add_column("disabled")
    for size in data["sizes"]:
        table.add_column(f"{size} nodes", justify="right")
    table.add_column(f"{data['sizes'][-1]} / {data['sizes'][0]} nodes", justify="right")
    for share in SHARES:
        by_size = data["microseconds"][share]
        cells = [f"{by_size[str(size)][WHOLE]:.2f}" for size in data["sizes"]]
        table.add_row(share, *cells, f"{data['growth'][share]['median']:.2f} ×")
    return table


def _steps(data: dict[str, Any]) -> Table:
    table = Table(title="its steps, no node disabled: µs", title_justify="left")
    table.add_column("step")
    for size in data["sizes"]:
        table.add_column(f"{size} nodes", justify="right")
    by_size = data["microseconds"]["none"]
    for name in by_size[str(data["sizes"][0])]:
        table.add_row(name, *(f"{by_size[str(size)][name]:.2f}" for size in data["sizes"]))
    return table


def _module_table(data: dict[str, Any]) -> Table:
    table = Table(title="the rtpengine module's own choice, in one set: µs for a whole command", title_justify="left")
    table.add_column("what")
    for size in data["sizes"]:
        table.add_column(f"{size} nodes", justify="right")
    for what, state, figure in (
        ("delete, all nodes disabled: looks in vain", "all", "delete"),
        ("delete, all nodes answer at once: with a round trip", "none", "delete"),
        ("set_rtpengine_set alone", "none", "select a set"),
    ):
        by_size = data["module_microseconds"][state]
        table.add_row(what, *(f"{by_size[str(size)][figure]:.2f}" for size in data["sizes"]))
    return table
