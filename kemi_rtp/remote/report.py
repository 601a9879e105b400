"""What `kemi-rtp show` tells: the same View as the SIP workers', with the module's own states beside it.

The module itself is not asked: in the process that answers, that may make it ping every node. The timer asks it,
and publishes what it says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kemi_rtp.files.errors import RegistryError
from kemi_rtp.files.registry import Registry
from kemi_rtp.model.admin import Entry, matching_each
from kemi_rtp.model.nodes import Config, Node
from kemi_rtp.model.standing import Health, Standing, derive
from kemi_rtp.model.times import format_timestamp, utc_now
from kemi_rtp.remote.state import RemoteState
from kemi_rtp.shm import layout
from kemi_rtp.shm.standings import calls_of


@dataclass
class Report:
    """One line per node, ready for JSON; `notes` are for people."""

    generation: object
    kamailio: str
    lines: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """What `show --json` prints."""
        return {"nodes": self.lines, "generation": self.generation, "kamailio": self.kamailio, "notes": self.notes}


def report_from_kamailio(state: RemoteState, config: Config, registry: Registry) -> Report:
    """The report of a running Kamailio. Raises NotReachable."""
    view = state.view()
    report = Report(view.generation, "running")
    if view.generation is None:
        report.notes.append("this Kamailio runs without kemi_rtp: its shared memory holds no state")
    try:
        entries = registry.load().entries
    except RegistryError as error:
        entries = {}
        report.notes.append(str(error))
    rows = layout.decode_rows(state.get(layout.ROWS))
    counts = state.get_all([key(node.set_id) for node, _ in view for key in (layout.calls_key, layout.bound_key)])
    for node, standing in view:
        row = rows.get(node.url, "missing") if rows else None
        report.lines.append(_line(node, standing, calls_of(counts.get, node), row))
    in_force = [node for node, _ in view]
    if {node for node in in_force if not node.has_left} != set(config.nodes):
        report.notes.append("nodes.yaml on disk is not what is in force: see Kamailio's log, or run kemi-rtp reload")
    _add_orphans(report, entries, in_force)
    return report


def report_from_files(config: Config, registry: Registry, why: str) -> Report:
    """The report of what the next start of Kamailio will begin with. Raises RegistryError."""
    loaded = registry.load()
    report = Report(None, "not reachable")
    report.notes.append(f"Kamailio is not reachable, this is what its next start begins with: {why}")
    if loaded.problem:
        report.notes.append(loaded.problem)
    now = utc_now()
    for node, entries in matching_each(loaded.entries, config.nodes):
        standing = derive(entries, now)
        report.lines.append(_line(node, standing, None, None))
    _add_orphans(report, loaded.entries, config.nodes)
    return report


def _line(node: Node, standing: Standing, calls: int | None, module: str | None) -> dict[str, Any]:
    return {
        "name": node.name,
        "url": node.url,
        "pool": node.pool,
        "weight": node.weight,
        "tier": node.tier,
        "set": node.set_id,
        "admin": str(standing.admin),
        "health": str(standing.health),
        "routable": standing.routable,
        "reason": standing.reason,
        **_decision(standing.entry),
        "calls": calls,
        "module": module,
    }


def _decision(entry: Entry | None) -> dict[str, str | None]:
    return {
        "by": entry.by if entry else None,
        "since": format_timestamp(entry.since) if entry and entry.since else None,
        "until": format_timestamp(entry.until) if entry and entry.until else None,
    }


def _add_orphans(report: Report, entries: Mapping[str, Entry], nodes: Iterable[Node]) -> None:
    """Nodes that the registry knows and nodes.yaml does not: their state is kept, for when they come back."""
    spoken_for = {entry.node for _, found in matching_each(entries, nodes) for entry in found}
    now = utc_now()
    for entry in entries.values():
        current = entry.at(now)
        if entry.node in spoken_for or current is None:
            continue
        report.lines.append(
            dict.fromkeys(("pool", "weight", "tier", "set", "calls", "module"))
            | {
                "name": entry.node,
                "url": entry.url or None,
                "admin": str(current.state),
                "health": str(Health.UNKNOWN),
                "routable": False,
                "reason": f"not in nodes.yaml; {current.describe()}",
                **_decision(current),
            }
        )
