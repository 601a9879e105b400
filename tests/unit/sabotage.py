"""Decisions as the command stores them, and ways to let that fail at every single step."""

from __future__ import annotations

import errno
import os
from datetime import UTC, datetime
from typing import Any

import pytest

from kemi_rtp.files.registry import Registry
from kemi_rtp.model.admin import AdminState, Change, Entry, decide

NOW = datetime(2026, 11, 22, 16, 0, tzinfo=UTC)

# The uses of each function in a change: two drafts, the history, two renames, the folder.
STEPS = [
    (call, nth)
    for call, uses in {"open": 4, "write": 3, "fsync": 4, "chown": 3, "replace": 2, "close": 3}.items()
    for nth in range(1, uses + 1)
]


def entry(
    node: str, state: AdminState = AdminState.DISABLED, until: datetime | None = None, reason: str = "why"
) -> Entry:
    return Entry(node, state, reason, "alice@lb1", NOW, until, f"udp:{node}:2223")


def change_for(entry: Entry, before: AdminState = AdminState.ENABLED) -> Change:
    return Change(entry.since or NOW, entry.node, before, entry.state, entry.reason, entry.by, "command", entry.until)


def store(registry: Registry, *decided: Entry) -> None:
    """What the command does for each decision."""
    for one in decided:
        with registry.exclusive() as transaction:
            transaction.write(decide(transaction.entries, one), [change_for(one)])


def names(registry: Registry) -> set[str]:
    return set(os.listdir(registry.directory))


def snapshot(registry: Registry) -> dict[str, bytes]:
    """All that is in the state directory, but for the lock file, which holds nothing."""
    kept = names(registry) - {"registry.lock"}
    return {name: (registry.directory / name).read_bytes() for name in kept}


class Killed(BaseException):
    """Stands for kill -9: no code of the registry sees it."""


def no_space() -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class Saboteur:
    """Lets the `nth` use of one function of os fail with `error` before it does anything; the same for any user."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, call: str, nth: int, error: BaseException) -> None:
        self.left = nth
        monkeypatch.setattr(os, "geteuid", lambda: 0)
        monkeypatch.setattr(os, "chown", lambda *_: None)
        real = getattr(os, call)

        def sabotaged(*args: Any, **kwargs: Any) -> Any:
            self.left -= 1
            if self.left == 0:
                if call == "close":
                    real(*args, **kwargs)  # close frees the descriptor also when it reports an error
                raise error
            return real(*args, **kwargs)

        monkeypatch.setattr(os, call, sabotaged)

    @property
    def struck(self) -> bool:
        return self.left <= 0
