"""How long a worker waits for a node that other workers wait for in vain: each of them is one less for all other calls.

A node is left (it is busy) when so many commands to it are in flight, and it has been silent for so long to all of
them. Load alone is no reason: a node that answers is never silent.
"""

from __future__ import annotations

from typing import Protocol

from kemi_rtp.model.nodes import Node
from kemi_rtp.model.standing import LATE_MS, Standing
from kemi_rtp.model.view import View
from kemi_rtp.shm.state.worker import WorkerState

SLOW_MS = 20
"""Milliseconds of silence after which a new call leaves a node for a backup."""
PROMPT_MS = 5
"""The same where leaving the node costs nothing: for a delete, which can wait, and for a new call that another node of
the tier can take."""
WORKERS_WITH_CALLS = 2
"""Commands in flight for the calls that are on a node, while it answers nobody: other workers serve the rest."""
WORKERS_WITH_DELETES = 1

UNLIMITED = 1 << 31
"""More commands than can be in flight: whoever has this patience waits, however long."""


class Patience(Protocol):
    """How long one command waits for a node."""

    workers: int
    """So many commands to the node may be in flight, this one included, however silent it is."""

    def has_ended(self, state: WorkerState, view: View, node: Node, standing: Standing) -> bool:
        """Whether a node of this standing, to which more commands are in flight, has been silent for too long."""
        ...


class _WithCalls:
    """For the calls that are on a node: what is lost with one of their commands is a call's media."""

    workers = WORKERS_WITH_CALLS

    def has_ended(self, state: WorkerState, view: View, node: Node, standing: Standing) -> bool:
        """Only when other nodes can serve meanwhile, and none of them keeps workers waiting too.

        Where all are silent, it is the module that waits, as its own pings to a node that is dead make it do, while it
        holds its locks.
        """
        others = [other for other, its in view if its.routable and other.set_id != node.set_id]
        return (
            bool(others)
            and not any(state.in_flight(other) for other in others)
            and state.silent_for(node.set_id) > LATE_MS
        )


class _WithDeletes:
    """A delete can wait: the timer sends it when the node answers."""

    workers = WORKERS_WITH_DELETES

    def has_ended(self, state: WorkerState, view: View, node: Node, standing: Standing) -> bool:
        """At once when the node is known to be slow."""
        return standing.slow or state.silent_for(node.set_id) > PROMPT_MS


WITH_CALLS: Patience = _WithCalls()
WITH_DELETES: Patience = _WithDeletes()
