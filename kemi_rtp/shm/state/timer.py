"""Shared memory as the timer's process uses it: health, the module's marks and rows, counts, deferred deletes.

Nothing here can write an admin state: see decisions.py.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import KSR
from kemi_rtp.model.binding import ENDED, set_of
from kemi_rtp.model.nodes import Node
from kemi_rtp.module.rows import Row
from kemi_rtp.shm import layout
from kemi_rtp.shm.layout import STATE
from kemi_rtp.shm.state.process import ProcessState, get, touch

_MARKS = {"set": True, "clear": False}


class TimerState(ProcessState):
    """The timer's hold on shared memory."""

    def beat(self) -> None:
        """Show that the timer runs."""
        KSR.htable.sht_seti(STATE, layout.HEARTBEAT, int(time.time()))

    # --- health ------------------------------------------------------------------------------------------------------

    def put_in_time(self, node: Node) -> None:
        """Tell all that a node that was slow answers in time again."""
        KSR.htable.sht_sets(STATE, layout.slow_key(node.url), "")
        touch()

    def cools_down(self, node: Node) -> bool:
        """Whether new calls are kept away from a node for a moment."""
        return bool(get(layout.cool_key(node.url)))

    def end_cool_down(self, node: Node) -> None:
        """Let a node that cooled down take new calls again."""
        KSR.htable.sht_sets(STATE, layout.cool_key(node.url), "")
        touch()

    # --- the rtpengine module ----------------------------------------------------------------------------------------

    def put_mark(self, node: Node, *, permanent: bool) -> None:
        """Note that we have set or cleared the module's permanent mark of a node."""
        KSR.htable.sht_sets(STATE, layout.mark_key(node.url), "set" if permanent else "clear")

    def forget_mark(self, node: Node) -> None:
        """Note that the module's mark of a node is as its table says: it has just read that."""
        KSR.htable.sht_sets(STATE, layout.mark_key(node.url), "")

    def mark(self, url: str) -> bool | None:
        """Whether the permanent mark that we made last is set; None when it is as the module's table says."""
        return _MARKS.get(str(get(layout.mark_key(url))))

    def publish_rows(self, rows: Mapping[str, Row]) -> None:
        """Tell the operator's commands what the module says of its nodes."""
        value = layout.encode_rows(rows.values())
        if get(layout.ROWS) != value:
            KSR.htable.sht_sets(STATE, layout.ROWS, value)

    # --- what the operator's commands wait for -----------------------------------------------------------------------

    def publish_in_flight(self, set_ids: Iterable[int]) -> None:
        """Tell to which nodes commands are in flight that may have begun before the view that was seen last."""
        KSR.htable.sht_sets(STATE, layout.IN_FLIGHT, layout.encode_in_flight(self.seen.generation, set_ids))

    def reload_request(self) -> str | int | None:
        """The last request of `kemi-rtp reload`."""
        return get(layout.RELOAD_REQUEST)

    def answer_reload(self, reply: Mapping[str, object]) -> None:
        """Answer it."""
        KSR.htable.sht_sets(STATE, layout.RELOAD_REPLY, json.dumps(reply))

    # --- calls -------------------------------------------------------------------------------------------------------

    def bound(self, node: Node) -> int:
        """How many more calls SIP workers have bound to a node with `max_calls` than have ended, since it was asked."""
        bound = get(layout.bound_key(node.set_id)) if node.max_calls else 0
        return bound if isinstance(bound, int) else 0

    def put_calls(self, node: Node, calls: int, known: int) -> None:
        """Publish how many sessions a node says that it has, and whether it is full.

        `known` are those that were bound() when it was asked: it has counted them.
        """
        if node.max_calls:
            since = self.bound(node) - known
            KSR.htable.sht_seti(STATE, layout.bound_key(node.set_id), since)
            has = calls + since
            full = f"{has} of {node.max_calls} calls" if has >= node.max_calls else ""
            if (get(layout.full_key(node.url)) or "") != full:
                KSR.htable.sht_sets(STATE, layout.full_key(node.url), full)
                touch()
        if get(layout.calls_key(node.set_id)) != calls:
            KSR.htable.sht_seti(STATE, layout.calls_key(node.set_id), calls)

    def forget_calls(self, node: Node) -> None:
        """What a node said of its calls is not known to hold any more."""
        if get(layout.calls_key(node.set_id)) is not None:
            KSR.htable.sht_rm(STATE, layout.calls_key(node.set_id))

    def bound_sets(self) -> set[int]:
        """The set ids of all nodes that calls are bound to, or deletes wait for; walks the whole tables."""
        bound = {set_id for _, value in _walk(layout.CALLS) if (set_id := set_of(value)) is not None}
        return bound | {int(key.partition(":")[0]) for key, _ in _walk(layout.DELETES)}

    # --- deletes that SIP workers have put off -----------------------------------------------------------------------

    def deferred_deletes(self) -> Iterator[tuple[str, list[Any]]]:
        """Key and content of each delete that waits: URL of the node, call-id there, time."""
        waiting = get(layout.DELETES_WAITING)
        if waiting:
            items = _walk(layout.DELETES)
            if len(items) != waiting:  # the same call twice, or a process that died
                KSR.htable.sht_seti(STATE, layout.DELETES_WAITING, len(items))
            for key, value in items:
                yield key, json.loads(str(value))

    def drop_delete(self, key: str, *, sent: bool) -> None:
        """Forget a delete that was sent, or that waited too long; the call is forgotten with it."""
        KSR.htable.sht_rm(layout.DELETES, key)
        KSR.htable.sht_dec(STATE, layout.DELETES_WAITING)
        call_id = key.partition(":")[2]
        if KSR.htable.sht_get(layout.CALLS, call_id) == ENDED:
            KSR.htable.sht_rm(layout.CALLS, call_id)
        if not sent:
            KSR.htable.sht_inc(STATE, layout.DELETES_DROPPED)


def _walk(table: str) -> list[tuple[str, str | int]]:
    """All items of a table; each slot is locked only while its items are read."""
    items: list[tuple[str, str | int]] = []
    KSR.htable.sht_iterator_start("kemi_rtp", table)
    try:
        while KSR.htable.sht_iterator_next("kemi_rtp") > 0:
            items.append((str(KSR.pv.get("$shtitkey(kemi_rtp)")), KSR.pv.get("$shtitval(kemi_rtp)") or 0))
    finally:
        KSR.htable.sht_iterator_end("kemi_rtp")
    return items
