"""What every node may take: the one derivation, from nodes, admin states and health. Pure.

SIP workers build a View from shared memory to route by, and `kemi-rtp show` builds the same View from the same
shared memory to print: what it prints is what the next call meets.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from kemi_rtp.model.admin import Entry, State, from_json
from kemi_rtp.model.nodes import Node, Settings
from kemi_rtp.model.selection import Pool
from kemi_rtp.shm import layout as shared


class Health(StrEnum):
    """What the network shows of a node; unknown counts as up."""

    UP = "up"
    DOWN = "down"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Standing:
    """What one node may take, and why.

    `routable`: new calls. `serves`: answers, deletes and re-offers of the calls that are on it. `last_resort`: new
    calls when no node of its pool is routable. `slow`: answers late, so that it gets new calls only when no other node
    of its tier can take them. `reason` is for people.
    """

    admin: State
    health: Health
    routable: bool
    serves: bool
    last_resort: bool
    reason: str
    entry: Entry | None = None
    slow: bool = False


def derive(
    entries: Iterable[Entry], health: Health, cause: str, now: datetime, cooling: str = "", slow: str = ""
) -> Standing:
    """The standing of a node about which `entries` speak, of which the strictest counts.

    A draining node keeps its calls. A disabled node gets nothing. A down node gets nothing but, when its pool has no
    routable node, new calls as a last resort. A node that is cooling down, because of `cooling`, gets no new calls
    either, but serves those that it has. `cause` says what made the node down, `slow` how late it answered.
    """
    entry = max(
        (current for entry in entries if (current := entry.at(now)) is not None),
        key=lambda entry: entry.state.strictness,
        default=None,
    )
    admin = entry.state if entry else State.ENABLED
    up = health is not Health.DOWN
    told = [entry.describe()] if entry else []
    told += [] if up else [f"down: {cause}" if cause else "down"]
    told += [f"cooling down: {cooling}"] if cooling else []
    told += [f"slow: {slow}"] if slow and up else []
    return Standing(
        admin=admin,
        health=health,
        routable=admin is State.ENABLED and up and not cooling,
        serves=admin is not State.DISABLED and up,
        last_resort=admin is State.ENABLED and (not up or bool(cooling)),
        reason="; ".join(told),
        entry=entry,
        slow=bool(slow),
    )


DEFAULTS = Settings()
LATE_MS = 50
"""Milliseconds after which the answer to a command is late."""
MAX_TOLD = 4
"""Nodes that a reason names at most: it travels in a SIP header."""


class View:
    """The standing of all nodes at one generation, and the choice among them."""

    node: Callable[[int], tuple[Node, Standing] | None]
    """The node of a set with its standing; None when nodes.yaml has no such set any more."""

    def __init__(
        self,
        generation: object,
        standings: Mapping[Node, Standing],
        settings: Settings = DEFAULTS,
        *,
        stale: bool = False,
    ) -> None:
        self.generation = generation
        self.settings = settings
        self.stale = stale
        # Whether time alone can change it: without the supervisor, a node is neither down nor slow for ever.
        self.ages = stale or any(each.slow or each.health is Health.DOWN for each in standings.values())
        self._by_set = {node.set_id: (node, standing) for node, standing in standings.items()}
        self.node = self._by_set.get
        members: dict[str, list[tuple[Node, Standing]]] = {}
        for node, standing in standings.items():
            members.setdefault(node.pool, []).append((node, standing))
        self._pools = {pool: _pool(nodes) for pool, nodes in members.items()}

    def __iter__(self) -> Iterator[tuple[Node, Standing]]:
        return iter(self._by_set.values())

    def choose(self, pool: str, call_id: str, excluded: Collection[int] = ()) -> Node | None:
        """The node for a new call; None when the pool has none that may take it, or there is no such pool."""
        candidates = self._pools.get(pool)
        return candidates.choose(call_id, excluded) if candidates is not None else None

    def why_none(self, pool: str) -> str:
        """Why a pool has no node for a new call, for people."""
        reasons = [f"{node.name} {standing.reason}" for node, standing in self if node.pool == pool]
        if not reasons:
            return f"there is no pool {pool!r} in nodes.yaml"
        more = [f"and {len(reasons) - MAX_TOLD} more"] if len(reasons) > MAX_TOLD else []
        return "; ".join(reasons[:MAX_TOLD] + more)


def _pool(members: list[tuple[Node, Standing]]) -> Pool:
    routable = [node for node, standing in members if standing.routable]
    slow = {node.set_id for node, standing in members if standing.slow}
    return Pool(routable or [node for node, standing in members if standing.last_resort], slow)


# --- from shared memory ----------------------------------------------------------------------------------------------

Get = Callable[[str], "str | int | None"]
"""Reads one key of the table shared.STATE."""


def build(get: Get, now: datetime) -> View:
    """The view that shared memory holds. The generation is read first: a change in between shows at the next look.

    When the supervisor has stopped, nobody would bring a node up again: then being down counts as unknown.
    """
    generation = get(shared.GENERATION)
    config = shared.decode_config(get(shared.CONFIG))
    stale = is_stale(get, config.settings, now.timestamp())
    standings = {node: standing_of(get, node, now, stale=stale) for node in config.nodes}
    return View(generation, standings, config.settings, stale=stale)


def is_stale(get: Get, settings: Settings, now: float) -> bool:
    """Whether the supervisor has not run for so long that what it says of health is worth nothing."""
    heartbeat = get(shared.HEARTBEAT)
    return isinstance(heartbeat, int) and now - heartbeat > max(STALE_AFTER, 5 * settings.probe_interval)


STALE_AFTER = 15.0
"""Seconds without a sign of the supervisor, at least, after which health is unknown."""


def keys_of(nodes: Iterable[Node]) -> list[str]:
    """The keys that `build` reads for nodes."""
    return [
        key
        for node in nodes
        for key in (
            shared.admin_key(node.name),
            shared.admin_key(node.url),
            shared.health_key(node.url),
            shared.cool_key(node.url),
            shared.slow_key(node.url),
        )
    ]


def standing_of(get: Get, node: Node, now: datetime, *, stale: bool = False) -> Standing:
    """The standing that shared memory holds for one node, in force or about to be."""
    entries = [
        from_json(node.name, value)
        for key in (node.name, node.url)
        if isinstance(value := get(shared.admin_key(key)), str) and value
    ]
    health = get(shared.health_key(node.url))
    cooling = get(shared.cool_key(node.url))
    slow = get(shared.slow_key(node.url))
    if health == _UP and node.pool and not entries and not cooling and not slow:  # as with most of a thousand nodes
        return _IN_SERVICE
    state, cause = decode_health(health)
    if stale and state is Health.DOWN:
        state, cause = Health.UNKNOWN, ""
    standing = derive(entries, state, cause, now, str(cooling or ""), "" if stale else str(slow or ""))
    if not node.pool:
        reason = "; ".join(filter(None, ("has left nodes.yaml, serves its calls to their end", standing.reason)))
        standing = replace(standing, routable=False, last_resort=False, reason=reason)
    return standing


AWAITED = "no answer yet since it came into service"
"""Cause of being down: a node that was disabled takes calls when it has answered a ping, not before."""


def encode_health(health: Health, cause: str) -> str:
    """The value of a health key."""
    return json.dumps([health, cause])


def decode_health(value: str | int | None) -> tuple[Health, str]:
    """Health and its cause from the value of a health key; unknown when there is none."""
    if not isinstance(value, str):
        return Health.UNKNOWN, ""
    health, cause = json.loads(value)
    return Health(health), cause


_UP = encode_health(Health.UP, "")
_IN_SERVICE = derive((), Health.UP, "", datetime.min)
