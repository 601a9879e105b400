"""disable: offers that reach a node after `kemi-rtp disable` has returned, and how long the command takes."""

import time
from typing import Any

from rich.table import Table

from bench import setups
from bench.load import Load
from bench.measure import Budget, Result, Run, median, workshop
from bench.media import Daemon, Fleet
from tests.lab.process import wait_until

RATE = 200.0
QUIET = 0.7  # seconds that are watched after each command


def run(run: Run) -> Result:
    times = 3 if run.quick else 15
    disables: list[dict[str, float]] = []
    order = run.random("disable")
    with (
        workshop() as folder,
        Fleet(folder / "fleet") as fleet,
        setups.KemiRtp(folder / "kemi", fleet.nodes) as kemi_rtp,
        Load(folder, "disable", kemi_rtp.proxy, calls=None, rate=RATE, hold_ms=200) as load,
    ):
        for _ in range(times):
            daemon = order.choice(fleet.daemons)
            _wait_for_offers(daemon)
            mark = daemon.mark()
            asked = time.time()
            kemi_rtp.site.command("disable", daemon.name, "--reason", "bench")
            returned = time.time()
            time.sleep(QUIET)
            offers = daemon.offer_times(mark)
            after = [at for at in offers if at > returned]
            disables.append(
                {
                    "seconds": returned - asked,
                    "offers_during_the_command": len(offers) - len(after),
                    "offers_after": len(after),
                    "last_offer_after_return_ms": (max(offers) - returned) * 1000 if offers else float("nan"),
                }
            )
            kemi_rtp.site.command("enable", daemon.name)
        load.finish()
        calls = load.wait()
    seconds = [one["seconds"] for one in disables]
    data: dict[str, Any] = {
        "disables": disables,
        "offers_after": sum(int(one["offers_after"]) for one in disables),
        "command_ms": {"median": median(seconds) * 1000, "max": max(seconds) * 1000},
        "calls": calls.made,
        "failed": len(calls.failed),
        "unrelayed": len(calls.unrelayed),
    }
    return Result(
        "disable",
        {"rate": RATE, "workers": setups.WORKERS, "times": times, "watched_s": QUIET},
        data,
        [_table(data)],
        [
            Budget("offers after `kemi-rtp disable` returned", data["offers_after"], 0),
            Budget("`kemi-rtp disable`, median", data["command_ms"]["median"], 300, "ms"),
        ],
    )


def _wait_for_offers(daemon: Daemon) -> None:
    mark = daemon.mark()
    wait_until(lambda: daemon.offers(mark) >= 5, f"{daemon.name} takes calls", 20)


def _table(data: dict[str, Any]) -> Table:
    last = [one["last_offer_after_return_ms"] for one in data["disables"]]
    latest = max((ms for ms in last if ms == ms), default=float("nan"))
    table = Table(title=f"kemi-rtp disable under {RATE:g} calls/s", title_justify="left")
    for heading in (
        "times",
        "offers after its return",
        "last offer",
        "the command",
        "at most",
        "calls failed",
    ):
        table.add_column(heading, justify="right")
    table.add_row(
        str(len(data["disables"])),
        str(data["offers_after"]),
        f"{latest:.1f} ms after its return" if latest > 0 else f"{-latest:.1f} ms before its return",
        f"{data['command_ms']['median']:.0f} ms",
        f"{data['command_ms']['max']:.0f} ms",
        f"{data['failed']} of {data['calls']}",
    )
    return table
