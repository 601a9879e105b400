"""The registry: admin states on disk, kept through crashes, reloads and restarts. Pure.

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

from kemi_rtp.files.documents import DocumentError
from kemi_rtp.model.admin import (
    Change,
    Entry,
    Parsed,
    State,
    change_from_json,
    change_to_json,
    decide,
    differences,
    matching,
    parse,
    read,
    render,
)
from kemi_rtp.model.nodes import Node

LOCK_TIMEOUT = 30.0
"""Seconds that a change waits for another one to finish."""


class RegistryError(Exception):
    """The registry cannot be read, or a change cannot be stored; nothing was changed."""


class RegistryBusyError(RegistryError):
    """Another process is changing the registry."""


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
        self.history_path = state_dir / "history.jsonl"
        self._lock_path = state_dir / "registry.lock"

    def load(self) -> Loaded:
        """The entries in force. Raises RegistryError when neither the current nor a good version can be read."""
        try:
            return Loaded(_read(self.path))
        except FileNotFoundError:
            if not self.good_path.exists() and not self.history_path.exists():
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

    def history(self, node: str = "", limit: int = 0) -> list[Change]:
        """The changes, oldest first; of one node only, or the last `limit` only, when given."""
        try:
            lines = self.history_path.read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise RegistryError(f"{self.history_path}: cannot be read: {error.strerror}") from None
        changes = [change for line in lines if (change := change_from_json(line)) is not None]
        if node:
            changes = [change for change in changes if change.node == node]
        return changes[-limit:] if limit else changes


@dataclass
class Transaction:
    """The registry while its lock is held. `problem` is as in Loaded."""

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
            with _Replacement(registry.directory) as replacement:
                content = render(entries, self.loaded.parsed).encode()
                for path in (registry.path, registry.good_path):
                    replacement.draft(path, content)
                # A history without a registry would look like a lost registry, so the first of all comes after it.
                first = not registry.path.exists() and not registry.good_path.exists()
                if not first:
                    replacement.append(registry.history_path, self._lines(changes))
                if self.loaded.problem and registry.path.exists():
                    replacement.keep(registry.path, registry.path.with_name("registry.yaml.rejected"))
                replacement.put_in_place()
                if first:
                    replacement.append(registry.history_path, self._lines(changes))
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
        content = render(self.entries, self.loaded.parsed)
        good: Mapping[str, Entry] = {}
        with contextlib.suppress(OSError, UnicodeDecodeError, DocumentError):
            text = registry.good_path.read_text(encoding="utf-8")
            if text == content:
                return []
            good = parse(text, registry.good_path)
        changes = differences(good, self.entries, now)
        if changes:
            last = {change.node: change for change in registry.history()}
            changes = [change for change in changes if not self._recorded(change, last.get(change.node))]
        try:
            with _Replacement(registry.directory) as replacement:
                replacement.draft(registry.good_path, content.encode())
                if changes:
                    replacement.append(registry.history_path, self._lines(changes))
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
                after = current.state if current else State.ENABLED
                reason = f"the time set by {entry.by or 'somebody'} is over"
                changes.append(Change(now, name, entry.state, after, reason, "kemi_rtp", "until"))
        if changes:
            self.write(entries, changes)
        return changes

    def adopt_disable(self, node: Node, reason: str, now: datetime, nodes: Iterable[Node]) -> bool:
        """Store that a node was disabled by other means than the kemi-rtp command; never makes one more enabled.

        Where a command has disabled it for a time, this one comes after that. False when it is disabled for good.
        """
        current = [entry for old in matching(self.entries, node) if (entry := old.at(now)) is not None]
        durable = [entry if entry.until is None else entry.then for entry in current]
        if any(entry is not None and entry.state is State.DISABLED for entry in durable):
            return False
        by = f"rtpengine.enable@{socket.gethostname()}"
        new = Entry(node.name, State.DISABLED, reason, by, now, None, node.url)
        strictest = max(current, key=lambda entry: entry.state.strictness, default=None)
        before = strictest.state if strictest else State.ENABLED
        if strictest is not None and before is State.DISABLED:
            entries = {**self.entries, strictest.node: replace(strictest, then=replace(new, node=strictest.node))}
        else:
            entries = decide(self.entries, new, nodes)
        self.write(entries, [Change(now, node.name, before, State.DISABLED, reason, by, "drift")])
        return True

    def record(self, changes: Iterable[Change]) -> None:
        """Add lines to the history about what changed no admin state."""
        if not self.registry.path.exists():
            self.write(self.entries, changes)  # a history without a registry would look like a lost registry
            return
        try:
            with _Replacement(self.registry.directory) as replacement:
                replacement.append(self.registry.history_path, self._lines(changes))
        except OSError as error:
            raise RegistryError(f"{self.registry.history_path}: cannot be written: {error.strerror}") from None

    def _lines(self, changes: Iterable[Change]) -> bytes:
        lines = "".join(change_to_json(change) + "\n" for change in changes)
        with contextlib.suppress(FileNotFoundError), self.registry.history_path.open("rb") as history:
            if history.seek(0, os.SEEK_END) and history.seek(-1, os.SEEK_END) >= 0 and history.read(1) != b"\n":
                lines = "\n" + lines  # a crash cut the last line short; do not grow it
        return lines.encode()

    def _recorded(self, change: Change, last: Change | None) -> bool:
        """Whether a crash between the history and the good version makes a written change look like an edit."""
        entry = self.entries.get(change.node)
        return (
            last is not None
            and last.way != "edit"
            and last.after is change.after
            and (entry is None or entry.since == last.at)
        )


class _Replacement:
    """Files of one directory that change together: either all of it is on disk, or nothing was done.

    Leaving the `with` block by an exception takes back what was done. A crash leaves drafts; the next one removes them.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._drafts: dict[Path, Path] = {}
        self._undo = contextlib.ExitStack()

    def __enter__(self) -> _Replacement:
        for left_over in self._directory.glob(".*.draft"):
            left_over.unlink()
        self._descriptor = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is None or not issubclass(kind, Exception):  # not for what stands for a crash, nor when all is well
            self._undo.pop_all()
        else:
            self._undo.close()
        for name in ("draft", "before"):
            for path in self._drafts:
                with contextlib.suppress(OSError):
                    _beside(path, name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            os.close(self._descriptor)

    def draft(self, path: Path, content: bytes) -> None:
        """Write the new content of a file beside it, through to the disk."""
        self._drafts[path] = _beside(path, "draft")
        write_through(self._drafts[path], content, os.O_CREAT | os.O_TRUNC)

    def append(self, path: Path, content: bytes) -> None:
        """Append to a file, through to the disk."""
        size = path.stat().st_size if path.exists() else None
        self._undo.callback(_shorten, path, size)
        write_through(path, content, os.O_CREAT | os.O_APPEND)

    def keep(self, path: Path, name: Path) -> None:
        """Keep what a file holds now under another name."""
        name.unlink(missing_ok=True)
        os.link(path, name)

    def put_in_place(self) -> None:
        """Rename the drafts into place, through to the disk."""
        for path, draft in self._drafts.items():
            before = _beside(path, "before")
            if path.exists():
                before.unlink(missing_ok=True)
                os.link(path, before)
                self._undo.callback(os.replace, before, path)
            else:
                self._undo.callback(path.unlink, missing_ok=True)
            os.replace(draft, path)
        os.fsync(self._descriptor)


def _beside(path: Path, name: str) -> Path:
    return path.with_name(f".{path.name}.{name}")


def _shorten(path: Path, size: int | None) -> None:
    if size is None:
        path.unlink(missing_ok=True)
    else:
        os.truncate(path, size)


def give_to_owner(path: Path) -> None:
    """When root writes into a state directory that Kamailio's user owns, the file must stay Kamailio's to change."""
    if os.geteuid() == 0:
        directory = path.parent.stat()
        os.chown(path, directory.st_uid, directory.st_gid)


def write_through(path: Path, content: bytes, flags: int) -> None:
    """Write to a file of the state directory, opened with these `flags` too, through to the disk. Raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC | flags, 0o644)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    give_to_owner(path)


def _read(path: Path) -> Parsed:
    return read(path.read_text(encoding="utf-8"), path)


def _reason(path: Path, error: Exception) -> str:
    if isinstance(error, DocumentError):
        return str(error)
    return f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}"
