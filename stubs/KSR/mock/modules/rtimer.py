"""The rtimer module: routes that run every so often, in a process of their own or in Kamailio's timer process.

It has no KEMI functions.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from KSR.mock.engine.exports import parameter, shared_memory

if TYPE_CHECKING:
    from KSR.mock.engine.kamailio import Kamailio

DEFAULT_INTERVAL = 120.0  # seconds
MICROSECONDS = 1_000_000


@dataclass
class Timer:
    """One timer: modparam("rtimer", "timer", "name=x;interval=100000u;mode=1;")."""

    name: str
    interval: float = DEFAULT_INTERVAL
    own_process: bool = False
    routes: list[str] = field(default_factory=list)


@dataclass
class Timers:
    """The timers that are declared."""

    found: dict[str, Timer] = field(default_factory=dict)

    def declare(self, spec: str) -> None:
        """Add a timer; an interval ending in "u" is in microseconds."""
        parts = parse(spec)
        interval = parts.get("interval", str(int(DEFAULT_INTERVAL)))
        seconds = int(interval[:-1]) / MICROSECONDS if interval.endswith("u") else float(interval)
        self.found[parts["name"]] = Timer(parts["name"], seconds, parts.get("mode", "0") != "0")

    def execute(self, spec: str) -> None:
        """Add a route to a timer: "timer=x;route=ksr_timer_event"."""
        parts = parse(spec)
        if parts.get("timer") not in self.found:
            raise ValueError(f"rtimer {spec!r}: no timer of that name is declared before; Kamailio would not start")
        self.found[parts["timer"]].routes.append(parts["route"])


@shared_memory("timers")
def make_timers(kamailio: Kamailio) -> Timers:
    """Begin without timers."""
    return Timers()


@parameter("rtimer", "timer")
def take_timer(kamailio: Kamailio, name: str, value: int | str) -> None:
    """Declare a timer."""
    kamailio.timers.declare(str(value))


@parameter("rtimer", "exec")
def take_route(kamailio: Kamailio, name: str, value: int | str) -> None:
    """Add a route to a timer."""
    kamailio.timers.execute(str(value))


def parse(spec: str) -> dict[str, str]:
    """Read `a=1;b=2`."""
    pairs = (part.partition("=") for part in spec.split(";") if part.strip())
    return {name.strip(): value.strip() for name, _, value in pairs}
