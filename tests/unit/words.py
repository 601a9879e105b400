"""Nodes, moments and decisions, and what shared memory holds of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from kemi_rtp.model.admin import AdminState, Entry, decide
from kemi_rtp.model.nodes import Config, Node, Settings
from kemi_rtp.model.standing import Health
from kemi_rtp.shm import layout
from kemi_rtp.shm.layout import encode_health

FILE = Path("registry.yaml")
NOW = datetime(2026, 11, 22, 16, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)

ENABLED, DRAINING, DISABLED = AdminState.ENABLED, AdminState.DRAINING, AdminState.DISABLED
UP, DOWN, UNKNOWN = Health.UP, Health.DOWN, Health.UNKNOWN

RTP2 = Node("rtp2", "udp:192.0.2.2:2223", "default", 1, 0, 2)


def node(number: int, *, pool: str = "default", tier: int = 0, weight: int = 1) -> Node:
    return Node(f"rtp{number}", f"udp:192.0.2.{number}:2223", pool, weight, tier, number)


def entry(about: Node, state: AdminState, until: datetime | None = None, reason: str = "NIC swap") -> Entry:
    return Entry(about.name, state, reason, "alice@lb1", NOW - HOUR, until, about.url)


def memory(nodes: list[Node], entries: list[Entry], health: dict[Node, Health] | None = None) -> dict[str, str]:
    """What shared memory holds for these."""
    items = {layout.GENERATION: "g1", layout.CONFIG: layout.encode_config(Config(tuple(nodes), Settings()))}
    items |= layout.admin_items(entries)
    return items | {layout.health_key(n.url): encode_health(h, "timeout") for n, h in (health or {}).items()}


def after(*decisions: Entry) -> dict[str, Entry]:
    """The entries after these decisions, one after the other."""
    entries: dict[str, Entry] = {}
    for one in decisions:
        entries = decide(entries, one)
    return entries
