"""`make demo`: calls go on while a node is disabled, and everything that could bring it back is done.

Three rtpengine daemons, Kamailio with kamailio.cfg.d/kamailio.cfg, SIPp callers and callees. After each step a table
of what reached each daemon, as counted by the daemons. Exit code 0 only if no call failed, no packet reached the
disabled node, and that node took calls before and afterwards.
"""

import argparse
import sys

from rich.console import Console
from rich.table import Table

from . import lines
from .calls import Calls, Outcome
from .foreground import foreground
from .kamailio import RpcError, StartFailedError
from .laboratory import Mark
from .lines import LineError
from .process import wait_until
from .world import World

NODE = "rtp2"  # the node that is disabled
RATE = 20.0  # calls per second
CALL_MS = 300  # how long each of them is up
HELD = 9  # calls that are up while Kamailio restarts
ENOUGH = 10  # offers to a node that show that it takes calls


class Demo:
    """The steps of the demonstration, each one method, in order."""

    def __init__(self, world: World, console: Console) -> None:
        self.world = world
        self._console = console
        self._steps = 0
        self._outcomes: list[Outcome] = []
        self.took_calls_before = self.took_calls_after = 0
        self.packets_while_disabled = 0

    @property
    def calls(self) -> int:
        return sum(outcome.calls for outcome in self._outcomes)

    @property
    def failed(self) -> int:
        return sum(outcome.failed for outcome in self._outcomes)

    def run(self) -> None:
        traffic = self._traffic()
        self.all_nodes_take_calls()
        self.drain()
        disabled_since = self.disable()
        self.timer_ticks_pass()
        self.reload_by_command()
        self.reload_natively()
        self._finish(traffic)
        self.restart_kamailio()
        traffic = self._traffic()
        self.calls_after_the_restart()
        self.packets_while_disabled = self.world.counts(disabled_since)[NODE].total()
        self.enable()
        self._finish(traffic)

    def all_nodes_take_calls(self) -> None:
        self._step(f"Calls come in, {RATE:g} per second")
        mark = self.world.mark()
        self._wait_for_offers(mark, list(self.world.nodes))
        self.took_calls_before = self.world.counts(mark)[NODE]["offer"]
        self._table(mark)

    def drain(self) -> None:
        self._step(f"kemi-rtp drain {NODE}: no new calls, and those that it has end in peace")
        self._say(self.world.command("drain", NODE, "--reason", "NIC swap", "--by", "demo"))
        mark = self.world.mark()
        wait_until(lambda: self.world.shown(NODE)["calls"] == 0, f"{NODE} has no calls left", timeout=20)
        self._table(mark, "since the command returned")

    def disable(self) -> Mark:
        self._step(f'kemi-rtp disable {NODE} --reason "NIC swap"')
        self._say(self.world.command("disable", NODE, "--reason", "NIC swap", "--by", "demo"))
        mark = self.world.mark()
        self._wait_for_offers(mark, self._others())
        self._table(mark, "since the command returned")
        return mark

    def timer_ticks_pass(self) -> None:
        self._step("Timer ticks pass: the other nodes are pinged")
        mark = self.world.mark()
        self.world.wait_for_pings(*self._others(), number=4)
        self._table(mark)

    def reload_by_command(self) -> None:
        self._step("kemi-rtp reload")
        mark = self.world.mark()
        self._say(self.world.command("reload"))
        self._wait_for_offers(mark, self._others())
        self._table(mark)

    def reload_natively(self) -> None:
        self._step("The rtpengine module's own RPC: rtpengine.reload")
        mark = self.world.mark()
        self.world.native_reload()
        self._wait_for_offers(mark, self._others())
        self._table(mark)

    def restart_kamailio(self) -> None:
        self._step("Kamailio restarts while calls are up")
        self._say(
            f"{HELD} calls are set up and stay up. New calls pause for this moment: a restart loses\n"
            "the transactions that are open in it, whatever node they use. Afterwards each\n"
            "call sends a re-INVITE, then its BYE."
        )
        mark = self.world.mark()
        held = self.world.begin("held", calls=HELD, rate=50)
        held.wait_established()
        self.world.kamailio.restart()
        held.reinvite()
        self._outcomes.append(held.hang_up())
        self._table(mark)

    def calls_after_the_restart(self) -> None:
        self._step(f"Calls come in again; {NODE} is still disabled")
        mark = self.world.mark()
        self.world.wait_for_pings(*self._others(), number=4)
        self._wait_for_offers(mark, self._others())
        self._table(mark)

    def enable(self) -> None:
        self._step(f"kemi-rtp enable {NODE}")
        mark = self.world.mark()
        self._say(self.world.command("enable", NODE, "--by", "demo"))
        self._wait_for_offers(mark, list(self.world.nodes))
        self.took_calls_after = self.world.counts(mark)[NODE]["offer"]
        self._table(mark)

    def _traffic(self) -> Calls:
        return self.world.begin("plain", calls=None, rate=RATE, pause_ms=CALL_MS, timeout=180)

    def _finish(self, traffic: Calls) -> None:
        outcome = traffic.finish()
        self._outcomes.append(outcome)
        if outcome.failed:
            self._say(f"{outcome.caller}\n{outcome.callee}")

    def _others(self) -> list[str]:
        return [name for name in self.world.nodes if name != NODE]

    def _wait_for_offers(self, mark: Mark, names: list[str]) -> None:
        def enough() -> bool:
            counts = self.world.counts(mark)
            return all(counts[name]["offer"] >= ENOUGH for name in names)

        wait_until(enough, f"{', '.join(names)} take {ENOUGH} calls each", timeout=20, interval=0.1)

    def _step(self, title: str) -> None:
        self._steps += 1
        self._console.print(f"\n[bold]{self._steps}. {title}[/bold]", highlight=False)

    def _say(self, text: str) -> None:
        if text.strip():
            self._console.print(text.rstrip(), markup=False, highlight=False)

    def _table(self, mark: Mark, period: str = "in this step") -> None:
        """Offers and other packets per node, as counted by the daemons, and what `kemi-rtp show` says of the nodes."""
        states = {node["name"]: node for node in self.world.show()["nodes"]}
        table = Table(caption=f"counted by the daemons {period}; total: offers since the start")
        for title in ("node", "admin", "health"):
            table.add_column(title)
        for title in ("offers", "answers", "deletes", "pings", "other", "total"):
            table.add_column(title, justify="right")
        everything = self.world.counts()
        for name, counts in self.world.counts(mark).items():
            known = [counts[command] for command in ("offer", "answer", "delete", "ping")]
            cells = [*known, counts.total() - sum(known), everything[name]["offer"]]
            admin, health = str(states[name]["admin"]), str(states[name]["health"])
            style = None if admin == "enabled" else "yellow"
            table.add_row(name, admin, health, *map(str, cells), style=style)
        self._console.print(table)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.lab.demo", description=__doc__)
    lines.add_option(parser)
    console = Console()
    try:
        with foreground(), World(nodes=3, line=lines.get(parser.parse_args().line)) as world:
            return _demonstrate(world, console)
    except (LineError, StartFailedError) as error:
        console.print(str(error), markup=False, highlight=False)
        return 1


def _demonstrate(world: World, console: Console) -> int:
    console.print(
        f"Kamailio {world.kamailio.line.version()} and three rtpengine daemons are up. Media goes through them:\n"
        "a call whose SDP does not name a daemon's media address counts as failed.",
        highlight=False,
    )
    demo = Demo(world, console)
    try:
        demo.run()
    except (AssertionError, RpcError) as error:
        console.print(world.kamailio.log()[-3000:], markup=False, highlight=False)
        console.print(f"\nThe demonstration broke off: {error}", markup=False, highlight=False)
        return 1
    faults = world.kamailio.faults()
    for fault in faults[:20]:
        console.print(f"Kamailio logged: {fault}", markup=False, highlight=False)
    console.print(
        f"\ncalls: {demo.calls}, failed calls: {demo.failed}, "
        f"packets that reached {NODE} while it was disabled: {demo.packets_while_disabled}",
        style="bold",
        highlight=False,
    )
    took_calls = demo.took_calls_before > 0 and demo.took_calls_after > 0
    return 0 if took_calls and not (demo.failed or demo.packets_while_disabled or faults) else 1


if __name__ == "__main__":
    sys.exit(main())
