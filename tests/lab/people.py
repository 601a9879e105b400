"""What people decided about nodes: a model of its own, which the walks compare kemi_rtp with. Uses nothing of kemi_rtp.

Decisions are made by command, by hand in the registry file, and by a native `rtpengine.enable URL 0`. A command holds
from the moment it returns; the other two hold once Kamailio's timer has seen them: until then the old and the new are
both right.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ENABLED, DRAINING, DISABLED = "enabled", "draining", "disabled"
STATES = (ENABLED, DRAINING, DISABLED)  # from the freest to the strictest


class Place(NamedTuple):
    """A node as nodes.yaml has it."""

    name: str
    url: str


@dataclass(frozen=True)
class Decision:
    """`state` holds for the node called `node` and for the one at `url`, until `until` (Unix time); `then` follows."""

    node: str
    url: str
    state: str
    until: int | None = None
    then: "Decision | None" = None

    def speaks_of(self, place: Place) -> bool:
        return place.name == self.node or place.url in (self.node, self.url)

    def at(self, now: float) -> "Decision | None":
        """What is left of it at that time; None: the node is enabled."""
        if self.until is None or now < self.until:
            return self
        return self.then.at(now) if self.then else None


Decisions = Mapping[str, Decision]
"""By node name."""


def state_of(decisions: Decisions, place: Place, now: float) -> str:
    """The strictest of all that was decided about a node."""
    left = [d.at(now) for d in decisions.values() if d.speaks_of(place)]
    return max((d.state for d in left if d), key=STATES.index, default=ENABLED)


def at(decisions: Decisions, now: float) -> dict[str, Decision]:
    """What is left of all decisions at that time."""
    return {name: left for name, decision in decisions.items() if (left := decision.at(now))}


def decide(decisions: Decisions, new: Decision, places: Iterable[Place], now: float) -> dict[str, Decision]:
    """The decisions after one more by command.

    It replaces all that was decided about its node, which goes on only for other nodes that it spoke of, too. One with
    an end leaves the one without an end that it covers to come back.
    """
    about = Place(new.node, new.url)
    old = [decision for decision in at(decisions, now).values() if decision.speaks_of(about)]
    old.sort(key=lambda decision: (-STATES.index(decision.state), decision.until is not None, decision.node))
    kept = {name: decision for name, decision in at(decisions, now).items() if decision not in old}
    for decision in old:
        for other in places:
            if other.name != new.node and other.name not in kept and decision.speaks_of(other):
                then = decision.then and replace(decision.then, node=other.name, url=other.url)
                kept[other.name] = replace(decision, node=other.name, url=other.url, then=then)
    durable = [base for decision in old if (base := decision if decision.until is None else decision.then)]
    if new.until is not None and durable:
        base = max(durable, key=lambda decision: STATES.index(decision.state))
        kept[new.node] = replace(new, then=replace(base, node=new.node, url=new.url))
    elif new.state != ENABLED:
        kept[new.node] = new
    return kept


def adopt(decisions: Decisions, new: Decision, places: Iterable[Place], now: float) -> dict[str, Decision]:
    """The decisions after a native disable: it comes after one that disables the node for a time."""
    left = [d for d in at(decisions, now).values() if d.speaks_of(Place(new.node, new.url))]
    left.sort(key=lambda decision: (-STATES.index(decision.state), decision.until is not None, decision.node))
    if left and left[0].state == DISABLED:
        timed = left[0]
        if any(durable and durable.state == DISABLED for d in left if (durable := d.then if d.until else d)):
            return at(decisions, now)
        return at(decisions, now) | {timed.node: replace(timed, then=replace(new, node=timed.node))}
    return decide(decisions, new, places, now)


def read(path: Path) -> dict[str, Decision] | None:
    """The decisions in a registry file; None when it is missing, empty or no YAML."""
    try:
        document = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return None
    if not isinstance(document, dict):
        return None
    return {name: _decision(name, plain) for name, plain in document["nodes"].items()}


def _decision(name: str, plain: Mapping[str, Any]) -> Decision:
    until, then = plain.get("until"), plain.get("then")
    return Decision(
        name,
        plain.get("url", ""),
        plain["state"],
        int(datetime.fromisoformat(str(until)).timestamp()) if until else None,
        _decision(name, then) if then else None,
    )


class People:
    """All that people decided, and which of it must be in force now."""

    def __init__(self) -> None:
        self.registry: Decisions = {}  # what the registry file says, or the last good one when it is faulty
        self.is_faulty = False
        self._good: Decisions = {}  # what a faulty edit falls back to
        self._perhaps: list[Decisions] = []  # what else may be in force until the timer has run
        self._commanded: dict[Place, Decision] = {}  # since the timer ran

    def command(self, new: Decision, places: Iterable[Place], now: float) -> None:
        """A command has returned."""
        about = Place(new.node, new.url)
        known = any(decision.speaks_of(about) for decision in at(self.registry, now).values())
        if new.state == ENABLED and not known:
            return  # nothing to do
        places = list(places)
        perhaps = [*self._perhaps, self.registry, *(decide(decisions, new, places, now) for decisions in self._perhaps)]
        self._perhaps = list({frozenset(decisions.items()): decisions for decisions in perhaps}.values())
        self.registry = self._good = decide(self.registry, new, places, now)
        self.is_faulty = False
        self._commanded = {place: decision for place, decision in self._commanded.items() if not new.speaks_of(place)}
        self._commanded[about] = new

    def edit(self, decisions: Decisions) -> None:
        """The registry file was edited by hand."""
        self._perhaps.append(self.registry)
        self.registry = decisions
        self.is_faulty = False
        self._commanded.clear()

    def spoil(self) -> None:
        """The registry file was made unreadable by hand."""
        self._perhaps.append(self.registry)
        self.registry = self._good
        self.is_faulty = True
        self._commanded.clear()

    def crash(self, registry: Decisions | None, good: Decisions | None) -> None:
        """A command was killed: the files tell how far it came."""
        self._perhaps.append(self.registry)
        self._good = good or {}
        self.registry = self._good if registry is None else registry
        self.is_faulty = registry is None and good is not None
        self._commanded.clear()

    def adopt(self, place: Place, places: Iterable[Place], now: float) -> None:
        """A native disable has become a decision."""
        self._perhaps.append(self.registry)
        self.registry = self._good = adopt(self.registry, Decision(*place, DISABLED), places, now)
        self.is_faulty = False

    def tick(self) -> None:
        """Kamailio's timer has run, or Kamailio has started: what the registry says is in force."""
        self._good = self.registry
        self._perhaps.clear()
        self._commanded.clear()

    def allowed(self, place: Place, now: float) -> set[str]:
        """The states that may be in force for a node."""
        decided = state_of(self.registry, place, now)
        if place in self._commanded:
            return {decided}
        states = {decided, *(state_of(decisions, place, now) for decisions in self._perhaps)}
        # A command for a node of a nodes.yaml that is not in force yet holds for all that have its name or URL.
        least = [left.state for d in self._commanded.values() if d.speaks_of(place) and (left := d.at(now))]
        return {max(state, *least, key=STATES.index) if least else state for state in states}
