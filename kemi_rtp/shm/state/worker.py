"""Shared memory as a SIP worker uses it: bindings of calls, commands in flight, verdicts on nodes, deferred deletes."""

from __future__ import annotations

import json
import time
from os import getpid

import KSR
from kemi_rtp.model.nodes import Node
from kemi_rtp.model.standing import Health
from kemi_rtp.shm import layout, places
from kemi_rtp.shm.layout import CALLS, STATE, bound_key
from kemi_rtp.shm.state.process import ProcessState, get, touch

_WRAP = 0x7FFFFFFF
_BINDING = f"$sht({CALLS}=>$ci)"

MAX_DELETES = 10_000
"""Deletes that may wait for their nodes at a time."""


class WorkerState(ProcessState):
    """One SIP worker's hold on shared memory."""

    def __init__(self) -> None:
        super().__init__()
        self._place = 0  # none yet: it is taken with the first command

    # --- bindings ----------------------------------------------------------------------------------------------------

    def bind(self, key: str, set_id: int) -> None:
        """Note on which node a call is that nobody has answered; the note expires some hours after its renewal."""
        KSR.htable.sht_seti(CALLS, key, set_id)

    def bind_text(self, key: str, text: str) -> None:
        """Note what else model/binding.py says of a call."""
        KSR.htable.sht_sets(CALLS, key, text)

    def binding(self, key: str) -> str | int | None:
        """What is noted of a call or of one of its numbered sessions."""
        return KSR.htable.sht_get(CALLS, key)

    def is_unbound(self) -> bool:
        """Whether nothing is noted of the current message's call; in one step, which is all that an ACK needs."""
        return bool(KSR.pv.is_null(_BINDING))

    def unbind(self, key: str) -> None:
        """Forget it."""
        KSR.htable.sht_rm(CALLS, key)

    # --- how full a node is ------------------------------------------------------------------------------------------

    def _has(self, node: Node) -> int:
        """Calls on a node with `max_calls`; those that were bound here where it has said nothing yet."""
        calls = self.calls(node)
        if calls is None:
            bound = get(bound_key(node.set_id))
            calls = bound if isinstance(bound, int) else 0
        return calls

    def find_full(self, node: Node) -> bool:
        """Whether a node with `max_calls` has that many; says so to all when it is found out here."""
        calls = self._has(node)
        if calls < node.max_calls:
            return False
        KSR.htable.sht_sets(STATE, layout.full_key(node.url), f"{calls} of {node.max_calls} calls")
        touch()
        return True

    def count_bound(self, node: Node) -> None:
        """One call more on a node with `max_calls`; says so to all when that makes it full."""
        KSR.htable.sht_inc(STATE, bound_key(node.set_id))
        self.find_full(node)

    def count_ended(self, node: Node) -> None:
        """One call less; a node that was full takes one again."""
        if self._has(node) > 0:  # else the node has lost it, and said so
            KSR.htable.sht_dec(STATE, bound_key(node.set_id))
        if get(layout.full_key(node.url)):
            KSR.htable.sht_sets(STATE, layout.full_key(node.url), "")
            touch()

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
        """This process's command is in flight no longer; `answered`: so that those that wait for the node know it."""
        sets, place = places.sets, self._place
        if answered:
            KSR.htable.sht_seti(STATE, layout.answered_key(sets[place]), _milliseconds())
        sets[place] = 0

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

    def defer_delete(self, node: Node, call_id: str) -> None:
        """Leave the delete of a session to the timer; when too many wait already, drop and count it."""
        if KSR.htable.sht_inc(STATE, layout.DELETES_WAITING) > MAX_DELETES:
            KSR.htable.sht_dec(STATE, layout.DELETES_WAITING)
            KSR.htable.sht_inc(STATE, layout.DELETES_DROPPED)
            return
        value = json.dumps([node.url, call_id, int(time.time())])
        KSR.htable.sht_sets(layout.DELETES, layout.delete_key(node.set_id, call_id), value)


def _milliseconds() -> int:
    """A clock that all processes share, within the range of the integers that KEMI takes."""
    return int(time.monotonic() * 1000) % _WRAP
