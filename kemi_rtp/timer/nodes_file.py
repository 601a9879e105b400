"""nodes.yaml in the timer: an edit is picked up, staged until the module has all its nodes, and put in force.

A node that is taken out of the file leaves: it serves its calls to their end, and goes when it has none.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import replace
from pathlib import Path

import KSR
from kemi_rtp.files import last_good, nodes_yaml
from kemi_rtp.files.documents import DocumentError, read_text, watched_version
from kemi_rtp.files.errors import RegistryBusyError
from kemi_rtp.files.registry import Registry
from kemi_rtp.model.log import log
from kemi_rtp.model.nodes import Config
from kemi_rtp.shm.state import decisions
from kemi_rtp.shm.state.timer import TimerState
from kemi_rtp.timer.duties import Problems
from kemi_rtp.timer.reconciler import Reconciler

LINGER = 2.0
"""Seconds that a node stays after it has left nodes.yaml, at least: an offer may have been on its way to it."""


class NodesFile:
    """nodes.yaml at a path, and the configuration that is in force."""

    def __init__(self, state: TimerState, reconciler: Reconciler, registry: Registry, path: Path) -> None:
        self.in_force = state.config()
        """With the nodes that leave."""
        self.version: object = None
        """The version of the file that was looked at last."""
        self._staged: Config | None = None
        self._state = state
        self._reconciler = reconciler
        self._registry = registry
        self._path = path
        self._problems = Problems()
        self._left_at = 0.0

    @property
    def is_staged(self) -> bool:
        """Whether an edit waits to be put in force."""
        return self._staged is not None

    def pick_up(self) -> None:
        """Stage an edit; a faulty one is refused as a whole."""
        if watched_version(self._path) == self.version:
            return
        try:
            told = self.stage()
        except DocumentError as error:
            self._problems.tell("nodes", f"{self._path} is refused, the nodes stay as they are:\n{error}")
        else:
            self._problems.is_over("nodes")
            if self.is_staged:
                log(KSR.notice, f"{self._path}: {told}")

    def stage(self) -> str:
        """Read the file and stage what it holds; says what changes. Raises DocumentError, and then nothing does."""
        self.version = watched_version(self._path)
        content = read_text(self._path)
        old, new = self.in_force.as_in_file(), nodes_yaml.parse(content, self._path)
        state_dir = self._registry.directory
        try:
            last_good.keep(self._path, content, state_dir)
        except OSError as error:
            log(KSR.err, f"{state_dir / last_good.NAME}: cannot be written: {error.strerror}")
        kept = {name: getattr(old.settings, name) for name in ("state_dir", "rpc_socket")}
        if kept != {name: getattr(new.settings, name) for name in kept}:
            log(KSR.warn, "settings.state_dir and settings.rpc_socket take effect when Kamailio restarts")
            new = replace(new, settings=replace(new.settings, **kept))
        self._staged = new if new != old else None
        return _difference(old, new)

    def put_in_force(self) -> None:
        """Publish what is staged, once the module has all its nodes: no call must meet one that it lacks."""
        if self._staged is None:
            return
        # Calls stay where they are: a node that is taken out of the file serves its own to their end.
        config = self._staged.with_leaving(self.in_force.nodes)
        self._reconciler.adopt_native_disables()  # before a reload of the table would take them away
        if not self._reconciler.provide(config):
            return
        # Under the registry's lock, with what it holds now: a command may have published more than was picked up here.
        with contextlib.suppress(RegistryBusyError), self._registry.exclusive(timeout=0) as transaction:
            decisions.publish(config, transaction.entries.values())
            self.in_force, self._staged = config, None
            self._left_at = time.monotonic()
            bound = self._state.bound_sets() if len(config.as_in_file().nodes) < len(config.nodes) else set()
            told = [
                f"{node.name} has left, and serves its calls to their end"
                for node in config.nodes
                if node.has_left and node.set_id in bound
            ]
            log(KSR.notice, "; ".join([f"{len(config.as_in_file().nodes)} nodes are in force", *told]))

    def let_go(self) -> None:
        """Forget nodes that have left the file and have served their last call."""
        if time.monotonic() - self._left_at < LINGER:
            return
        leaving = [node for node in self.in_force.nodes if node.has_left]
        bound = self._state.bound_sets() if leaving else set()
        gone = [node for node in leaving if node.set_id not in bound]
        if gone:
            staying = tuple(node for node in self.in_force.nodes if node not in gone)
            self.in_force = replace(self.in_force, nodes=staying)
            decisions.publish_nodes(self.in_force)
            log(KSR.notice, f"gone with their last call: {', '.join(node.name for node in gone)}")


def _difference(old: Config, new: Config) -> str:
    """What has changed from one nodes.yaml to another, for people."""
    before, after = {node.name: node for node in old.nodes}, {node.name: node for node in new.nodes}
    parts = [f"added {name}" for name in after if name not in before]
    parts += [f"removed {name}" for name in before if name not in after]
    parts += [f"changed {name}" for name, node in after.items() if name in before and before[name] != node]
    parts += ["changed settings"] if old.settings != new.settings else []
    return ", ".join(parts) or "in force already, nothing has changed"
