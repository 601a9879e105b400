"""Admin states: what people decided about nodes, and how one decision follows another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from kemi_rtp.model.nodes import Node
from kemi_rtp.model.times import format_timestamp


class AdminState(StrEnum):
    """Admin state of a node, from the freest to the strictest. What a state means is said by its properties alone."""

    ENABLED = "enabled"
    DRAINING = "draining"
    DISABLED = "disabled"

    @property
    def strictness(self) -> int:
        """0 for the freest, more for each that is stricter."""
        return _STRICTNESS[self]

    @property
    def takes_new_calls(self) -> bool:
        """Whether people want new calls on the node."""
        return self is AdminState.ENABLED

    @property
    def may_be_sent_to(self) -> bool:
        """Whether anything is sent to the node at all: pings, and the commands of the calls that it has."""
        return self is not AdminState.DISABLED


_STRICTNESS = {state: number for number, state in enumerate(AdminState)}
OUT_OF_SERVICE = tuple(state for state in AdminState if not state.takes_new_calls)
"""The states that an entry of the registry has: a node without one is enabled."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What people decided about one node.

    `node` is its name, `url` its URL when the decision was made: a node that is renamed keeps its state. `since` and
    `until` are UTC to the second; after `until` the state `then` is in force, or the node is enabled without it.
    """

    node: str
    state: AdminState
    reason: str = ""
    by: str = ""
    since: datetime | None = None
    until: datetime | None = None
    url: str = ""
    then: Entry | None = None

    def at(self, now: datetime) -> Entry | None:
        """The entry that holds at `now`: itself, its successor when its time is over, or None for enabled."""
        entry: Entry | None = self
        while entry is not None and entry.until is not None and entry.until <= now:
            entry = entry.then
        return entry

    def describe(self) -> str:
        """For people: ``disabled by alice@lb1 since 2026-11-22T16:00:00Z until ...: NIC swap``."""
        words = [str(self.state)]
        words += [f"by {self.by}"] if self.by else []
        words += [f"since {format_timestamp(self.since)}"] if self.since else []
        words += [f"until {format_timestamp(self.until)}"] if self.until else []
        return " ".join(words) + (f": {self.reason}" if self.reason else "")


@dataclass(frozen=True, slots=True)
class Change:
    """One line of the history: `node` went from `before` to `after`; `way` is command, edit, until or drift."""

    at: datetime
    node: str
    before: AdminState
    after: AdminState
    reason: str
    by: str
    way: str
    until: datetime | None = None


def matching(entries: Mapping[str, Entry], node: Node) -> list[Entry]:
    """All entries that speak of a node, by its name or its URL: the strictest first, of these one without an end."""
    found = [entry for entry in entries.values() if node.name == entry.node or node.url in (entry.node, entry.url)]
    return sorted(found, key=lambda entry: (-entry.state.strictness, entry.until is not None))


def matching_each(entries: Mapping[str, Entry], nodes: Iterable[Node]) -> Iterator[tuple[Node, list[Entry]]]:
    """`matching` for many nodes, in one pass over the entries."""
    about: dict[str, dict[str, Entry]] = {}
    for name, entry in entries.items():
        for key in (entry.node, entry.url):
            about.setdefault(key, {})[name] = entry
    for node in nodes:
        yield node, matching(about.get(node.name, {}) | about.get(node.url, {}), node)


def strictest(entries: Iterable[Entry], now: datetime) -> Entry | None:
    """Of the entries that hold at `now` the strictest; None when none of them does, which is enabled."""
    holding = (current for entry in entries if (current := entry.at(now)) is not None)
    return max(holding, key=lambda entry: entry.state.strictness, default=None)


def state_of(entry: Entry | None) -> AdminState:
    """The admin state that an entry stands for; without one a node is enabled."""
    return entry.state if entry else AdminState.ENABLED


def decide(entries: Mapping[str, Entry], new: Entry, nodes: Iterable[Node] = ()) -> dict[str, Entry]:
    """The entries after the decision `new`, which replaces all that was decided about its node.

    A decision with an end leaves the one without an end that it covers to come back afterwards: a timer must not
    make a node more enabled than people left it. An old entry that speaks of another of `nodes` too, because names
    and URLs were exchanged, goes on for that one.
    """
    old = matching(entries, Node.known_by_name(new.node, new.url))
    kept = dict(entries)
    for entry in old:
        del kept[entry.node]
    for entry in old:
        for other in nodes:
            if other.name != new.node and other.name not in kept and matching({entry.node: entry}, other):
                then = entry.then and replace(entry.then, node=other.name, url=other.url)
                kept[other.name] = replace(entry, node=other.name, url=other.url, then=then)
    durable = [base for entry in old if (base := entry if entry.until is None else entry.then) is not None]
    base = max(durable, key=lambda entry: entry.state.strictness, default=None)
    if new.until is not None and base is not None:
        kept[new.node] = replace(new, then=replace(base, node=new.node, url=new.url))
    elif new.state in OUT_OF_SERVICE:
        kept[new.node] = new
    return kept


def differences(before: Mapping[str, Entry], after: Mapping[str, Entry], now: datetime) -> list[Change]:
    """The changes that lead from one set of entries to another, as history lines of way ``edit``."""
    changes = []
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        if old != new:
            changes.append(
                Change(
                    now,
                    name,
                    state_of(old),
                    state_of(new),
                    new.reason if new else "",
                    new.by if new and (old is None or new.by != old.by) else "",
                    "edit",
                    new.until if new else None,
                )
            )
    return changes
