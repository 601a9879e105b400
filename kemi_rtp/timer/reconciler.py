"""The rtpengine module's own node states, kept in step with what kemi_rtp derives: in the timer's own process.

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
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import KSR
from kemi_rtp.files.documents import file_version
from kemi_rtp.files.module_table import table, table_path, write_table
from kemi_rtp.model.admin import State
from kemi_rtp.model.log import log
from kemi_rtp.model.nodes import Config, Node
from kemi_rtp.model.view import Standing
from kemi_rtp.module import commands as module
from kemi_rtp.module.commands import ModuleError
from kemi_rtp.module.rows import LOADED_DISABLED, Row
from kemi_rtp.shm import layout as shared
from kemi_rtp.shm.state import SharedState
from kemi_rtp.timer.prober import Prober

Adopt = Callable[[Node], None]
"""Writes into the registry that somebody disabled a node in the module."""
Note = Callable[[Node, State, str], None]
"""Writes a repair into the history: the node, its admin state, and what was repaired."""


class Reconciler:
    """Brings the module's table on disk and its node states in line with the view."""

    def __init__(self, state: SharedState, adopt: Adopt, note: Note) -> None:
        self._state = state
        self._adopt = adopt
        self._note = note
        self.prober = Prober(state, self.revive)
        self._state_dir = Path("/nonexistent")
        self._in_step_with: object = None
        self._table: object = None
        self._patience: dict[str, _Patience] = {}

    def changed(self) -> bool:
        """Whether nodes, admin states or health have changed since the module was last in step."""
        return self._state.view().generation != self._in_step_with

    def provide(self, config: Config) -> bool:
        """See that the module has all nodes of a configuration; False while it must wait for its next reload.

        Raises ModuleError.
        """
        rows = self._read()
        for node, standing in self._state.view():
            row = rows.get(node.url)
            if row and standing.admin is not State.DISABLED and self._is_foreign(row):
                self._adopt(node)  # before a reload of the table would take the mark away
        known = {(row.url, row.set_id) for row in rows.values()}
        return all((node.url, node.set_id) in known for node in config.nodes) or self._reload(config)

    def reconcile(self, config: Config, *, patient: bool = True) -> None:
        """Compare the module's view with ours, and repair. Raises ModuleError.

        With `patient`, a node that drifts again and again is repaired once a minute only.
        """
        self._state_dir = Path(config.settings.state_dir)
        view = self._state.view()
        rows = self._read()
        if any(node.url not in rows for node, _ in view):
            self._reload(config)  # somebody has put another table in place
            return
        in_step = True
        for node, standing in view:
            repaired = self._repair(node, standing, rows[node.url], patient=patient)
            in_step = in_step and not repaired
        self._write_table(list(view))
        self._publish(rows if in_step else module.rows())
        if in_step:
            self._in_step_with = view.generation

    def revive(self, nodes: list[Node]) -> set[Node]:
        """Make nodes active in the module that have just answered a ping; those that are so now. Raises ModuleError.

        Their health is published as up only afterwards: no call must be sent to a node that the module still refuses.
        """
        rows = self._read()
        active: set[Node] = set()
        inactive: list[Node] = []
        for node in nodes:
            row = rows.get(node.url)
            if row is None:
                continue  # somebody has put another table in place
            if self._is_foreign(row):
                self._adopt(node)
            elif row.active:
                active.add(node)
            else:
                inactive.append(node)
        return active | self._activate(inactive)

    # --- repairs -----------------------------------------------------------------------------------------------------

    def _repair(self, node: Node, standing: Standing, row: Row, *, patient: bool) -> bool:
        """Bring one node's row in line; whether there was anything to do."""
        if standing.admin is State.DISABLED:
            if row.permanent:
                if self._is_foreign(row):
                    self._adopt(node)  # somebody has disabled it too, and perhaps for longer
                return False
            lost = self._expected(row)
            text = "enabled in the rtpengine module" if row.active else "without its permanent mark in the module"
            told = (
                f"{node.name} was {text} though {standing.reason}; disabled again: kemi-rtp enable {node.name} enables"
            )
            if lost and not self._tell(node, standing, told, patient=patient):
                return False
            module.disable(node.url)
            self._state.put_mark(node, marked=True)
            return True
        if self._is_foreign(row):
            self._adopt(node)
            return True
        if row.active or not standing.serves or not self.prober.answers(node):
            return False
        told = f"{node.name} answers, but the rtpengine module took it for dead; made active again"
        if not row.permanent and not self._tell(node, standing, told, patient=patient):
            return False
        self._activate([node])
        return True

    def _tell(self, node: Node, standing: Standing, text: str, *, patient: bool) -> bool:
        """Log a drift and note it in the history; False when another program fights back and it is time to wait."""
        patience = self._patience.setdefault(node.url, _Patience())
        if patient and not patience.allows(time.monotonic()):
            if patience.to_tell:
                patience.to_tell = False
                log(
                    KSR.err,
                    f"{node.name} has drifted {_Patience.LIMIT} times within {_Patience.PERIOD:g} s: another program "
                    "or the module's own ping timer works against the registry; from now on it is repaired more "
                    "slowly. Calls are not touched by it",
                )
            return False
        log(KSR.warn, f"drift: {text}")
        self._note(node, standing.admin, text)
        return True

    def _expected(self, row: Row) -> bool:
        """Whether a permanent mark is ours: set by us since the start, or loaded from our table."""
        mark = self._state.mark(row.url)
        return row.weight == LOADED_DISABLED if mark is None else mark

    def _is_foreign(self, row: Row) -> bool:
        """Whether somebody else than us has set the module's permanent mark."""
        return row.permanent and not self._expected(row)

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
            found = self._state.view().node(node.set_id)
            if found is not None and found[1].admin is not State.DISABLED:  # it may have become so this moment
                module.enable(node.url)
        rows = module.rows()
        self._publish(rows)
        active = {node for node in nodes if node.url in rows and rows[node.url].active}
        for node in active:
            self._state.put_mark(node, marked=False)
        return active

    # --- the module --------------------------------------------------------------------------------------------------

    def _reload(self, config: Config) -> bool:
        """Have the module read its table again; False when it is too early: it allows one reload in 10 seconds."""
        self._state_dir = Path(config.settings.state_dir)
        self._write_table([(node, self._state.standing(node)) for node in config.nodes])
        try:
            module.reload()
        except ModuleError as error:
            if "Too short" in str(error):
                return False
            raise
        for node in config.nodes:
            self._state.put_mark(node, marked=None)
        log(KSR.notice, "the rtpengine module has read its table again")
        return True

    def _write_table(self, standings: list[tuple[Node, Standing]]) -> None:
        path = table_path(self._state_dir)
        if self._table != (file_version(path), table(standings)):
            write_table(self._state_dir, standings)
            self._table = (file_version(path), table(standings))

    def _read(self) -> dict[str, Row]:
        """The module's nodes, without a ping to any. Raises ModuleError."""
        module.refresh()
        return module.rows()

    def _publish(self, rows: Mapping[str, Row]) -> None:
        """Tell the operator's commands what the module says."""
        value = shared.encode_rows(rows.values())
        if self._state.get(shared.ROWS) != value:
            self._state.put(shared.ROWS, value)


class _Patience:
    """So many repairs of one node in a period, then one in each period."""

    LIMIT = 5
    PERIOD = 60.0

    def __init__(self) -> None:
        self._repairs: list[float] = []
        self.to_tell = True

    def allows(self, now: float) -> bool:
        self._repairs = [at for at in self._repairs if now - at < self.PERIOD]
        if len(self._repairs) >= self.LIMIT:
            return False
        if not self._repairs:
            self.to_tell = True
        self._repairs.append(now)
        return True
