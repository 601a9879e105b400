"""The text of registry.yaml: entries to lines, lines to entries."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from kemi_rtp.files.documents import Document, Section, collector_paused, text
from kemi_rtp.model.admin import OUT_OF_SERVICE, AdminState, Entry
from kemi_rtp.model.entry_json import from_json, quoted, to_json
from kemi_rtp.model.times import TIMESTAMP_FORM, parse_timestamp

_HEADER = """\
# Admin states of rtpengine nodes. The kemi-rtp command writes this file; it may be edited by hand too:
# a running Kamailio picks edits up, and a faulty edit is refused. Comments are not kept.
# A node that is not listed is enabled. Each node has: state (draining or disabled), reason, by, since (UTC);
# optional: until (UTC), url, and then: the state that follows when until has passed.
version: 1
nodes:
"""

_KEY = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_CANONICAL = re.compile(rf"  ({_KEY}): (\{{.*\}})")

# The lines that nearly all are: plain ASCII, no escapes, no successor. What this takes `render` writes just so.
_TEXT = r'"((?:[!#-\[\]-~][ !#-\[\]-~]*)?)"'
_TIME = r'"([0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}Z)"'
_PLAIN = re.compile(
    rf'  ({_KEY}): \{{"state": "({"|".join(OUT_OF_SERVICE)})", "reason": {_TEXT}, "by": {_TEXT}'
    rf'(?:, "since": {_TIME})?(?:, "until": {_TIME})?(?:, "url": (?!""){_TEXT})?\}}'
)
_VALID = " or ".join(OUT_OF_SERVICE)
_STATES = {str(state): state for state in AdminState}


@dataclass(frozen=True, slots=True)
class Parsed:
    """Entries by node name, and their lines where these are as `render` writes them: none of an edited file."""

    entries: Mapping[str, Entry]
    lines: Mapping[str, str] = field(default_factory=dict)


def render(entries: Mapping[str, Entry], before: Parsed | None = None) -> str:
    """The registry file that holds `entries`, one line per node, in the order of their names.

    An entry that is in `before` too keeps its line: with thousands of nodes that is most of the time of a change.
    """
    if not entries:
        return _HEADER.rstrip("\n") + " {}\n"
    old, lines = (before.entries, before.lines) if before else ({}, {})
    written = [
        (lines.get(name) if old.get(name) is entries[name] else None) or f"  {_key(name)}: {to_json(entries[name])}"
        for name in sorted(entries)
    ]
    return _HEADER + "\n".join(written) + "\n"


def _key(name: str) -> str:
    return name if re.fullmatch(_KEY, name) else quoted(name)


def parse(content: str, path: Path) -> Mapping[str, Entry]:
    """Entries by node name from a registry file called `path` in messages. Raises DocumentError with every fault."""
    return read(content, path).entries


def read(content: str, path: Path) -> Parsed:
    """What a registry file called `path` in messages holds. Raises DocumentError with every fault."""
    with collector_paused():
        return _parse_canonical(content) or Parsed(_parse_edited(content, path))


def _parse_canonical(content: str) -> Parsed | None:
    """What a file exactly as `render` makes it holds, many times quicker than YAML; None for any other."""
    lines = content.removeprefix(_HEADER).splitlines()
    if not content.startswith(_HEADER) or not lines:
        return None
    entries: dict[str, Entry] = {}
    try:
        for line in lines:
            entry = _parse_plain(line) or _parse_line(line)
            if entry is None:
                return None
            entries[entry.node] = entry
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None
    if len(entries) != len(lines):
        return None  # a name appears twice
    return Parsed(entries, dict(zip(entries, lines, strict=True)))


def _parse_plain(line: str) -> Entry | None:
    match = _PLAIN.fullmatch(line)
    if match is None:
        return None
    name, state, reason, by, since, until, url = match.groups()
    return Entry(
        name,
        _STATES[state],
        reason,
        by,
        datetime.fromisoformat(since) if since else None,
        datetime.fromisoformat(until) if until else None,
        url or "",
    )


def _parse_line(line: str) -> Entry | None:
    match = _CANONICAL.fullmatch(line)
    if match is None:
        return None
    entry = from_json(match[1], match[2])
    return entry if to_json(entry) == match[2] and _is_sound(entry) else None


def _is_sound(entry: Entry) -> bool:
    """The rules of `_entry`, for what the quick parser has read."""
    texts = [text for text in (entry.reason, entry.by, entry.url) if text]
    if not all(text.isprintable() and text.strip() for text in texts):
        return False
    if entry.then is None:
        return entry.state in OUT_OF_SERVICE
    return entry.until is not None and entry.then.then is None and _is_sound(entry.then)


def _parse_edited(content: str, path: Path) -> dict[str, Entry]:
    document = Document(path, content)
    root = document.root()
    root.need("version", _version)
    nodes = root.section("nodes")
    root.done()
    entries: dict[str, Entry] = {}
    if nodes is None:
        document.fault(root.line, "nodes", "", "is missing: a mapping of node names to their states, or {}")
    else:
        for name in nodes.keys():  # noqa: SIM118 - not a dict
            section = nodes.section(name)
            if section is not None and (entry := _entry(section, name, nested=False)) is not None:
                entries[name] = entry
    document.finish()
    return entries


def _entry(section: Section, name: str, *, nested: bool) -> Entry | None:
    state = section.need("state", _state)
    reason = section.get("reason", _free_text, "")
    by = section.get("by", _free_text, "")
    since = section.get("since", _moment)
    until = section.get("until", _moment)
    url = section.get("url", text("a node URL"), "")
    below = None if nested else section.section("then")
    section.done()
    then = _entry(below, name, nested=True) if below is not None else None
    if below is not None and until is None:
        section.document.fault(below.line, below.field, "", "needs until: it says what follows then")
    if state is not None and state not in OUT_OF_SERVICE and then is None:
        valid = f"must be {_VALID}; to enable a node remove it (enabled needs until and then)"
        section.document.fault(section.line_of("state"), f"{section.field}.state", "enabled", valid)
    if state is None:
        return None
    return Entry(name, state, reason or "", by or "", since, until, url or "", then)


def _version(value: object) -> int:
    if value != 1:
        raise ValueError("must be 1")
    return 1


def _state(value: object) -> AdminState:
    if value not in list(AdminState):
        raise ValueError(f"must be {_VALID}")
    return AdminState(str(value))


def _free_text(value: object) -> str:
    if value == "":
        return ""
    return text()(value)


def _moment(value: object) -> datetime:
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC).replace(microsecond=0)
    if not isinstance(value, str) or "T" not in value.upper():
        raise ValueError(f"must be {TIMESTAMP_FORM}")
    return parse_timestamp(value, datetime.now(UTC))
