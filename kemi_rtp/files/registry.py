"""The registry: admin states on disk, kept through crashes, reloads and restarts.

A state directory holds

    registry.yaml        the states in force: node, state, reason, who, since, until
    registry.yaml.good   the same, as last written or read without fault; used when registry.yaml is unreadable
    registry.yaml.rejected   a faulty edit that a later change had to move out of the way
    history.jsonl        one line per change: when, who, what, from, to, reason, by which way
    registry.lock        held by whoever changes any of these

and nodes.yaml.good, see last_good.py, beside the module's table.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from kemi_rtp.files import registry_yaml
from kemi_rtp.files.documents import DocumentError
from kemi_rtp.files.errors import RegistryBusyError, RegistryError
from kemi_rtp.files.history import History
from kemi_rtp.files.registry_yaml import Parsed
from kemi_rtp.files.replacement import Replacement, give_to_owner
from kemi_rtp.model.admin import AdminState, Change, Entry, decide, differences, matching, state_of, strictest
from kemi_rtp.model.nodes import Node

LOCK_TIMEOUT = 30.0
"""Seconds that a change waits for another one to finish."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """Entries by node name, and what is wrong with registry.yaml when the last good version had to serve."""

    parsed: Parsed
    problem: str = ""

    @property
    def entries(self) -> Mapping[str, Entry]:
        """The entries by node name."""
        return self.parsed.entries


class Registry:
    """The registry of one state directory."""

    def __init__(self, state_dir: Path) -> None:
        self.directory = state_dir
        self.path = state_dir / "registry.yaml"
        self.good_path = state_dir / "registry.yaml.good"
        self.history = History(state_dir / "history.jsonl")
        self._lock_path = state_dir / "registry.lock"

    def load(self) -> Loaded:
        """The entries in force. Raises RegistryError when neither the current nor a good version can be read."""
        try:
            return Loaded(_read(self.path))
        except FileNotFoundError:
            if not self.good_path.exists() and not self.history.path.exists():
                return Loaded(Parsed({}))
            problem = f"{self.path}: is missing"
        except (OSError, UnicodeDecodeError, DocumentError) as error:
            problem = _reason(self.path, error)
        try:
            good = _read(self.good_path)
        except (OSError, UnicodeDecodeError, DocumentError) as error:
            raise RegistryError(
                f"{problem}\n{_reason(self.good_path, error)}\n"
                "there is no version of the registry to go by: repair one of the two files, "
                "or write a registry that says which nodes are out of service"
            ) from None
        return Loaded(good, f"{problem}\nthe last good version, {self.good_path}, is in force")

    @contextlib.contextmanager
    def exclusive(self, timeout: float = LOCK_TIMEOUT) -> Iterator[Transaction]:
        """Hold the registry for a change; waits up to `timeout` seconds. Raises RegistryError, also when it is held."""
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)
        except OSError as error:
            raise RegistryError(f"{self._lock_path}: cannot be opened: {error.strerror}") from None
        try:
            try:
                give_to_owner(self._lock_path)
            except OSError as error:
                raise RegistryError(f"{self._lock_path}: cannot be given away: {error.strerror}") from None
            deadline = time.monotonic() + timeout
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except OSError:
                    if time.monotonic() >= deadline:
                        raise RegistryBusyError(f"{self._lock_path}: is held by another change; try again") from None
                    time.sleep(0.005)
            yield Transaction(self, self.load())
        finally:
            os.close(descriptor)


@dataclass
class Transaction:
    """The registry while its lock is held."""

    registry: Registry
    loaded: Loaded
    entries: Mapping[str, Entry] = field(init=False)

    def __post_init__(self) -> None:
        self.entries = self.loaded.entries

    def write(self, entries: Mapping[str, Entry], changes: Iterable[Change]) -> None:
        """Make `entries` the registry and record `changes`; on disk when this returns.

        Raises RegistryError when they cannot be stored; then everything is as it was.
        """
        registry = self.registry
        try:
            with Replacement(registry.directory) as replacement:
                content = registry_yaml.render(entries, self.loaded.parsed).encode()
                for path in (registry.path, registry.good_path):
                    replacement.draft(path, content)
                # A history without a registry would look like a lost registry, so the first of all comes after it.
                first = not registry.path.exists() and not registry.good_path.exists()
                if not first:
                    replacement.append(registry.history.path, registry.history.lines(changes))
                if self.loaded.problem and registry.path.exists():
                    replacement.keep(registry.path, registry.path.with_name("registry.yaml.rejected"))
                replacement.put_in_place()
                if first:
                    replacement.append(registry.history.path, registry.history.lines(changes))
        except OSError as error:
            raise RegistryError(
                f"{registry.directory}: the change cannot be stored: {error.strerror}; nothing was changed"
            ) from None
        self.entries = entries
        self.loaded = Loaded(Parsed(entries))

    def adopt_edits(self, now: datetime) -> list[Change]:
        """Record what was edited by hand since the last good version, and make the edit the last good version."""
        registry = self.registry
        if self.loaded.problem:
            return []
        content = registry_yaml.render(self.entries, self.loaded.parsed)
        good: Mapping[str, Entry] = {}
        with contextlib.suppress(OSError, UnicodeDecodeError, DocumentError):
            text = registry.good_path.read_text(encoding="utf-8")
            if text == content:
                return []
            good = registry_yaml.read(text, registry.good_path).entries
        changes = differences(good, self.entries, now)
        if changes:
            last = {change.node: change for change in registry.history.changes()}
            changes = [change for change in changes if not self._recorded(change, last.get(change.node))]
        try:
            with Replacement(registry.directory) as replacement:
                replacement.draft(registry.good_path, content.encode())
                if changes:
                    replacement.append(registry.history.path, registry.history.lines(changes))
                replacement.put_in_place()
        except OSError as error:
            raise RegistryError(f"{registry.directory}: an edit cannot be recorded: {error.strerror}") from None
        return changes

    def expire(self, now: datetime) -> list[Change]:
        """Store the end of every decision whose `until` has passed; returns the changes."""
        entries: dict[str, Entry] = {}
        changes: list[Change] = []
        for name, entry in self.entries.items():
            current = entry.at(now)
            if current is not None:
                entries[name] = current
            if current is not entry:
                reason = f"the time set by {entry.by or 'somebody'} is over"
                changes.append(Change(now, name, entry.state, state_of(current), reason, "kemi_rtp", "until"))
        if changes:
            self.write(entries, changes)
        return changes

    def adopt_disable(self, node: Node, reason: str, now: datetime, nodes: Iterable[Node]) -> bool:
        """Store that a node was disabled by other means than the kemi-rtp command; never makes one more enabled.

        Where a command has disabled it for a time, this one comes after that. False when it is disabled for good.
        """
        about = matching(self.entries, node)
        holding = [entry for old in about if (entry := old.at(now)) is not None]
        lasting = [entry if entry.until is None else entry.then for entry in holding]
        if any(entry is not None and entry.state is AdminState.DISABLED for entry in lasting):
            return False
        by = f"rtpengine.enable@{socket.gethostname()}"
        new = Entry(node.name, AdminState.DISABLED, reason, by, now, None, node.url)
        current = strictest(about, now)
        before = state_of(current)
        if current is not None and before is AdminState.DISABLED:
            entries = {**self.entries, current.node: replace(current, then=replace(new, node=current.node))}
        else:
            entries = decide(self.entries, new, nodes)
        self.write(entries, [Change(now, node.name, before, AdminState.DISABLED, reason, by, "drift")])
        return True

    def record(self, changes: Iterable[Change]) -> None:
        """Add lines to the history about what changed no admin state."""
        if not self.registry.path.exists():
            self.write(self.entries, changes)  # a history without a registry would look like a lost registry
            return
        try:
            with Replacement(self.registry.directory) as replacement:
                replacement.append(self.registry.history.path, self.registry.history.lines(changes))
        except OSError as error:
            raise RegistryError(f"{self.registry.history.path}: cannot be written: {error.strerror}") from None

    def _recorded(self, change: Change, last: Change | None) -> bool:
        """Whether a crash between the history and the good version makes a written change look like an edit."""
        entry = self.entries.get(change.node)
        return (
            last is not None
            and last.way != "edit"
            and last.after is change.after
            and (entry is None or entry.since == last.at)
        )


def _read(path: Path) -> Parsed:
    return registry_yaml.read(path.read_text(encoding="utf-8"), path)


def _reason(path: Path, error: Exception) -> str:
    if isinstance(error, DocumentError):
        return str(error)
    return f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}"
