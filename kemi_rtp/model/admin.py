"""Admin states: what people decided about nodes, how one decision follows another, and their text form. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from kemi_rtp.files.documents import Document, Section, collector_paused, text
from kemi_rtp.model.nodes import Node
from kemi_rtp.model.times import TIMESTAMP_FORM, format_timestamp, parse_timestamp

_HEADER = """\
# Admin states of rtpengine nodes. The kemi-rtp command writes this file; it may be edited by hand too:
# a running Kamailio picks edits up, and a faulty edit is refused. Comments are not kept.
# A node that is not listed is enabled. Each node has: state (draining or disabled), reason, by, since (UTC);
# optional: until (UTC), url, and then: the state that follows when until has passed.
version: 1
nodes:
"""


class State(StrEnum):
    """Admin state of a node, from the freest to the strictest."""

    ENABLED = "enabled"
    DRAINING = "draining"
    DISABLED = "disabled"

    @property
    def strictness(self) -> int:
        """0 for enabled to 2 for disabled."""
        return _STRICTNESS[self]


_STRICTNESS = {state: number for number, state in enumerate(State)}


@dataclass(frozen=True, slots=True)
class Entry:
    """What people decided about one node.

    `node` is its name, `url` its URL when the decision was made: a node that is renamed keeps its state. `since` and
    `until` are UTC to the second; after `until` the state `then` is in force, or the node is enabled without it.
    """

    node: str
    state: State
    reason: str = ""
    by: str = ""
    since: datetime | None = None
    until: datetime | None = None
    url: str = ""
    then: Entry | None = None

    def at(self, now: datetime) -> Entry | None:
        """The entry that holds at `now`: itself, its successor when its time is over, or None for enabled."""
        entry: Entry | None = self
        while entry is not None and entry.until is not None and entry.until <= now:
            entry = entry.then
        return entry

    def describe(self) -> str:
        """For people: ``disabled by alice@lb1 since 2026-11-22T16:00:00Z until ...: NIC swap``."""
        words = [str(self.state)]
        words += [f"by {self.by}"] if self.by else []
        words += [f"since {format_timestamp(self.since)}"] if self.since else []
        words += [f"until {format_timestamp(self.until)}"] if self.until else []
        return " ".join(words) + (f": {self.reason}" if self.reason else "")


@dataclass(frozen=True, slots=True)
class Change:
    """One line of the history: `node` went from `before` to `after`; `way` is command, edit, until or drift."""

    at: datetime
    node: str
    before: State
    after: State
    reason: str
    by: str
    way: str
    until: datetime | None = None


def matching(entries: Mapping[str, Entry], node: Node) -> list[Entry]:
    """All entries that speak of a node, by its name or its URL: the strictest first, of these one without an end."""
    found = [entry for entry in entries.values() if node.name == entry.node or node.url in (entry.node, entry.url)]
    return sorted(found, key=lambda entry: (-entry.state.strictness, entry.until is not None))


def matching_each(entries: Mapping[str, Entry], nodes: Iterable[Node]) -> Iterator[tuple[Node, list[Entry]]]:
    """`matching` for many nodes, in one pass over the entries."""
    about: dict[str, dict[str, Entry]] = {}
    for name, entry in entries.items():
        for key in (entry.node, entry.url):
            about.setdefault(key, {})[name] = entry
    for node in nodes:
        yield node, matching(about.get(node.name, {}) | about.get(node.url, {}), node)


def decide(entries: Mapping[str, Entry], new: Entry, nodes: Iterable[Node] = ()) -> dict[str, Entry]:
    """The entries after the decision `new`, which replaces all that was decided about its node.

    A decision with an end leaves the one without an end that it covers to come back afterwards: a timer must not
    make a node more enabled than people left it. An old entry that speaks of another of `nodes` too, because names
    and URLs were exchanged, goes on for that one.
    """
    about = Node(new.node, new.url or new.node, "", 0, 0, 0)
    old = matching(entries, about)
    kept = dict(entries)
    for entry in old:
        del kept[entry.node]
    for entry in old:
        for other in nodes:
            if other.name != new.node and other.name not in kept and matching({entry.node: entry}, other):
                then = entry.then and replace(entry.then, node=other.name, url=other.url)
                kept[other.name] = replace(entry, node=other.name, url=other.url, then=then)
    durable = [base for entry in old if (base := entry if entry.until is None else entry.then) is not None]
    base = max(durable, key=lambda entry: entry.state.strictness, default=None)
    if new.until is not None and base is not None:
        kept[new.node] = replace(new, then=replace(base, node=new.node, url=new.url))
    elif new.state is not State.ENABLED:
        kept[new.node] = new
    return kept


def differences(before: Mapping[str, Entry], after: Mapping[str, Entry], now: datetime) -> list[Change]:
    """The changes that lead from one set of entries to another, as history lines of way ``edit``."""
    changes = []
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        if old != new:
            changes.append(
                Change(
                    now,
                    name,
                    old.state if old else State.ENABLED,
                    new.state if new else State.ENABLED,
                    new.reason if new else "",
                    new.by if new and (old is None or new.by != old.by) else "",
                    "edit",
                    new.until if new else None,
                )
            )
    return changes


_KEY = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_CANONICAL = re.compile(rf"  ({_KEY}): (\{{.*\}})")

# The lines that nearly all are: plain ASCII, no escapes, no successor. What this takes `render` writes just so.
_TEXT = r'"((?:[!#-\[\]-~][ !#-\[\]-~]*)?)"'
_TIME = r'"([0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}Z)"'
_PLAIN = re.compile(
    rf'  ({_KEY}): \{{"state": "(draining|disabled)", "reason": {_TEXT}, "by": {_TEXT}'
    rf'(?:, "since": {_TIME})?(?:, "until": {_TIME})?(?:, "url": (?!""){_TEXT})?\}}'
)
_STATES = {str(state): state for state in State}


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
    return name if re.fullmatch(_KEY, name) else _quoted(name)


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
        return entry.state is not State.ENABLED
    return entry.until is not None and entry.then.then is None and _is_sound(entry.then)


def to_json(entry: Entry) -> str:
    """One entry as one line of JSON, which is YAML too."""
    parts = [f'"state": "{entry.state}", "reason": {_quoted(entry.reason)}, "by": {_quoted(entry.by)}']
    parts += [f'"since": "{format_timestamp(entry.since)}"'] if entry.since else []
    parts += [f'"until": "{format_timestamp(entry.until)}"'] if entry.until else []
    parts += [f'"url": {_quoted(entry.url)}'] if entry.url else []
    parts += [f'"then": {to_json(entry.then)}'] if entry.then else []
    return f"{{{', '.join(parts)}}}"


# json.dumps makes an encoder for every value, which is most of its time for small ones.
_quoted = json.JSONEncoder(ensure_ascii=False).encode


def from_json(node: str, line: str) -> Entry:
    """The entry that `to_json` wrote. Raises ValueError, KeyError or TypeError on anything else."""
    return _from_plain(node, json.loads(line))


def _from_plain(node: str, plain: dict[str, object]) -> Entry:
    def moment(key: str) -> datetime | None:
        return datetime.fromisoformat(str(plain[key])) if key in plain else None

    then = plain.get("then")
    return Entry(
        node,
        State(str(plain["state"])),
        str(plain["reason"]),
        str(plain["by"]),
        moment("since"),
        moment("until"),
        str(plain.get("url", "")),
        _from_plain(node, then) if isinstance(then, dict) else None,
    )


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
    if state is State.ENABLED and then is None:
        valid = "must be draining or disabled; to enable a node remove it (enabled needs until and then)"
        section.document.fault(section.line_of("state"), f"{section.field}.state", "enabled", valid)
    if state is None:
        return None
    return Entry(name, state, reason or "", by or "", since, until, url or "", then)


def _version(value: object) -> int:
    if value != 1:
        raise ValueError("must be 1")
    return 1


def _state(value: object) -> State:
    if value not in list(State):
        raise ValueError("must be draining or disabled")
    return State(str(value))


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


def change_to_json(change: Change) -> str:
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


def change_from_json(line: str) -> Change | None:
    """The change that a line of the history tells of; None for a line that a crash cut short."""
    try:
        plain = json.loads(line)
        until = plain.get("until")
        return Change(
            datetime.fromisoformat(plain["at"]),
            plain["node"],
            State(plain["from"]),
            State(plain["to"]),
            plain["reason"],
            plain["by"],
            plain["way"],
            datetime.fromisoformat(until) if until else None,
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
