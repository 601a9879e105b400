"""What people decided, put into shared memory: by the main process at the start, by the timer afterwards.

No other code inside Kamailio writes an admin state. It is called with what nodes.yaml and the registry hold, never with
what somebody has observed.
"""

from __future__ import annotations

from collections.abc import Iterable

import KSR
from kemi_rtp.model.admin import Entry
from kemi_rtp.model.nodes import Config, Node
from kemi_rtp.model.times import utc_now
from kemi_rtp.shm import layout
from kemi_rtp.shm.layout import STATE
from kemi_rtp.shm.publication import admin_changes
from kemi_rtp.shm.state.process import get, touch


def publish(config: Config, entries: Iterable[Entry]) -> None:
    """Put nodes.yaml and what the registry holds in force together."""
    counters = [layout.bound_key(node.set_id) for node in config.nodes if node.max_calls]
    for key in (layout.PLACES, layout.DELETES_WAITING, layout.DELETES_DROPPED, *counters):
        if get(key) is None:  # sht_inc counts in keys that exist only
            KSR.htable.sht_seti(STATE, key, 0)
    # Before the generation: whoever sees that one finds both.
    _put_nodes(config)
    _put_admin(entries, config.nodes)
    touch()


def publish_admin(entries: Iterable[Entry], nodes: Iterable[Node]) -> None:
    """Put what the registry holds in force; a node of `nodes` about which it holds nothing is enabled."""
    _put_admin(entries, nodes)
    touch()


def publish_nodes(config: Config) -> None:
    """Put another list of nodes in force, with their admin states as they are."""
    _put_nodes(config)
    touch()


def _put_nodes(config: Config) -> None:
    KSR.htable.sht_sets(STATE, layout.CONFIG, layout.encode_config(config))


def _put_admin(entries: Iterable[Entry], nodes: Iterable[Node]) -> None:
    for key, value in admin_changes(get, entries, list(nodes), utc_now()).items():
        KSR.htable.sht_sets(STATE, key, value)
