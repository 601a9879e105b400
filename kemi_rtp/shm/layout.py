"""The layout of shared memory: htables, their keys and values, the same inside Kamailio and outside.

All of it can be rebuilt from nodes.yaml, the registry and the network.
"""

from __future__ import annotations

import functools
import json
import os
import time
from collections.abc import Iterable
from dataclasses import asdict, astuple

from kemi_rtp.model.admin import Entry
from kemi_rtp.model.entry_json import to_json
from kemi_rtp.model.nodes import Config, Node, Settings
from kemi_rtp.model.standing import Health
from kemi_rtp.module.rows import Row

STATE = "kemi_rtp"
"""htable: generation, nodes.yaml, admin states, health, calls per node, reload requests."""
CALLS = "kemi_rtp_calls"
"""htable: Call-ID to the binding of the call, see model/binding.py; items expire."""
VIEWS = "kemi_rtp_views"
"""htable: process id to the generation of the view that it last built."""
DELETES = "kemi_rtp_deletes"
"""htable: deletes that wait for their node; the timer drops those that have waited too long."""

GENERATION = "generation"
HEARTBEAT = "heartbeat"
"""Seconds since the epoch at which the timer ran last."""
DELETES_WAITING = "deletes_waiting"
DELETES_DROPPED = "deletes_dropped"
CONFIG = "config"
ROWS = "module_rows"
"""What the rtpengine module says of its nodes, as the timer last read it: state by URL."""
RELOAD_REQUEST = "reload_request"
RELOAD_REPLY = "reload_reply"

PLACES = "places"
"""How many places in places.py have been given away."""
IN_FLIGHT = "in_flight"
"""Commands in flight that may have begun before a generation, as the timer saw them last: see encode_in_flight."""


def admin_key(name_or_url: str) -> str:
    """Key of the admin state of a node, under its name and under its URL."""
    return f"admin:{name_or_url}"


def health_key(url: str) -> str:
    """Key of the health of a node."""
    return f"health:{url}"


def mark_key(url: str) -> str:
    """Key of what the timer last did with the module's permanent mark of a node: set, clear, or nothing."""
    return f"mark:{url}"


def cool_key(url: str) -> str:
    """Key of why a node takes no new calls for a moment; empty when it does."""
    return f"cool:{url}"


def slow_key(url: str) -> str:
    """Key of how late a node answered last; empty when it was in time."""
    return f"slow:{url}"


def full_key(url: str) -> str:
    """Key of how full a node is, in words; empty when it may take more calls."""
    return f"full:{url}"


def answered_key(set_id: int) -> str:
    """Key of the milliseconds at which the node of a set last answered one process while others waited for it."""
    return f"answered:{set_id}"


@functools.cache
def calls_key(set_id: int) -> str:
    """Key of the number of sessions on the node of a set, as it said last; none while it is not known."""
    return f"calls:{set_id}"


@functools.cache
def bound_key(set_id: int) -> str:
    """Key of how many more calls have been bound to the node of a set since it said so; for nodes with `max_calls`."""
    return f"bound:{set_id}"


def delete_key(set_id: int, call_id: str) -> str:
    """Key of the delete of a session that waits for the node of a set."""
    return f"{set_id}:{call_id}"


def admin_items(entries: Iterable[Entry]) -> dict[str, str]:
    """Keys and values that hold `entries`: each under its node's name and, when known, under its URL."""
    items: dict[str, tuple[int, str]] = {}
    for entry in entries:
        value = (entry.state.strictness, to_json(entry))
        for key in {admin_key(entry.node), admin_key(entry.url or entry.node)}:
            items[key] = max(items.get(key, value), value)
    return {key: value for key, (_, value) in items.items()}


def encode_config(config: Config) -> str:
    """The value of the key CONFIG."""
    return json.dumps([[astuple(node) for node in config.nodes], asdict(config.settings)])


@functools.lru_cache(maxsize=2)
def decode_config(value: str | int | None) -> Config:
    """What the key CONFIG holds; no nodes when it has no value yet."""
    if not isinstance(value, str):
        return Config((), Settings())
    nodes, settings = json.loads(value)
    return Config(tuple(Node(*fields) for fields in nodes), Settings(**settings))


def encode_rows(rows: Iterable[Row]) -> str:
    """The value of the key ROWS."""
    return json.dumps({row.url: str(row) for row in rows})


def decode_rows(value: str | int | None) -> dict[str, str]:
    """What the key ROWS holds: `active`, `inactive` or `disabled` by URL."""
    rows: dict[str, str] = json.loads(value) if isinstance(value, str) else {}
    return rows


def encode_in_flight(generation: object, set_ids: Iterable[int]) -> str:
    """The value of the key IN_FLIGHT: a generation, and to which sets commands that may be older are in flight."""
    return json.dumps([generation, sorted(set_ids)])


def decode_in_flight(value: str | int | None) -> tuple[object, list[int]]:
    """What the key IN_FLIGHT holds."""
    generation, set_ids = json.loads(value) if isinstance(value, str) else (None, [])
    return generation, set_ids


def encode_health(health: Health, cause: str) -> str:
    """The value of a health key."""
    return json.dumps([health, cause])


def decode_health(value: str | int | None) -> tuple[Health, str]:
    """Health and its cause from the value of a health key; unknown when there is none."""
    if not isinstance(value, str):
        return Health.UNKNOWN, ""
    health, cause = json.loads(value)
    return Health(health), cause


def new_generation() -> str:
    """A generation that no other change has."""
    return f"{time.time_ns():x}.{os.getpid():x}"
