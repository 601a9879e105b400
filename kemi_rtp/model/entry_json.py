"""One decision as one line of JSON, as the registry's file and shared memory hold it."""

from __future__ import annotations

import json
from datetime import datetime

from kemi_rtp.model.admin import AdminState, Entry
from kemi_rtp.model.times import format_timestamp

# json.dumps makes an encoder for every value, which is most of its time for small ones.
quoted = json.JSONEncoder(ensure_ascii=False).encode


def to_json(entry: Entry) -> str:
    """One entry as one line of JSON, which is YAML too."""
    parts = [f'"state": "{entry.state}", "reason": {quoted(entry.reason)}, "by": {quoted(entry.by)}']
    parts += [f'"since": "{format_timestamp(entry.since)}"'] if entry.since else []
    parts += [f'"until": "{format_timestamp(entry.until)}"'] if entry.until else []
    parts += [f'"url": {quoted(entry.url)}'] if entry.url else []
    parts += [f'"then": {to_json(entry.then)}'] if entry.then else []
    return f"{{{', '.join(parts)}}}"


def from_json(node: str, line: str) -> Entry:
    """The entry that `to_json` wrote. Raises ValueError, KeyError or TypeError on anything else."""
    return _from_plain(node, json.loads(line))


def _from_plain(node: str, plain: dict[str, object]) -> Entry:
    def moment(key: str) -> datetime | None:
        return datetime.fromisoformat(str(plain[key])) if key in plain else None

    then = plain.get("then")
    return Entry(
        node,
        AdminState(str(plain["state"])),
        str(plain["reason"]),
        str(plain["by"]),
        moment("since"),
        moment("until"),
        str(plain.get("url", "")),
        _from_plain(node, then) if isinstance(then, dict) else None,
    )
