"""Standings and the view, from what shared memory holds: the same for a SIP worker, the timer and `kemi-rtp show`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from kemi_rtp.model.entry_json import from_json
from kemi_rtp.model.nodes import Node, Settings
from kemi_rtp.model.standing import Health, Standing, as_leaving, derive
from kemi_rtp.model.view import View
from kemi_rtp.shm import layout

Get = Callable[[str], "str | int | None"]
"""Reads one key of the table layout.STATE; None when it has no value."""
STALE_AFTER = 15.0
"""Seconds without a sign of the timer, at least, after which health is unknown."""
_UP = layout.encode_health(Health.UP, "")
_IN_SERVICE = derive((), datetime.min, Health.UP)


def build(get: Get, now: datetime) -> View:
    """The view that shared memory holds. The generation is read first: a change in between shows at the next look.

    When the timer has stopped, nobody would bring a node up again: then being down counts as unknown.
    """
    generation = get(layout.GENERATION)
    config = layout.decode_config(get(layout.CONFIG))
    stale = is_stale(get, config.settings, now.timestamp())
    standings = {node: standing_of(get, node, now, stale=stale) for node in config.nodes}
    return View(generation, standings, config.settings, stale=stale)


def is_stale(get: Get, settings: Settings, now: float) -> bool:
    """Whether the timer has not run for so long that what it says of health is worth nothing."""
    heartbeat = get(layout.HEARTBEAT)
    return isinstance(heartbeat, int) and now - heartbeat > max(STALE_AFTER, 5 * settings.probe_interval)


def calls_of(get: Get, node: Node) -> int | None:
    """Calls on a node: its own word, and for one with `max_calls` those bound since; None while it has said nothing."""
    said = get(layout.calls_key(node.set_id))
    if not isinstance(said, int):
        return None
    bound = get(layout.bound_key(node.set_id)) if node.max_calls else 0
    return max(0, said + bound) if isinstance(bound, int) else said


def keys_of(nodes: Iterable[Node]) -> list[str]:
    """The keys that `build` reads for nodes."""
    return [
        key
        for node in nodes
        for key in (
            layout.admin_key(node.name),
            layout.admin_key(node.url),
            layout.health_key(node.url),
            layout.cool_key(node.url),
            layout.slow_key(node.url),
            layout.full_key(node.url),
        )
    ]


def standing_of(get: Get, node: Node, now: datetime, *, stale: bool = False) -> Standing:
    """The standing that shared memory holds for one node, in force or about to be."""
    entries = [
        from_json(node.name, value)
        for key in (node.name, node.url)
        if isinstance(value := get(layout.admin_key(key)), str) and value
    ]
    health = get(layout.health_key(node.url))
    cooling = get(layout.cool_key(node.url))
    slow = get(layout.slow_key(node.url))
    full = get(layout.full_key(node.url)) if node.max_calls else None
    # As with most of a thousand nodes.
    if health == _UP and not node.has_left and not entries and not cooling and not slow and not full:
        return _IN_SERVICE
    state, cause = layout.decode_health(health)
    if stale and state is Health.DOWN:
        state, cause = Health.UNKNOWN, ""
    standing = derive(
        entries,
        now,
        state,
        down_because=cause,
        cooling_because="" if stale else str(cooling or ""),
        slow_because="" if stale else str(slow or ""),
        full_because="" if stale else str(full or ""),
    )
    return as_leaving(standing) if node.has_left else standing
