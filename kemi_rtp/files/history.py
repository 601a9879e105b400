"""history.jsonl: one line per change of an admin state."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from kemi_rtp.files.errors import RegistryError
from kemi_rtp.model.admin import AdminState, Change
from kemi_rtp.model.times import format_timestamp


class History:
    """The history of one state directory."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def changes(self, node: str = "", limit: int = 0) -> list[Change]:
        """The changes, oldest first; of one node only, or the last `limit` only, when given. Raises RegistryError."""
        try:
            lines = self.path.read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise RegistryError(f"{self.path}: cannot be read: {error.strerror}") from None
        changes = [change for line in lines if (change := from_json(line)) is not None]
        if node:
            changes = [change for change in changes if change.node == node]
        return changes[-limit:] if limit else changes

    def lines(self, changes: Iterable[Change]) -> bytes:
        """What is appended to the file to record `changes`."""
        lines = "".join(to_json(change) + "\n" for change in changes)
        with contextlib.suppress(FileNotFoundError), self.path.open("rb") as history:
            if history.seek(0, os.SEEK_END) and history.seek(-1, os.SEEK_END) >= 0 and history.read(1) != b"\n":
                lines = "\n" + lines  # a crash cut the last line short; do not grow it
        return lines.encode()


def to_json(change: Change) -> str:
    """One line of the history, without its end."""
    plain = {
        "at": format_timestamp(change.at),
        "node": change.node,
        "from": str(change.before),
        "to": str(change.after),
        "reason": change.reason,
        "by": change.by,
        "way": change.way,
    }
    if change.until:
        plain["until"] = format_timestamp(change.until)
    return json.dumps(plain, ensure_ascii=False)


def from_json(line: str) -> Change | None:
    """The change that a line of the history tells of; None for a line that a crash cut short."""
    try:
        plain = json.loads(line)
        until = plain.get("until")
        return Change(
            datetime.fromisoformat(plain["at"]),
            plain["node"],
            AdminState(plain["from"]),
            AdminState(plain["to"]),
            plain["reason"],
            plain["by"],
            plain["way"],
            datetime.fromisoformat(until) if until else None,
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
