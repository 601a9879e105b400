"""Shared memory, as one Kamailio process reads and writes it: the view, bindings, commands in flight."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import KSR
from kemi_rtp import shared
from kemi_rtp.admin import Entry, State
from kemi_rtp.nodes import Config, Node
from kemi_rtp.times import utc_now
from kemi_rtp.view import AWAITED, Health, Standing, View, build, encode_health, standing_of


def ready() -> bool:
    """Whether shared memory has been filled: false only before Kamailio forked its workers."""
    return KSR.htable.sht_get(shared.STATE, shared.GENERATION) is not None


class SharedState:
    """One process's hold on shared memory."""

    def __init__(self) -> None:
        self._view = View(None, {})
        self._process = ""
        self._sent = 0
        self.after_fork()

    def after_fork(self) -> None:
        """Take this process's own mark for commands in flight; due in every process when it starts."""
        self._process = str(KSR.pv.get("$pp"))
        self._sent = 0

    # --- the view ----------------------------------------------------------------------------------------------------

    def view(self) -> View:
        """What every node may take now; rebuilt only when the generation has changed."""
        if KSR.htable.sht_get(shared.STATE, shared.GENERATION) != self._view.generation:
            self._view = build(_get, utc_now())
            KSR.htable.sht_sets(shared.BUSY, shared.VIEW_PREFIX + self._process, str(self._view.generation))
        return self._view

    def standing(self, node: Node) -> Standing:
        """What a node may take now, also one that is not in the view yet."""
        return standing_of(_get, node, utc_now())

    def touch(self) -> None:
        """Make every worker rebuild its view at its next message; due after every change."""
        KSR.htable.sht_sets(shared.STATE, shared.GENERATION, shared.new_generation())

    def put_config(self, config: Config) -> None:
        """Publish what nodes.yaml says."""
        KSR.htable.sht_sets(shared.STATE, shared.CONFIG, shared.encode_config(config))

    def config(self) -> Config:
        """The last good nodes.yaml, as published."""
        return shared.decode_config(_get(shared.CONFIG))

    def put_admin(self, entries: Iterable[Entry], nodes: Iterable[Node]) -> None:
        """Publish what the registry holds; a node of `nodes` about which it holds nothing is enabled.

        A node that was disabled so far has to answer a ping first.
        """
        nodes = list(nodes)
        before = {node: self.standing(node).admin for node in nodes}
        self._put_admin(shared.admin_items(entries), nodes)
        for node in nodes:
            if before[node] is State.DISABLED and self.standing(node).admin is not State.DISABLED:
                self.put_health(node, Health.DOWN, AWAITED)

    def _put_admin(self, items: Mapping[str, str], nodes: Iterable[Node]) -> None:
        for key, value in items.items():
            KSR.htable.sht_sets(shared.STATE, key, value)
        for key in {shared.admin_key(name) for node in nodes for name in (node.name, node.url)} - items.keys():
            if _get(key):
                KSR.htable.sht_sets(shared.STATE, key, "")

    def put_health(self, node: Node, health: Health, cause: str) -> None:
        """Publish the health of a node."""
        KSR.htable.sht_sets(shared.STATE, shared.health_key(node.url), encode_health(health, cause))

    def put_mark(self, node: Node, *, marked: bool | None) -> None:
        """Note that the supervisor has set or cleared the module's permanent mark; None: as its table says."""
        value = "" if marked is None else "set" if marked else "clear"
        KSR.htable.sht_sets(shared.STATE, shared.mark_key(node.url), value)

    def mark(self, url: str) -> bool | None:
        """What `put_mark` noted last."""
        return {"set": True, "clear": False}.get(str(_get(shared.mark_key(url))))

    def mark_down(self, node: Node, cause: str) -> None:
        """Keep all workers away from a node that failed; the supervisor's pings bring it back."""
        self.put_health(node, Health.DOWN, cause)
        self.touch()

    def get(self, key: str) -> str | int | None:
        """The value of one key of the state table."""
        return _get(key)

    def put(self, key: str, value: str) -> None:
        """Set one key of the state table."""
        KSR.htable.sht_sets(shared.STATE, key, value)

    # --- bindings ----------------------------------------------------------------------------------------------------

    def bind(self, call_id: str, node: Node) -> None:
        """Note that a call's media is on a node; the note expires some hours after its last renewal."""
        KSR.htable.sht_seti(shared.CALLS, call_id, node.set_id)

    def binding(self, call_id: str) -> int | None:
        """The set id of the node that a call's media is on, if known."""
        set_id = KSR.htable.sht_get(shared.CALLS, call_id)
        return set_id if isinstance(set_id, int) else None

    def unbind(self, call_id: str) -> None:
        """Forget the binding of a call."""
        KSR.htable.sht_rm(shared.CALLS, call_id)

    def count_calls(self) -> dict[int, int]:
        """Bindings per set id; walks the whole table, for the supervisor only."""
        counts: dict[int, int] = {}
        KSR.htable.sht_iterator_start("kemi_rtp", shared.CALLS)
        try:
            while KSR.htable.sht_iterator_next("kemi_rtp") > 0:
                set_id = KSR.pv.get("$shtitval(kemi_rtp)")
                if isinstance(set_id, int):
                    counts[set_id] = counts.get(set_id, 0) + 1
        finally:
            KSR.htable.sht_iterator_end("kemi_rtp")
        return counts

    # --- commands in flight ------------------------------------------------------------------------------------------

    def enter(self, set_id: int) -> None:
        """Note that this process is about to send to a node, before it looks at the view for the last time.

        The kemi-rtp command publishes a change first and reads these notes afterwards, and returns when no process
        is sending to the node: either the process sees the change, or the command sees the process.
        """
        self._sent += 1
        KSR.htable.sht_sets(shared.BUSY, self._process, shared.busy_note(set_id, self._sent))

    def leave(self) -> None:
        """This process waits for no node any more."""
        KSR.htable.sht_sets(shared.BUSY, self._process, "0")


def _get(key: str) -> str | int | None:
    return KSR.htable.sht_get(shared.STATE, key)
