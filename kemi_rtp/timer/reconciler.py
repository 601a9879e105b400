"""The rtpengine module's own node states, kept in step with what kemi_rtp derives.

The module's state differs from the registry (drift) because its ping timer or its RPCs lost a permanent mark, because a
reload of its table brought one back, or because a person typed `rtpengine.enable`. A mark that people set is adopted
into the registry; everything else is repaired towards it.

Any of the module's RPCs, in a process that has not made its list of nodes anew since the last reload, first pings all
nodes that are not permanently disabled, and holds the module's locks while it waits. So the list is made anew without
pings before the RPCs are used: nobody tells when somebody has reloaded the module. And a node that is down stands in
the table on disk as disabled: whoever reloads the module, it does not wait for that node. What the module says is
published, so that no command of the operator has to ask it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import KSR
from kemi_rtp.files.documents import file_version
from kemi_rtp.files.module_table import table, table_path, write_table
from kemi_rtp.model.admin import AdminState
from kemi_rtp.model.log import log
from kemi_rtp.model.nodes import Config, Node
from kemi_rtp.model.standing import Standing
from kemi_rtp.module import rpcs
from kemi_rtp.module.rows import LOADED_DISABLED, Row
from kemi_rtp.module.rpcs import ModuleError
from kemi_rtp.shm.state.timer import TimerState

Adopt = Callable[[Node], None]
"""Writes into the registry that somebody disabled a node in the module."""
Note = Callable[[Node, AdminState, str], None]
"""Writes a repair into the history: the node, its admin state, and what was repaired."""
Answers = Callable[[Node], bool]
"""Whether a node answered its last ping."""


class Reconciler:
    """Brings the module's table on disk and its node states in line with the view."""

    def __init__(self, state: TimerState, state_dir: Path, adopt: Adopt, note: Note) -> None:
        self._state = state
        self._state_dir = state_dir
        self._adopt = adopt
        self._note = note
        self._in_step_with: object = None
        self._moved: set[Node] = set()
        self._table: object = None
        self._limits: dict[str, _RepairLimit] = {}

    def changed(self) -> bool:
        """Whether nodes, admin states or health have changed since the module was last in step."""
        return self._state.view().generation != self._in_step_with

    def follow(self, nodes: set[Node]) -> None:
        """Have the module find nodes where their host names lead now: it looks names up when it reads its table."""
        log(KSR.notice, f"{', '.join(sorted(node.name for node in nodes))}: the host name has another address now")
        self._moved |= nodes
        self._in_step_with = None

    # --- what the timer asks for -------------------------------------------------------------------------------------

    def adopt_native_disables(self) -> None:
        """Take over every disable that was typed in the module itself, of nodes in service. Raises ModuleError."""
        rows = _read()
        for node, standing in self._state.view():
            row = rows.get(node.url)
            if row is not None and standing.admin.may_be_sent_to and self._is_native_disable(row):
                self._adopt(node)

    def provide(self, config: Config) -> bool:
        """See that the module has all nodes of a configuration; False while it must wait for its next reload.

        Raises ModuleError.
        """
        known = {(row.url, row.set_id) for row in _read().values()}
        return all((node.url, node.set_id) in known for node in config.nodes) or self._reload(config)

    def reconcile(self, config: Config, answers: Answers, *, at_once: bool = False) -> None:
        """Compare the module's view with ours, and repair. Raises ModuleError.

        A node that drifts again and again is repaired once a minute only, unless `at_once`.
        """
        view = self._state.view()
        rows = _read()
        if self._moved or any(node.url not in rows for node, _ in view):  # somebody has put another table in place
            if self._reload(config):
                self._moved = set()
            return
        in_step = True
        for node, standing in view:
            if self._repair(node, standing, rows[node.url], answers, at_once=at_once):
                in_step = False
        self._write_table(view)
        self._state.publish_rows(rows if in_step else rpcs.rows())
        if in_step:
            self._in_step_with = view.generation

    def bring_back(self, nodes: list[Node]) -> set[Node]:
        """Make nodes active in the module that have just answered a ping; those that are so now. Raises ModuleError.

        Their health is published as up only afterwards: no call must be sent to a node that the module still refuses.
        """
        rows = _read()
        # Without a row somebody has put another table in place; one that has moved the module does not find yet.
        known = [node for node in nodes if node.url in rows and node not in self._moved]
        native = [node for node in known if self._is_native_disable(rows[node.url])]
        for node in native:
            self._adopt(node)
        inactive = [node for node in known if node not in native and not rows[node.url].active]
        return {node for node in known if rows[node.url].active} | self._activate(inactive)

    # --- repairs -----------------------------------------------------------------------------------------------------

    def _repair(self, node: Node, standing: Standing, row: Row, answers: Answers, *, at_once: bool) -> bool:
        """Bring one node's row in line; whether anything was changed for it."""
        in_service = standing.admin.may_be_sent_to
        if self._is_native_disable(row):
            self._adopt(node)  # of a node that is disabled already too: perhaps for longer
            return in_service
        if in_service:
            if row.active or not standing.serves or not answers(node):
                return False
            drift = f"{node.name} answers, but the rtpengine module took it for dead; made active again"
            expected = row.permanent  # it was disabled so far, by us
        else:
            if row.permanent:
                return False
            was = "enabled in the rtpengine module" if row.active else "without its permanent mark in the module"
            way_out = f"kemi-rtp enable {node.name} enables"
            drift = f"{node.name} was {was} though {standing.reason}; disabled again: {way_out}"
            expected = not self._is_marked_by_us(row)  # it was in service so far
        if not expected:
            if not at_once and not self._may_repair(node):
                return False
            log(KSR.warn, f"drift: {drift}")
            self._note(node, standing.admin, drift)
        if in_service:
            self._activate([node])
        else:
            rpcs.disable(node.url)
            self._state.put_mark(node, permanent=True)
        return True

    def _may_repair(self, node: Node) -> bool:
        """Whether it is time to repair a node that may drift again and again; says once that it does."""
        limit = self._limits.setdefault(node.url, _RepairLimit())
        allowed = limit.allows(time.monotonic())
        if not allowed and limit.to_tell:
            limit.to_tell = False
            log(
                KSR.err,
                f"{node.name} has drifted {_RepairLimit.REPAIRS} times within {_RepairLimit.PERIOD:g} s: another "
                "program or the module's own ping timer works against the registry; from now on it is repaired more "
                "slowly. Calls are not touched by it",
            )
        return allowed

    def _is_marked_by_us(self, row: Row) -> bool:
        """Whether a permanent mark is ours: set by us since the start, or loaded from our table."""
        mark = self._state.mark(row.url)
        return row.weight == LOADED_DISABLED if mark is None else mark

    def _is_native_disable(self, row: Row) -> bool:
        """Whether somebody else than us has set the module's permanent mark."""
        return row.permanent and not self._is_marked_by_us(row)

    def _activate(self, nodes: list[Node]) -> set[Node]:
        """Enable nodes in the module; those that are active then."""
        if not nodes:
            return set()
        chosen = set(nodes)
        standings = [
            (node, replace(standing, serves=True) if node in chosen else standing)
            for node, standing in self._state.view()
        ]
        # First the table, so that a reload this moment does not bring back a mark that nobody would know as ours.
        self._write_table(standings)
        for node in nodes:
            found = self._state.view().by_set.get(node.set_id)
            if found is not None and found[1].admin.may_be_sent_to:  # it may have been disabled this moment
                rpcs.enable(node.url)
        rows = rpcs.rows()
        self._state.publish_rows(rows)
        active = {node for node in nodes if node.url in rows and rows[node.url].active}
        for node in active:
            self._state.put_mark(node, permanent=False)
        return active

    # --- the module's table ------------------------------------------------------------------------------------------

    def _reload(self, config: Config) -> bool:
        """Have the module read its table again; False when it is too early: it allows one reload in 10 seconds."""
        self._write_table((node, self._state.standing(node)) for node in config.nodes)
        try:
            rpcs.reload()
        except ModuleError as error:
            if "Too short" in str(error):
                return False
            raise
        for node in config.nodes:
            self._state.forget_mark(node)
        log(KSR.notice, "the rtpengine module has read its table again")
        return True

    def _write_table(self, standings: Iterable[tuple[Node, Standing]]) -> None:
        standings = list(standings)
        path = table_path(self._state_dir)
        if self._table != (file_version(path), table(standings)):
            write_table(self._state_dir, standings)
            self._table = (file_version(path), table(standings))


def _read() -> dict[str, Row]:
    """The module's nodes, without a ping to any. Raises ModuleError."""
    rpcs.refresh()
    return rpcs.rows()


class _RepairLimit:
    """So many repairs of one node in a period, then one in each period."""

    REPAIRS = 5
    PERIOD = 60.0
    """Seconds."""

    def __init__(self) -> None:
        self._repairs: list[float] = []
        self.to_tell = True
        """Whether the next refusal is the first one of a row."""

    def allows(self, now: float) -> bool:
        """Whether one more repair is allowed; it counts then."""
        self._repairs = [at for at in self._repairs if now - at < self.PERIOD]
        if len(self._repairs) >= self.REPAIRS:
            return False
        if not self._repairs:
            self.to_tell = True
        self._repairs.append(now)
        return True
