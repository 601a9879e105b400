"""What every process of Kamailio does with shared memory: it looks at the view, and tells the others of a change."""

from __future__ import annotations

import time
from os import getpid

import KSR
from kemi_rtp.model.nodes import Config, Node
from kemi_rtp.model.standing import Health, Standing
from kemi_rtp.model.times import utc_now
from kemi_rtp.model.view import View
from kemi_rtp.shm import layout
from kemi_rtp.shm.layout import GENERATION, STATE
from kemi_rtp.shm.standings import build, calls_of, is_stale, standing_of


def is_filled() -> bool:
    """Whether shared memory has been filled: false only before Kamailio forked its workers."""
    return KSR.htable.sht_get(STATE, GENERATION) is not None


def get(key: str) -> str | int | None:
    """The value of one key of the state table; None when it has none."""
    return KSR.htable.sht_get(STATE, key)


def touch() -> None:
    """Make every process build its view anew at its next look; due after every change."""
    KSR.htable.sht_sets(STATE, GENERATION, layout.new_generation())


class ProcessState:
    """One process's hold on shared memory."""

    def __init__(self) -> None:
        self.seen = View(None, {})
        """The view as this process has seen it last."""

    def view(self) -> View:
        """What every node may take now; built anew only when the generation has changed, or health has become stale."""
        view = self.seen
        if KSR.htable.sht_get(STATE, GENERATION) == view.generation and not (view.ages and self._has_aged(view)):
            return view
        self.seen = build(get, utc_now())
        if self.seen.stale and not view.stale:
            KSR.err("kemi_rtp: the supervisor does not run: nodes that were down count as unknown now\n")
        KSR.htable.sht_sets(layout.VIEWS, str(getpid()), str(self.seen.generation))
        return self.seen

    def _has_aged(self, view: View) -> bool:
        return is_stale(get, view.settings, time.time()) != view.stale

    def standing(self, node: Node) -> Standing:
        """What a node may take now, also one that is not in the view yet."""
        return standing_of(get, node, utc_now())

    def config(self) -> Config:
        """The nodes and settings in force; no nodes before the start has published any."""
        return layout.decode_config(get(layout.CONFIG))

    def calls(self, node: Node) -> int | None:
        """Calls on a node; None while that is not known."""
        return calls_of(get, node)

    # --- what this process has found out about a node -----------------------------------------------------------------

    def put_health(self, node: Node, health: Health, cause: str) -> None:
        """Write the health of a node; seen by others after the next touch()."""
        KSR.htable.sht_sets(STATE, layout.health_key(node.url), layout.encode_health(health, cause))

    def put_slow(self, node: Node, milliseconds: int) -> None:
        """Tell all that a node answered after so many milliseconds, which is too late."""
        KSR.htable.sht_sets(STATE, layout.slow_key(node.url), f"answered after {milliseconds} ms")
        touch()
