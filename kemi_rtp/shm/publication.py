"""What to write into shared memory so that a decision holds: the same at the start, for the timer, and from outside."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from kemi_rtp.model.admin import Entry
from kemi_rtp.model.nodes import Node
from kemi_rtp.model.standing import Health
from kemi_rtp.shm import layout
from kemi_rtp.shm.standings import Get, standing_of

AWAITED = "no answer yet since it came into service"
"""Cause of being down: a node that was disabled takes calls when it has answered a ping, not before."""


def admin_changes(get: Get, entries: Iterable[Entry], nodes: Iterable[Node], now: datetime) -> dict[str, str]:
    """Keys and values that put `entries` in force; a node of `nodes` about which they say nothing is enabled.

    A node that was disabled so far is down until it has answered a ping. That comes first: whoever makes a view of it
    in between must not find such a node enabled and up.
    """
    admin = layout.admin_items(entries)
    about = {layout.admin_key(name) for node in nodes for name in (node.name, node.url)}
    admin |= {key: "" for key in about - admin.keys() if get(key)}

    def after(key: str) -> str | int | None:
        return admin[key] if key in admin else get(key)

    awaited = layout.encode_health(Health.DOWN, AWAITED)
    back = {
        layout.health_key(node.url): awaited
        for node in nodes
        if not standing_of(get, node, now).admin.may_be_sent_to and standing_of(after, node, now).admin.may_be_sent_to
    }
    return back | admin
