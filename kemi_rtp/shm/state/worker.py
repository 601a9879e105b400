"""Shared memory as a SIP worker uses it: bindings of calls, commands in flight, verdicts on nodes, deferred deletes."""

from __future__ import annotations

import json
import time
from os import getpid

import KSR
from kemi_rtp.model.nodes import Node
from kemi_rtp.model.standing import Health
from kemi_rtp.shm import layout, places
from kemi_rtp.shm.layout import CALLS, STATE, calls_key
from kemi_rtp.shm.state.process import ProcessState, get, touch

_WRAP = 0x7FFFFFFF

MAX_DELETES = 10_000
"""Deletes that may wait for their nodes at a time."""


class WorkerState(ProcessState):
    """One SIP worker's hold on shared memory."""

    def __init__(self) -> None:
        super().__init__()
        self._place = 0  # none yet: it is taken with the first command

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

    # --- commands in flight ------------------------------------------------------------------------------------------

    def begin_command(self, set_id: int) -> int:
        """Note that a command of this process to a node is in flight, before it looks at the view for the last time.

        The kemi-rtp command publishes a change, and the timer looks for these notes afterwards: either the process
        sees the change, or the timer sees the note. (What a process writes here is there before it looks at the
        generation, because htable takes a lock for that; so does the timer before it looks here.) Returns how many
        commands to the node are in flight, this one included.
        """
        place, sets = self._place or self._take_place(), places.sets
        places.since[place] = time.monotonic_ns()
        sets[place] = set_id
        return sets[: places.taken[0]].tolist().count(set_id)

    def end_command(self, *, answered: bool) -> None:
        """This process's command is in flight no longer; the node has `answered` it."""
        sets, place = places.sets, self._place
        set_id = sets[place]
        sets[place] = 0
        if answered and set_id in sets[: places.taken[0]].tolist():  # it matters to those that still wait
            KSR.htable.sht_seti(STATE, layout.answered_key(set_id), _milliseconds())

    def _take_place(self) -> int:
        pid = getpid()  # $pp is the main process's in all of them once that one has asked for it
        place = places.place_of(pid)  # there is one after `app_python.reload`
        if place is None:
            place = places.take(KSR.htable.sht_inc(STATE, layout.PLACES), pid)
        self._place = place
        return place

    def in_flight(self, node: Node) -> int:
        """How many commands to a node are in flight."""
        return places.sets.tolist().count(node.set_id)

    def silent_for(self, set_id: int) -> int:
        """Milliseconds since a node that processes wait for has answered one of them, or since the first began."""
        began = min((since for _, other, since in places.in_flight() if other == set_id), default=time.monotonic_ns())
        silent = (time.monotonic_ns() - began) // 1_000_000
        answered = get(layout.answered_key(set_id))
        return min(silent, (_milliseconds() - answered) % _WRAP) if isinstance(answered, int) else silent

    # --- verdicts on nodes -------------------------------------------------------------------------------------------

    def mark_down(self, node: Node, cause: str) -> None:
        """Keep all workers away from a node that failed; the timer's pings bring it back."""
        self.put_health(node, Health.DOWN, cause)
        touch()

    def cool_down(self, node: Node, cause: str) -> None:
        """Keep new calls away from a node for a moment; the timer ends it."""
        KSR.htable.sht_sets(STATE, layout.cool_key(node.url), cause)
        touch()

    # --- deletes that are put off ------------------------------------------------------------------------------------

    def defer_delete(self, node: Node, call_id: str, from_tag: str) -> None:
        """Leave a delete to the timer; when too many wait already, drop and count it."""
        if KSR.htable.sht_inc(STATE, layout.DELETES_WAITING) > MAX_DELETES:
            KSR.htable.sht_dec(STATE, layout.DELETES_WAITING)
            KSR.htable.sht_inc(STATE, layout.DELETES_DROPPED)
            return
        value = json.dumps([node.url, call_id, from_tag, int(time.time())])
        KSR.htable.sht_sets(layout.DELETES, f"{node.set_id}:{call_id}", value)


def _milliseconds() -> int:
    """A clock that all processes share, within the range of the integers that KEMI takes."""
    return int(time.monotonic() * 1000) % _WRAP
