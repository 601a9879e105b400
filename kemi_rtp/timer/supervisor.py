"""The timer: what it does at each tick, in which order."""

from __future__ import annotations

from pathlib import Path

from kemi_rtp.files.registry import Registry
from kemi_rtp.shm import places
from kemi_rtp.shm.state.timer import TimerState
from kemi_rtp.start import Begun
from kemi_rtp.timer.changes import Changes, OnChanges
from kemi_rtp.timer.cooling import Cooling
from kemi_rtp.timer.counts import Counts
from kemi_rtp.timer.deferred_deletes import Deleter
from kemi_rtp.timer.duties import Duties
from kemi_rtp.timer.in_flight import InFlight
from kemi_rtp.timer.nodes_file import NodesFile
from kemi_rtp.timer.prober import Prober
from kemi_rtp.timer.reconciler import Reconciler
from kemi_rtp.timer.registry_file import RegistryFile
from kemi_rtp.timer.reload import ReloadService

_WALK_SHARE = 1 / 200
"""Walking through the bindings of all calls takes at most this part of the timer's time."""


class Supervisor:
    """Keeps shared memory and the module in step with nodes.yaml, the registry and the network.

    Made in the timer's process; `begun` is what Kamailio was started with, None when the script was loaded again.
    """

    def __init__(self, nodes_path: Path, on_changes: OnChanges, begun: Begun | None) -> None:
        state = self._state = TimerState()
        registry = Registry(Path(state.config().settings.state_dir))  # the same for as long as Kamailio runs
        self.duties = Duties()
        self.registry_file = RegistryFile(state, registry, lambda: self.nodes_file.in_force.nodes)
        adopt, note = self.registry_file.adopt_disable, self.registry_file.note_repair
        self.reconciler = Reconciler(state, registry.directory, adopt, note)
        self.prober = Prober(state, self.reconciler.bring_back, self.reconciler.follow)
        self.nodes_file = NodesFile(state, self.reconciler, registry, nodes_path)
        self._reload = ReloadService(state, self.nodes_file, self.registry_file, lambda: self._reconcile(at_once=True))
        self.counts = Counts(state, self.prober.client)
        self._in_flight = InFlight(state)
        self._deleter = Deleter(state, self.prober.client)
        self._cooling = Cooling(state)
        self._changes = Changes(state, on_changes)
        if begun is not None:
            self.nodes_file.version = begun.nodes_version
            self.registry_file.version = begun.registry_version
            self.registry_file.hold(begun.entries)

    def tick(self) -> None:
        """One round of the timer. An operator's command waits for what comes first."""
        run = self.duties.run
        settings = self.nodes_file.in_force.settings
        self._state.beat()
        # `disable` waits for this: at the beginning, so that it does not wait for the rest of the tick, and at the end
        # for what the tick itself has changed. That this process pings no disabled node follows from its one thread.
        run("commands in flight", self._in_flight.tell)
        # Files before pings: a node that was just disabled is not pinged once more.
        run("reload", self._reload.serve)
        run("nodes.yaml", self.nodes_file.pick_up, every=0.5)
        run("nodes", self.nodes_file.put_in_force)
        run("registry", self.registry_file.pick_up, every=0.5)
        run("probe", lambda: self.prober.probe(settings))
        # The module follows what the pings have shown.
        if self.reconciler.changed():
            self.duties.hurry("module")
        run("module", self._reconcile, every=settings.probe_interval)
        run("history", self.registry_file.write_repairs)
        run("cooling", lambda: self._cooling.end(after=settings.cool_down))
        run("deletes", lambda: self._deleter.send(settings))
        run("calls", lambda: self.counts.ask(settings))
        run("leaving", self.nodes_file.let_go, every=1.0, share=_WALK_SHARE)
        run("places", places.tidy, every=1.0)
        run("events", self._changes.tell)
        run("commands in flight at the end", self._in_flight.tell)

    def _reconcile(self, *, at_once: bool = False) -> None:
        self.reconciler.reconcile(self.nodes_file.in_force, self.prober.answers, at_once=at_once)
