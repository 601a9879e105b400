"""The registry in the timer: edits by hand are picked up, decisions end in time, native disables are taken over.

Nothing here decides: it publishes what people decided, and stores the end of a decision when its time is over.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

import KSR
from kemi_rtp.files.documents import watched_version
from kemi_rtp.files.errors import RegistryBusyError, RegistryError
from kemi_rtp.files.registry import Registry
from kemi_rtp.model.admin import AdminState, Change, Entry
from kemi_rtp.model.log import log
from kemi_rtp.model.nodes import Node
from kemi_rtp.model.times import utc_now
from kemi_rtp.shm.state import decisions
from kemi_rtp.shm.state.timer import TimerState
from kemi_rtp.timer.duties import Problems


class RegistryFile:
    """The registry, and what of it is in force. `nodes` says which nodes are."""

    def __init__(self, state: TimerState, registry: Registry, nodes: Callable[[], Iterable[Node]]) -> None:
        self.version: object = None
        """The version of the file that was published last."""
        self._state = state
        self._registry = registry
        self._nodes = nodes
        self._next_end: datetime | None = None
        self._repairs: list[Change] = []
        self._problems = Problems()

    def hold(self, entries: Mapping[str, Entry]) -> None:
        """Know what is in force, and when the next decision ends."""
        self._next_end = min((entry.until for entry in entries.values() if entry.until is not None), default=None)

    def pick_up(self) -> None:
        """Publish edits of the registry made by hand, and store the end of decisions whose time is over."""
        registry = self._registry
        version = watched_version(registry.path)
        now = utc_now()
        over = self._next_end is not None and self._next_end <= now
        if version == self.version and not over:
            return
        try:
            with registry.exclusive(timeout=0) as transaction:
                if transaction.loaded.problem:
                    self.version = version
                    problem = f"{transaction.loaded.problem}; what is in force stays so"
                    self._problems.tell("registry", problem, KSR.crit)
                    # Decisions end all the same when their time is over.
                    held = {name: entry.at(now) for name, entry in transaction.entries.items()}
                    self._publish({name: entry for name, entry in held.items() if entry is not None})
                    return
                self._problems.is_over("registry")
                for change in transaction.adopt_edits(now) + transaction.expire(now):
                    log(KSR.notice, f"{change.node}: {change.before} to {change.after} ({change.way})")
                self._publish(transaction.entries)
                self.version = watched_version(registry.path)
        except RegistryBusyError:
            pass  # a command is at work; it publishes its change itself, and the next tick comes soon

    def adopt_disable(self, node: Node) -> None:
        """Take over that a person disabled a node in the rtpengine module itself."""
        now = utc_now()
        reason = f"disabled in the rtpengine module: rtpengine.enable {node.url} 0"
        try:
            with self._registry.exclusive(timeout=0) as transaction:
                adopted = transaction.adopt_disable(node, reason, now, self._nodes())
                self._state.put_mark(node, permanent=True)
                self._publish(transaction.entries)
                self.version = watched_version(self._registry.path)
        except RegistryBusyError:
            return  # a command is at work; the mark is still there at the next tick
        except RegistryError as error:
            self._problems.tell("adoption", f"{node.name} was {reason}, which cannot be taken over: {error}")
            return
        self._problems.is_over("adoption")
        if adopted:
            log(
                KSR.warn,
                f"drift: {node.name} was {reason}; it is disabled in the registry now: kemi-rtp enable {node.name}",
            )

    def note_repair(self, node: Node, state: AdminState, text: str) -> None:
        """Have the history tell of a repair that changed no admin state."""
        self._repairs.append(Change(utc_now(), node.name, state, state, text, "kemi_rtp", "drift"))

    def write_repairs(self) -> None:
        """Write them, once no command holds the registry."""
        if self._repairs:
            with contextlib.suppress(RegistryBusyError), self._registry.exclusive(timeout=0) as transaction:
                transaction.record(self._repairs)
                self._repairs = []

    def _publish(self, entries: Mapping[str, Entry]) -> None:
        """Put what the registry holds in force; under its lock."""
        self.hold(entries)
        decisions.publish_admin(entries.values(), self._nodes())
