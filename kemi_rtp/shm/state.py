"""Shared memory, as one Kamailio process reads and writes it: the view, bindings, commands in flight."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from os import getpid
from typing import Any

import KSR
from kemi_rtp.model.admin import Entry, State
from kemi_rtp.model.nodes import Config, Node
from kemi_rtp.model.times import utc_now
from kemi_rtp.model.view import AWAITED, Health, Standing, View, build, encode_health, is_stale, standing_of
from kemi_rtp.shm import layout as shared
from kemi_rtp.shm import places as memory
from kemi_rtp.shm.layout import CALLS, GENERATION, STATE, calls_key

_WRAP = 0x7FFFFFFF

MAX_DELETES = 10_000
"""Deletes that may wait for their nodes at a time."""


def ready() -> bool:
    """Whether shared memory has been filled: false only before Kamailio forked its workers."""
    return KSR.htable.sht_get(STATE, GENERATION) is not None


class SharedState:
    """One process's hold on shared memory."""

    def __init__(self) -> None:
        if not ready():
            memory.make()
        elif not memory.made:
            raise RuntimeError("Kamailio must be restarted: the script that it was started with was not kemi_rtp's")
        self.seen = View(None, {})
        """The view as this process has seen it last."""
        self._place = 0

    # --- the view ----------------------------------------------------------------------------------------------------

    def view(self) -> View:
        """What every node may take now; rebuilt only when the generation has changed, or health has become stale."""
        view = self.seen
        if KSR.htable.sht_get(STATE, GENERATION) == view.generation and not (view.ages and self._has_aged(view)):
            return view
        self.seen = build(_get, utc_now())
        if self.seen.stale and not view.stale:
            KSR.err("kemi_rtp: the supervisor does not run: nodes that were down count as unknown now\n")
        KSR.htable.sht_sets(shared.VIEWS, str(getpid()), str(self.seen.generation))
        return self.seen

    def _has_aged(self, view: View) -> bool:
        return is_stale(_get, view.settings, time.time()) != view.stale

    def standing(self, node: Node) -> Standing:
        """What a node may take now, also one that is not in the view yet."""
        return standing_of(_get, node, utc_now())

    def touch(self) -> None:
        """Make every worker rebuild its view at its next message; due after every change."""
        KSR.htable.sht_sets(STATE, GENERATION, shared.new_generation())

    def put_config(self, config: Config) -> None:
        """Publish what nodes.yaml says."""
        counters = [calls_key(node.set_id) for node in config.nodes]
        for key in (shared.PLACES, shared.DELETES_WAITING, shared.DELETES_DROPPED, *counters):
            if _get(key) is None:  # sht_inc counts in keys that exist only
                KSR.htable.sht_seti(STATE, key, 0)
        KSR.htable.sht_sets(STATE, shared.CONFIG, shared.encode_config(config))

    def config(self) -> Config:
        """The last good nodes.yaml, as published."""
        return shared.decode_config(_get(shared.CONFIG))

    def put_admin(self, entries: Iterable[Entry], nodes: Iterable[Node]) -> None:
        """Publish what the registry holds; a node of `nodes` about which it holds nothing is enabled.

        A node that was disabled so far has to answer a ping first.
        """
        nodes = list(nodes)
        before = {node: self.standing(node).admin for node in nodes}
        self._put_admin(shared.admin_items(entries), nodes)
        for node in nodes:
            if before[node] is State.DISABLED and self.standing(node).admin is not State.DISABLED:
                self.put_health(node, Health.DOWN, AWAITED)

    def _put_admin(self, items: Mapping[str, str], nodes: Iterable[Node]) -> None:
        for key, value in items.items():
            KSR.htable.sht_sets(STATE, key, value)
        for key in {shared.admin_key(name) for node in nodes for name in (node.name, node.url)} - items.keys():
            if _get(key):
                KSR.htable.sht_sets(STATE, key, "")

    def put_health(self, node: Node, health: Health, cause: str) -> None:
        """Publish the health of a node."""
        KSR.htable.sht_sets(STATE, shared.health_key(node.url), encode_health(health, cause))

    def put_mark(self, node: Node, *, marked: bool | None) -> None:
        """Note that the supervisor has set or cleared the module's permanent mark; None: as its table says."""
        value = "" if marked is None else "set" if marked else "clear"
        KSR.htable.sht_sets(STATE, shared.mark_key(node.url), value)

    def mark(self, url: str) -> bool | None:
        """What `put_mark` noted last."""
        return {"set": True, "clear": False}.get(str(_get(shared.mark_key(url))))

    def mark_down(self, node: Node, cause: str) -> None:
        """Keep all workers away from a node that failed; the supervisor's pings bring it back."""
        self.put_health(node, Health.DOWN, cause)
        self.touch()

    def put_cooling(self, node: Node, cause: str) -> None:
        """Keep new calls away from a node for a moment, or no longer when there is no `cause`."""
        KSR.htable.sht_sets(STATE, shared.cool_key(node.url), cause)
        self.touch()

    def put_slow(self, node: Node, milliseconds: int) -> None:
        """Publish that a node answered after so many milliseconds: too late, or in time when there are none."""
        text = f"answered after {milliseconds} ms" if milliseconds else ""
        KSR.htable.sht_sets(STATE, shared.slow_key(node.url), text)
        self.touch()

    def beat(self) -> None:
        """Show that the supervisor runs."""
        KSR.htable.sht_seti(STATE, shared.HEARTBEAT, int(time.time()))

    def get(self, key: str) -> str | int | None:
        """The value of one key of the state table."""
        return _get(key)

    def put(self, key: str, value: str) -> None:
        """Set one key of the state table."""
        KSR.htable.sht_sets(STATE, key, value)

    # --- bindings ----------------------------------------------------------------------------------------------------

    def bind(self, call_id: str, set_id: int, before: int | None) -> None:
        """Note that a call's media is on the node of a set; the note expires some hours after its last renewal.

        `before` is the call's binding so far.
        """
        KSR.htable.sht_seti(CALLS, call_id, set_id)
        if before != set_id:
            KSR.htable.sht_inc(STATE, calls_key(set_id))
            if before is not None:
                KSR.htable.sht_dec(STATE, calls_key(before))

    def binding(self, call_id: str) -> int | None:
        """The set id of the node that a call's media is on, if known."""
        set_id = KSR.htable.sht_get(CALLS, call_id)
        return set_id if isinstance(set_id, int) else None

    def unbind(self, call_id: str) -> int | None:
        """Forget the binding of a call; returns it."""
        before = self.binding(call_id)
        if before is not None:
            KSR.htable.sht_rm(CALLS, call_id)
            KSR.htable.sht_dec(STATE, calls_key(before))
        return before

    def calls(self, node: Node) -> int:
        """Calls on a node: counted as they are bound, and set right by the supervisor when bindings expire."""
        count = _get(calls_key(node.set_id))
        return count if isinstance(count, int) else 0

    def correct_calls(self) -> None:
        """Count the bindings of every node anew; walks the whole table, for the supervisor only."""
        counts: dict[int, int] = {}
        for _, set_id in _walk(CALLS):
            if isinstance(set_id, int):
                counts[set_id] = counts.get(set_id, 0) + 1
        for node, _ in self.view():
            if self.calls(node) != counts.get(node.set_id, 0):
                KSR.htable.sht_seti(STATE, calls_key(node.set_id), counts.get(node.set_id, 0))

    # --- commands in flight ------------------------------------------------------------------------------------------

    def enter(self, set_id: int) -> int:
        """Note that this process is about to send to a node, before it looks at the view for the last time.

        The kemi-rtp command publishes a change, and the supervisor looks for these notes afterwards: either the process
        sees the change, or the supervisor sees the note. (What a process writes here is there before it looks at the
        generation, because htable takes a lock for that; so does the supervisor before it looks here.) Returns how many
        processes are sending to the node, this one included.
        """
        place, sets = self._place or self._take_place(), memory.sets
        memory.since[place] = time.monotonic_ns()
        sets[place] = set_id
        return sets[: memory.places[0]].tolist().count(set_id)

    def leave(self, *, answered: bool = False) -> None:
        """This process waits for no node any more; the node that it waited for has `answered` it."""
        sets, place = memory.sets, self._place
        set_id = sets[place]
        sets[place] = 0
        if answered and set_id in sets[: memory.places[0]].tolist():  # it matters to those that still wait
            KSR.htable.sht_seti(STATE, shared.answered_key(set_id), _milliseconds())

    def _take_place(self) -> int:
        pid = getpid()  # $pp is the main process's in all of them once that one has asked for it
        place = memory.place_of(pid)  # there is one after `app_python.reload`
        if place is None:
            place = memory.take(KSR.htable.sht_inc(STATE, shared.PLACES), pid)
        self._place = place
        return place

    def waiting(self, node: Node) -> int:
        """How many processes are sending to a node."""
        return memory.sets.tolist().count(node.set_id)

    def silent_for(self, set_id: int) -> int:
        """Milliseconds since a node that processes wait for has answered one of them, or since the first began."""
        began = min((since for _, other, since in memory.sending() if other == set_id), default=time.monotonic_ns())
        silent = (time.monotonic_ns() - began) // 1_000_000
        answered = _get(shared.answered_key(set_id))
        return min(silent, (_milliseconds() - answered) % _WRAP) if isinstance(answered, int) else silent

    def publish_sending(self, sending: Iterable[int]) -> None:
        """Tell the operator's commands to which nodes commands are on their way that may be older than the view."""
        self.put(shared.SENDING, shared.encode_sending(self.seen.generation, sending))

    # --- deletes that wait for their node -----------------------------------------------------------------------------

    def defer_delete(self, node: Node, call_id: str, from_tag: str) -> None:
        """Leave a delete to the supervisor; when too many wait already, drop and count it."""
        if KSR.htable.sht_inc(STATE, shared.DELETES_WAITING) > MAX_DELETES:
            KSR.htable.sht_dec(STATE, shared.DELETES_WAITING)
            KSR.htable.sht_inc(STATE, shared.DELETES_DROPPED)
            return
        value = json.dumps([node.url, call_id, from_tag, int(time.time())])
        KSR.htable.sht_sets(shared.DELETES, f"{node.set_id}:{call_id}", value)

    def deferred_deletes(self) -> Iterator[tuple[str, list[Any]]]:
        """Key and content of each delete that waits: URL of the node, Call-ID, from-tag, time."""
        waiting = _get(shared.DELETES_WAITING)
        if waiting:
            items = _walk(shared.DELETES)
            if len(items) != waiting:  # the same call twice, or a process that died
                KSR.htable.sht_seti(STATE, shared.DELETES_WAITING, len(items))
            for key, value in items:
                yield key, json.loads(str(value))

    def drop_delete(self, key: str, *, sent: bool) -> None:
        """Forget a delete that was sent, or that waited too long."""
        KSR.htable.sht_rm(shared.DELETES, key)
        KSR.htable.sht_dec(STATE, shared.DELETES_WAITING)
        if not sent:
            KSR.htable.sht_inc(STATE, shared.DELETES_DROPPED)


def _milliseconds() -> int:
    """A clock that all processes share, within the range of the integers that KEMI takes."""
    return int(time.monotonic() * 1000) % _WRAP


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


def _get(key: str) -> str | int | None:
    return KSR.htable.sht_get(STATE, key)
