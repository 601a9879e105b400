"""What `kemi-rtp verify` finds: where files, shared memory and the rtpengine module do not say the same."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from kemi_rtp.files.module_table import read_table, table
from kemi_rtp.files.registry import Registry
from kemi_rtp.model.admin import matching_each
from kemi_rtp.model.nodes import Config, Node
from kemi_rtp.model.standing import Standing, derive
from kemi_rtp.model.times import utc_now
from kemi_rtp.model.view import View
from kemi_rtp.module.rows import DISABLED, INACTIVE
from kemi_rtp.remote.state import RemoteState
from kemi_rtp.shm import layout


@dataclass(frozen=True, slots=True)
class Difference:
    """Two places that say different things of a node, and what that means for calls."""

    node: str
    place: str
    says: str
    other_place: str
    other_says: str
    meaning: str


@dataclass
class Findings:
    """All differences, and what is worth knowing but no difference."""

    differences: list[Difference] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    generation: object = None
    processes: dict[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """What `verify --json` prints."""
        return asdict(self)


def compare(state: RemoteState, view: View, config: Config, registry: Registry) -> Findings:
    """Compare everything that a running Kamailio goes by. Raises NotReachable or RegistryError."""
    loaded = registry.load()
    findings = Findings(generation=view.generation)
    if loaded.problem:
        findings.differences.append(
            Difference("", "registry.yaml", "unreadable", "registry.yaml.good", "in force", loaded.problem)
        )
    in_force = {node.name: (node, standing) for node, standing in view if not node.has_left}
    findings.notes += [f"{node.name} {standing.reason}" for node, standing in view if node.has_left]
    findings.differences += _nodes(config, in_force)
    decided = dict(matching_each(loaded.entries, [node for node, _ in view]))
    for node, standing in view:
        now = utc_now()
        wanted = derive(decided[node], now)
        if (wanted.admin, wanted.entry and wanted.entry.since) != (
            standing.admin,
            standing.entry and standing.entry.since,
        ):
            findings.differences.append(
                Difference(
                    node.name,
                    "registry.yaml",
                    wanted.entry.describe() if wanted.entry else "enabled",
                    "shared memory",
                    standing.entry.describe() if standing.entry else "enabled",
                    "calls go by shared memory: an edit that was not picked up, or a command that could not reach it",
                )
            )
    findings.differences += _table(Path(registry.directory), view)
    findings.differences += _module(state, view, findings)
    findings.processes = state.generations()
    behind = sum(generation != view.generation for generation in findings.processes.values())
    if behind:
        findings.notes.append(
            f"{behind} of {len(findings.processes)} processes have not looked since the last change: "
            "each does before its next message"
        )
    return findings


def _nodes(config: Config, in_force: dict[str, tuple[Node, Standing]]) -> Iterator[Difference]:
    on_disk = {node.name: node for node in config.nodes}
    for name in sorted({*on_disk, *in_force}):
        disk, force = on_disk.get(name), in_force[name][0] if name in in_force else None
        if disk != force:
            yield Difference(
                name,
                "nodes.yaml",
                _node(disk),
                "shared memory",
                _node(force),
                "calls go by shared memory: an edit that was not picked up yet or refused; see kemi-rtp reload",
            )


def _node(node: Node | None) -> str:
    if node is None:
        return "missing"
    return f"{node.url} pool {node.pool} weight {node.weight} tier {node.tier} set {node.set_id}"


def _table(state_dir: Path, view: View) -> Iterator[Difference]:
    wanted = {url: disabled for _, url, _, disabled in table(view)}
    try:
        on_disk = {url: disabled for _, url, _, disabled in read_table(state_dir)}
    except sqlite3.Error as error:
        yield Difference("", "module's table", f"unreadable: {error}", "shared memory", "", "a reload would fail")
        return
    words = {0: "enabled", 1: "disabled", None: "missing"}
    for node, _ in view:
        if wanted[node.url] != on_disk.get(node.url):
            yield Difference(
                node.name,
                "module's table",
                words[on_disk.get(node.url)],
                "shared memory",
                words[wanted[node.url]],
                "a reload of the module would load what the table says; no call follows it",
            )


def _module(state: RemoteState, view: View, findings: Findings) -> Iterator[Difference]:
    rows = layout.decode_rows(state.get(layout.ROWS))
    if view.stale or not rows:
        meaning = "kemi_rtp's timer does not run: nobody probes the nodes or repairs the module; see Kamailio's log"
        yield Difference("", "rtpengine module", "not known", "shared memory", "", meaning)
        return
    for node, standing in view:
        row = rows.pop(node.url, None)
        if (wrong := _wrong_row(standing, row)) is not None:
            yield Difference(
                node.name, "rtpengine module", row or "missing", "shared memory", str(standing.admin), wrong
            )
    for url in rows:
        findings.notes.append(f"the rtpengine module has {url}, which nodes.yaml has not: no call goes there")


def _wrong_row(standing: Standing, row: str | None) -> str | None:
    if row is None:
        return "the module lacks the node: calls that choose it go to another"
    if not standing.admin.may_be_sent_to and row != DISABLED:
        return "the module has lost the permanent mark; kemi_rtp sends nothing to the node all the same"
    if standing.serves and row == DISABLED:
        return "the module refuses every command for the node; somebody typed rtpengine.enable"
    if standing.serves and row == INACTIVE:
        return "the module takes the node for dead, though it answers pings"
    return None
