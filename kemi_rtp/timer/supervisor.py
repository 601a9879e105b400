"""The timer and reload routes: start, pick up changed files, end timed decisions, and set the others to work.

Everything here runs before Kamailio forks its workers or in the timer's own process, never in a SIP worker. Nothing
here decides about admin states: it publishes what people decided, and stores the end of a decision when its time is
over.
"""

from __future__ import annotations

import contextlib
import functools
import json
import sqlite3
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import KSR
from kemi_rtp.files import last_good
from kemi_rtp.files.documents import DocumentError, file_version, read_text
from kemi_rtp.files.module_table import write_table
from kemi_rtp.files.registry import Loaded, Registry, RegistryBusyError, RegistryError
from kemi_rtp.model import nodes
from kemi_rtp.model.admin import Change, Entry, State, matching_each
from kemi_rtp.model.log import log
from kemi_rtp.model.nodes import Config, Node
from kemi_rtp.model.times import utc_now
from kemi_rtp.model.view import Health, Standing, View, derive
from kemi_rtp.module.commands import ModuleError
from kemi_rtp.shm import layout as shared
from kemi_rtp.shm import places as memory
from kemi_rtp.shm.state import SharedState
from kemi_rtp.timer.deferred_deletes import Deleter
from kemi_rtp.timer.reconciler import Reconciler

LINGER = 2.0
"""Seconds that a node stays after it has left nodes.yaml, at least: an offer may have been on its way to it."""
_COUNT_SHARE = 200
"""Counting calls takes at most one part in so many of the timer's time."""
_PAUSES, _PAUSE = 10, 0.001
"""How often, and how many seconds, a tick waits for commands that are on their way at a change."""


@dataclass(frozen=True, slots=True)
class NodeChange:
    """A node whose admin state or health has changed, with its standing before and after."""

    node: Node
    before: Standing
    after: Standing

    def __str__(self) -> str:
        words = [str(self.after.admin)] if self.after.admin is not self.before.admin else []
        words += [str(self.after.health)] if self.after.health is not self.before.health else []
        return f"{self.node.name} ({self.node.url}) is {self.after.reason or ' and '.join(words)}"


class StartError(Exception):
    """Kamailio must not start like this; the text says why and what to do."""


class Supervisor:
    """Keeps shared memory and the module in step with nodes.yaml, the registry and the network."""

    def __init__(self, state: SharedState, nodes_path: Path, on_changes: Callable[[list[NodeChange]], object]) -> None:
        self._state = state
        self._on_changes = on_changes
        self._nodes_path = nodes_path
        # Empty before the start; what is in force when the script is loaded again later.
        self._config = state.config()
        self._entries: Mapping[str, Entry] = {}
        self._next_end: datetime | None = None
        self._nodes_version: object = None
        self._registry_version: object = None
        self._reconciler = Reconciler(state, self._adopt, self._note)
        self._prober = self._reconciler.prober
        self._due: dict[str, float] = {}
        self._staged: Config | None = None
        self._left_at = 0.0
        self._reload_begun: object = None
        self._reload_served: object = None
        self._reload_text = ""
        self._told: dict[str, str] = {}
        self._notes: list[Change] = []
        self._deleter = Deleter(state)
        self._cooling: dict[Node, float] = {}
        self._cooling_in: View | None = None
        self._sending: frozenset[tuple[int, int, int]] = frozenset()
        self._sending_since: View | None = None
        self._standings: dict[Node, Standing] = {}
        self._told_of: View | None = None

    @functools.cached_property
    def _state_dir(self) -> Path:
        return Path(self._config.settings.state_dir)  # the same for as long as Kamailio runs

    @functools.cached_property
    def _registry(self) -> Registry:
        return Registry(self._state_dir)

    # --- start -------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Before any other module starts: check the files and write the module's table. Raises StartError."""
        try:
            self._nodes_version = _version(self._nodes_path)
            content = read_text(self._nodes_path)
            self._config = nodes.parse(content, self._nodes_path)
            self._check_places()
            self._state_dir.mkdir(parents=True, exist_ok=True)
            last_good.keep(self._nodes_path, content, self._state_dir)
            registry = self._registry
            self._registry_version = _version(registry.path)
            loaded: Loaded | None = None
            if registry.path.exists():
                # An edit by hand while Kamailio was down is the last good version now; load() tells what is unreadable.
                with contextlib.suppress(RegistryError), registry.exclusive(timeout=1.0) as transaction:
                    transaction.adopt_edits(utc_now())
                    loaded = transaction.loaded
            loaded = loaded or registry.load()
            self._hold(loaded.entries)
            if loaded.problem:
                log(KSR.crit, loaded.problem)
            now = utc_now()
            standings = [
                (node, derive(entries, Health.UNKNOWN, "", now))
                for node, entries in matching_each(self._entries, self._config.nodes)
            ]
            write_table(self._state_dir, standings)
        except (DocumentError, RegistryError) as error:
            raise StartError(str(error)) from None
        except (OSError, sqlite3.Error) as error:
            raise StartError(f"{self._state_dir}: cannot be written: {error}") from None

    def _check_places(self) -> None:
        for setting, define in (("state_dir", "KEMI_RTP_STATE_DIR"), ("rpc_socket", "KEMI_RTP_RPC_SOCKET")):
            here = getattr(self._config.settings, setting)
            there = str(KSR.pv.get(f"$def({define})") or "").strip('"')
            if there and there.rstrip("/") != here:
                raise StartError(
                    f"{self._nodes_path}: settings.{setting}: {here}: differs from {define} in Kamailio's "
                    f"configuration, which is {there}; make them the same"
                )

    def fill(self) -> None:
        """When htables exist and no worker does: publish nodes and admin states. The first packet meets them."""
        self._state.put_config(self._config)
        self._state.put_admin(self._entries.values(), self._config.nodes)
        self._state.touch()
        out = [f"{node.name} {standing.reason}" for node, standing in self._state.view() if standing.entry]
        log(KSR.notice, f"{len(self._config.nodes)} nodes; " + ("; ".join(out) if out else "all in service"))

    # --- the timer ---------------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """One round of the timer; each duty at its own interval, and none stops the others."""
        self._state.beat()
        self._duty("sending", 0, self._tell_sending)
        self._duty("reload", 0, self._serve_reload)
        self._duty("nodes.yaml", 0.5, self._pick_up_nodes)
        self._duty("nodes", 0, self._put_in_force)
        self._duty("registry", 0.5, self._pick_up_registry)
        self._duty("probe", 0, lambda: self._prober.probe(self._config.settings))
        if self._reconciler.changed():
            self._due.pop("module", None)
        self._duty("module", self._config.settings.probe_interval, lambda: self._reconciler.reconcile(self._config))
        self._duty("history", 0, self._write_notes)
        self._duty("cooling", 0, self._end_cooling)
        self._duty("deletes", 0, lambda: self._deleter.send(self._config.settings))
        self._duty("calls", 10.0, self._state.correct_calls)
        self._duty("leaving", 1.0, self._let_go)
        self._duty("places", 1.0, memory.tidy)
        self._duty("events", 0, self._tell_changes)
        self._duty("sending at the end", 0, self._tell_sending)

    def _duty(self, name: str, interval: float, duty: Callable[[], None]) -> None:
        started = time.monotonic()
        if started < self._due.get(name, 0):
            return
        try:
            duty()
            self._told.pop(name, None)
        except Exception as error:
            self._tell(name, f"{name}: {type(error).__name__}: {error}")
        spent = time.monotonic() - started
        self._due[name] = started + max(interval, spent * _COUNT_SHARE if name == "calls" else 0)

    def _tell(self, about: str, text: str, level: Callable[[str], object] | None = None) -> None:
        """Log a lasting problem once, not at every tick."""
        if self._told.get(about) != text:
            self._told[about] = text
            log(level or KSR.err, text)

    # --- nodes.yaml --------------------------------------------------------------------------------------------------

    def _pick_up_nodes(self) -> None:
        version = _version(self._nodes_path)
        if version == self._nodes_version:
            return
        self._nodes_version = version
        try:
            told = self._load_nodes()
        except DocumentError as error:
            self._tell("faulty nodes.yaml", f"{self._nodes_path} is refused, the nodes stay as they are:\n{error}")
        else:
            self._told.pop("faulty nodes.yaml", None)
            if self._staged is not None:
                log(KSR.notice, f"{self._nodes_path}: {told}")

    def _load_nodes(self) -> str:
        """Take nodes.yaml over; says what changes. Raises DocumentError, and then nothing does."""
        content = read_text(self._nodes_path)
        old, new = self._config.as_in_file(), nodes.parse(content, self._nodes_path)
        try:
            last_good.keep(self._nodes_path, content, self._state_dir)
        except OSError as error:
            log(KSR.err, f"{self._state_dir / last_good.NAME}: cannot be written: {error.strerror}")
        kept = {name: getattr(old.settings, name) for name in ("state_dir", "rpc_socket")}
        if kept != {name: getattr(new.settings, name) for name in kept}:
            log(KSR.warn, "settings.state_dir and settings.rpc_socket take effect when Kamailio restarts")
            new = replace(new, settings=replace(new.settings, **kept))
        self._staged = new if new != old else None
        return _difference(old, new)

    def _put_in_force(self) -> None:
        """Publish the nodes that were taken over last, once the module has them all: no call must meet one it lacks."""
        if self._staged is None:
            return
        # Calls stay where they are: a node that is taken out of the file serves its own to their end.
        config = self._staged.with_leaving(self._config.nodes)
        if not self._reconciler.provide(config):
            return
        # Under the registry's lock, with what it holds now: a command may have published more than was picked up here.
        with contextlib.suppress(RegistryBusyError), self._registry.exclusive(timeout=0) as transaction:
            in_file, self._staged = self._staged, None
            self._config = config
            self._state.put_config(config)
            self._state.put_admin(transaction.entries.values(), config.nodes)
            self._state.touch()
            self._left_at = time.monotonic()
            busy = [node.name for node in config.nodes if not node.pool and self._state.calls(node)]
            told = [f"{name} has left, and serves its calls to their end" for name in busy]
            log(KSR.notice, "; ".join([f"{len(in_file.nodes)} nodes are in force", *told]))

    def _let_go(self) -> None:
        """Forget nodes that have left nodes.yaml and have served their last call."""
        if time.monotonic() - self._left_at < LINGER:
            return
        idle = [node for node in self._config.nodes if not node.pool and not self._state.calls(node)]
        if idle:
            self._state.correct_calls()
        gone = [node for node in idle if not self._state.calls(node)]
        if gone:
            self._config = replace(self._config, nodes=tuple(node for node in self._config.nodes if node not in gone))
            self._state.put_config(self._config)
            self._state.touch()
            log(KSR.notice, f"gone with their last call: {', '.join(node.name for node in gone)}")

    def _serve_reload(self) -> None:
        """Answer a request of `kemi-rtp reload`, when all that it asks for is in force or refused."""
        request = self._state.get(shared.RELOAD_REQUEST)
        if not request or request == self._reload_served:
            return
        try:
            if request != self._reload_begun:
                self._reload_begun = request
                self._nodes_version = _version(self._nodes_path)
                self._reload_text = self._load_nodes()
                self._registry_version = None
                self._pick_up_registry()
            self._put_in_force()
            if self._staged is None:
                self._reconciler.reconcile(self._config, patient=False)
            reply = {"id": request, "done": self._staged is None, "text": self._reload_text}
        except (DocumentError, RegistryError, ModuleError) as error:
            reply = {"id": request, "done": True, "error": str(error)}
        if reply["done"]:
            self._reload_served = request
        self._state.put(shared.RELOAD_REPLY, json.dumps(reply))

    # --- the registry ------------------------------------------------------------------------------------------------

    def _pick_up_registry(self) -> None:
        """Publish edits of the registry made by hand, and store the end of decisions whose time is over."""
        registry = self._registry
        version = _version(registry.path)
        now = utc_now()
        over = self._next_end is not None and self._next_end <= now
        if version == self._registry_version and not over:
            return
        try:
            with registry.exclusive(timeout=0) as transaction:
                if transaction.loaded.problem:
                    self._registry_version = version
                    self._tell("faulty registry", f"{transaction.loaded.problem}; what is in force stays so", KSR.crit)
                    # Decisions end all the same when their time is over.
                    held = {name: entry.at(now) for name, entry in transaction.entries.items()}
                    self._publish({name: entry for name, entry in held.items() if entry is not None})
                    return
                self._told.pop("faulty registry", None)
                for change in transaction.adopt_edits(now) + transaction.expire(now):
                    log(KSR.notice, f"{change.node}: {change.before} to {change.after} ({change.way})")
                self._publish(transaction.entries)
                self._registry_version = _version(registry.path)
        except RegistryBusyError:
            pass  # a command is at work; it publishes its change itself, and the next tick comes soon

    def _hold(self, entries: Mapping[str, Entry]) -> None:
        self._entries = entries
        self._next_end = min((entry.until for entry in entries.values() if entry.until is not None), default=None)

    def _publish(self, entries: Mapping[str, Entry]) -> None:
        """Put what the registry holds in force; under its lock."""
        self._hold(entries)
        self._state.put_admin(entries.values(), self._config.nodes)
        self._state.touch()

    # --- drift -------------------------------------------------------------------------------------------------------

    def _adopt(self, node: Node) -> None:
        """Take over that a person disabled a node in the rtpengine module itself."""
        now = utc_now()
        reason = f"disabled in the rtpengine module: rtpengine.enable {node.url} 0"
        try:
            with self._registry.exclusive(timeout=0) as transaction:
                adopted = transaction.adopt_disable(node, reason, now, self._config.nodes)
                self._state.put_mark(node, marked=True)
                self._publish(transaction.entries)
                self._registry_version = _version(self._registry.path)
        except RegistryBusyError:
            return  # a command is at work; the mark is still there at the next tick
        if adopted:
            log(
                KSR.warn,
                f"drift: {node.name} was {reason}; it is disabled in the registry now: kemi-rtp enable {node.name}",
            )

    def _note(self, node: Node, state: State, text: str) -> None:
        self._notes.append(Change(utc_now(), node.name, state, state, text, "kemi_rtp", "drift"))

    def _write_notes(self) -> None:
        """Write repairs into the history, once no command holds the registry."""
        if self._notes:
            with contextlib.suppress(RegistryBusyError), self._registry.exclusive(timeout=0) as transaction:
                transaction.record(self._notes)
                self._notes = []

    # --- shared memory -----------------------------------------------------------------------------------------------

    def _end_cooling(self) -> None:
        now = time.monotonic()
        view = self._state.view()
        if view is not self._cooling_in:  # many nodes, and nothing has changed with any: at nearly every tick
            self._cooling_in = view
            cooling = [node for node, _ in view if self._state.get(shared.cool_key(node.url))]
            self._cooling = {node: self._cooling.get(node, now) for node in cooling}
        for node, since in self._cooling.items():
            if now - since >= self._config.settings.cool_down:
                self._state.put_cooling(node, "")

    def _tell_sending(self) -> None:
        """Publish to which nodes commands are on their way that may have begun before the last change was published.

        At the beginning of a tick, so that no command of the operator waits for the rest of it; and at its end, for
        what the tick itself has changed. That this process pings nobody who is disabled follows from its one thread.
        """
        view = self._state.view()
        changed = view is not self._sending_since
        if not changed and not self._sending:
            return
        began = memory.sending() if changed else self._sending & memory.sending()
        for _ in range(_PAUSES if changed else 0):  # most commands end within a millisecond
            if not began:
                break
            time.sleep(_PAUSE)
            began &= memory.sending()
        self._state.publish_sending({set_id for _, set_id, _ in began})
        self._sending_since, self._sending = view, began

    def _tell_changes(self) -> None:
        """Call the script's on_node_changes with what has changed since the last tick, all at once."""
        view = self._state.view()
        if view is self._told_of:
            return
        self._told_of = view
        now = dict(view)
        changes = [
            NodeChange(node, self._standings[node], standing)
            for node, standing in now.items()
            if node in self._standings
            and (self._standings[node].admin, self._standings[node].health) != (standing.admin, standing.health)
        ]
        self._standings = now
        if changes:
            self._on_changes(changes)


def _difference(old: Config, new: Config) -> str:
    """What has changed from one nodes.yaml to another, for people."""
    before, after = {node.name: node for node in old.nodes}, {node.name: node for node in new.nodes}
    parts = [f"added {name}" for name in after if name not in before]
    parts += [f"removed {name}" for name in before if name not in after]
    parts += [f"changed {name}" for name, node in after.items() if name in before and before[name] != node]
    parts += ["changed settings"] if old.settings != new.settings else []
    return ", ".join(parts) or "in force already, nothing has changed"


def _version(path: Path) -> object:
    """The version of a file; one that changed this very moment counts as changed at the next look too.

    Its time is no finer than the kernel's clock tick: another change within the same tick would not show.
    """
    version = file_version(path)
    if isinstance(version, tuple) and time.time_ns() - version[0] < 50_000_000:
        return (*version, time.time_ns())
    return version
