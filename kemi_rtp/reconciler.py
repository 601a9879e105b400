"""The rtpengine module's own states, kept in step with what kemi_rtp derives: in the timer's own process.

Any of the module's RPCs, in a process that has not made its list of nodes anew since the last reload, first pings all
nodes that are not permanently disabled, and holds the module's locks while it waits. A command to one node makes the
list anew without that, so one goes before each use of the RPCs. And a node that is down stands in the table on disk as
disabled: whoever reloads the module, it does not wait for that node.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import KSR
from kemi_rtp import module
from kemi_rtp.admin import State
from kemi_rtp.log import log
from kemi_rtp.module import ModuleError
from kemi_rtp.nodes import Config, Node
from kemi_rtp.prober import Prober
from kemi_rtp.state import SharedState


class Reconciler:
    """Brings the module's table on disk and its node states in line after each change."""

    def __init__(self, state: SharedState) -> None:
        self._state = state
        self.prober = Prober(state, self.revive)
        self._in_step_with: object = None
        self._native: set[str] = set()  # URLs of nodes that somebody disabled in the module itself

    def provide(self, config: Config) -> bool:
        """See that the module has all nodes of a configuration; False while it must wait for its next reload.

        Raises ModuleError.
        """
        self._refresh()
        known = {(row.url, row.set_id) for row in module.rows().values()}
        return all((node.url, node.set_id) in known for node in config.nodes) or self._reload(config)

    def reconcile(self, config: Config) -> None:
        """After a change: the table on disk, and the state of each node in the module. Raises ModuleError."""
        view = self._state.view()
        if view.generation == self._in_step_with:
            return
        off_on_disk = module.read_table(Path(config.settings.state_dir))
        self._refresh()
        rows = module.rows()
        if any(node.url not in rows for node, _ in view):
            self._reload(config)  # somebody has put another table in place
            return
        in_step = True
        for node, standing in view:
            row = rows[node.url]
            if standing.admin is State.DISABLED:
                self._native.discard(node.url)
                if not row.permanent:
                    module.disable(node.url)
                    in_step = False
            elif not row.permanent:
                self._native.discard(node.url)
            elif not off_on_disk.get(node.url, True):
                self._note_native(node)
        if in_step:
            module.write_table(Path(config.settings.state_dir), view)
            self._in_step_with = view.generation

    def revive(self, node: Node) -> bool:
        """Make a node active in the module that has just answered a ping; whether it is so now. Raises ModuleError.

        Its health is published as up only afterwards: no call must be sent to a node that the module still refuses.
        """
        if node.url in self._native:
            return False
        self._refresh()
        if not module.rows(node.url)[node.url].active:
            self._guarded(node, lambda node: module.enable(node.url))
        return module.rows(node.url)[node.url].active

    def _reload(self, config: Config) -> bool:
        """Have the module read its table again; False when it is too early: it allows one reload in 10 seconds."""
        standings = [(node, self._state.standing(node)) for node in config.nodes]
        module.write_table(Path(config.settings.state_dir), standings)
        try:
            module.reload()
        except ModuleError as error:
            if "Too short" in str(error):
                return False
            raise
        log(KSR.notice, "the rtpengine module has read its table again")
        return True

    def _refresh(self) -> None:
        """Make this process's list of the module's nodes anew without a ping to any of them."""
        for node, standing in self._state.view():
            if standing.routable and self.prober.answers(node):
                self._guarded(node, module.refresh)
                return

    def _guarded(self, node: Node, command: Callable[[Node], object]) -> None:
        """Send a command to a node unless it was taken out of service this moment."""
        self._state.enter(node.set_id)
        try:
            found = self._state.view().node(node.set_id)
            if found is not None and found[1].admin is not State.DISABLED:
                command(node)
        finally:
            self._state.leave()

    def _note_native(self, node: Node) -> None:
        if node.url not in self._native:
            self._native.add(node.url)
            log(
                KSR.err,
                f"{node.name} was disabled in the rtpengine module by rtpengine.enable, which the registry does not "
                f"know: use kemi-rtp disable {node.name}, or rtpengine.enable {node.url} 1",
            )
