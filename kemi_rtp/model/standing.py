"""What a node may take, and why: the one derivation, for routing and for display.

SIP workers route by it and `kemi-rtp show` prints it: what it prints is what the next call meets.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from kemi_rtp.model.admin import AdminState, Entry, state_of, strictest

LATE_MS = 50
"""Milliseconds after which the answer to a command or ping is late."""


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
    of its tier can take them. `full`: has as many calls as it may have. `reason` is for people.
    """

    admin: AdminState
    health: Health
    routable: bool
    serves: bool
    last_resort: bool
    reason: str
    entry: Entry | None = None
    slow: bool = False
    full: bool = False

    @property
    def is_down(self) -> bool:
        """Whether the network shows that the node does not answer."""
        return self.health is Health.DOWN

    @property
    def is_pinged(self) -> bool:
        """Whether the timer asks the node how it is."""
        return self.admin.may_be_sent_to


def derive(
    entries: Iterable[Entry],
    now: datetime,
    health: Health = Health.UNKNOWN,
    *,
    down_because: str = "",
    cooling_because: str = "",
    slow_because: str = "",
    full_because: str = "",
) -> Standing:
    """The standing of a node about which `entries` speak, of which the strictest counts.

    A draining node keeps its calls. A disabled node gets nothing. A down node gets nothing but, when its pool has no
    routable node, new calls as a last resort. A node that cools down gets no new calls either, but serves those that it
    has; one that is full the same, and it is no last resort. Why the network shows it down, why it cools down, how slow
    and how full it is are for people; a cause makes it so.
    """
    entry = strictest(entries, now)
    admin = state_of(entry)
    up = health is not Health.DOWN
    told = [entry.describe()] if entry else []
    told += [] if up else [f"down: {down_because}" if down_because else "down"]
    told += [f"cooling down: {cooling_because}"] if cooling_because else []
    told += [f"slow: {slow_because}"] if slow_because and up else []
    told += [f"full: {full_because}"] if full_because and up else []
    return Standing(
        admin=admin,
        health=health,
        routable=admin.takes_new_calls and up and not cooling_because and not full_because,
        serves=admin.may_be_sent_to and up,
        last_resort=admin.takes_new_calls and not full_because and (not up or bool(cooling_because)),
        reason="; ".join(told),
        entry=entry,
        slow=bool(slow_because),
        full=bool(full_because),
    )


def as_leaving(standing: Standing) -> Standing:
    """The standing of a node that has left nodes.yaml: it serves the calls that it has, and gets no new one."""
    reason = "; ".join(filter(None, ("has left nodes.yaml, serves its calls to their end", standing.reason)))
    return replace(standing, routable=False, last_resort=False, reason=reason)
