"""start: Kamailio's start with 3 to 1,000 nodes, until it answers its first SIP request; kemi_rtp and plain KEMI."""

from typing import Any

from rich.table import Table

from bench import setups
from bench.measure import Result, Run, median, ratio, workshop
from bench.media import Fleet
from bench.setups import Setup

SIZES = (3, 30, 300, 1000)
BASE = "plain KEMI"
COMPARED = (BASE, "kemi_rtp", "kemi_rtp, half disabled")


def run(run: Run) -> Result:
    rounds = 1 if run.quick else 3
    order = run.random("start")
    seconds: dict[str, dict[str, list[float]]] = {name: {str(size): [] for size in SIZES} for name in COMPARED}
    with workshop() as folder, Fleet(folder / "fleet", daemons=0, crowd=True) as fleet:
        for number in range(rounds):
            for size in order.sample(SIZES, len(SIZES)):
                nodes = fleet.crowd(size)
                for name in order.sample(COMPARED, len(COMPARED)):
                    place = folder / f"{number}-{size}-{COMPARED.index(name)}"
                    one: Setup
                    if name == BASE:
                        one = setups.plain(place, nodes)
                    else:
                        one = setups.KemiRtp(place, nodes)
                        one.site.write_registry(nodes[: size // 2] if name != "kemi_rtp" else [])
                    try:
                        seconds[name][str(size)].append(one.seconds_to_first_answer())
                    finally:
                        one.stop()
            run.say(f"round {number + 1} of {rounds}: done")
    data: dict[str, Any] = {
        "sizes": list(SIZES),
        "seconds": {name: {size: median(of) for size, of in by_size.items()} for name, by_size in seconds.items()},
        "ratios": {
            name: {size: ratio(of, seconds[BASE][size]) for size, of in by_size.items()}
            for name, by_size in seconds.items()
        },
    }
    return Result("start", {"rounds": rounds}, data, [_table(data)])


def _table(data: dict[str, Any]) -> Table:
    table = Table(title=f"Kamailio's start to its first answer: s, and ratio to {BASE}", title_justify="left")
    table.add_column("setup")
    for size in data["sizes"]:
        table.add_column(f"{size} nodes", justify="right")
    for name in COMPARED:
        cells = [
            f"{data['seconds'][name][str(size)]:.2f} ({data['ratios'][name][str(size)]['median']:.2f} ×)"
            for size in data["sizes"]
        ]
        table.add_row(name, *cells)
    return table
