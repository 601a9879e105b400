"""Health: pings to every node that is not disabled, over the NG protocol, and what follows from the answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Mapping

import KSR
from kemi_rtp.model.log import log
from kemi_rtp.model.nodes import Node, Settings
from kemi_rtp.model.standing import LATE_MS, Health, Standing
from kemi_rtp.model.view import View
from kemi_rtp.shm.state.process import touch
from kemi_rtp.shm.state.timer import TimerState
from kemi_rtp.timer.ng import PING, PONG, Client

Activate = Callable[[list[Node]], set[Node]]
"""Makes the rtpengine module use nodes that have just answered; returns those that it uses now."""

Follow = Callable[[set[Node]], None]
"""Makes the rtpengine module look the host names of these nodes up again: their addresses have changed."""


class Prober:
    """Pings the nodes and publishes their health."""

    def __init__(self, state: TimerState, activate: Activate, follow: Follow) -> None:
        self._state = state
        self._activate = activate
        self._follow = follow
        self.client = Client()
        self.due = 0.0
        """When all nodes are pinged next, as time.monotonic()."""
        self._counters: dict[str, _Counter] = {}
        self._generation_seen: object = None
        self._judged: View | None = None

    def answers(self, node: Node) -> bool:
        """Whether a node answered the last ping."""
        return node.url in self._counters and self._counters[node.url].answers > 0

    def probe(self, settings: Settings) -> None:
        """Gather the answers to the last pings, publish what has changed, and ping again when it is time.

        Never waits: every node is pinged each `probe_interval`, however many of them are silent. A pool that has no
        node for a call has its nodes pinged at every tick, and the first answer of one brings it up.
        """
        answered = {url for url, reply in self.client.collect().items() if PONG in reply}
        missed = self.client.overdue(settings.probe_timeout)
        self._draw_conclusions(settings, answered, dict.fromkeys(missed, "no answer to pings"))
        now = time.monotonic()
        if now >= self.due or self._somebody_new():
            self.due = now + settings.probe_interval
            self._draw_conclusions(settings, set(), self._send())
        elif needed := self._needed():
            self._draw_conclusions(settings, set(), self._send(needed))

    def _somebody_new(self) -> bool:
        """Whether a change has brought a node that was never pinged: it is not left waiting for its turn."""
        view = self._state.view()
        if view.generation == self._generation_seen:
            return False
        self._generation_seen = view.generation
        return any(s.is_pinged and node.url not in self._counters for node, s in view)

    def _needed(self) -> set[Node]:
        """The nodes that are down in pools that have no other node for a call."""
        view = self._state.view()
        if not view.ages:
            return set()
        served = {node.pool for node, standing in view if standing.routable}
        return {n for n, s in view if s.last_resort and s.is_down and n.pool not in served}

    def _send(self, only: Container[Node] | None = None) -> dict[str, str]:
        """Ping these nodes, or all, unless disabled, all at once; URLs that could not be pinged, and why."""
        view = self._state.view()
        lost = {node.address for node, standing in view if standing.is_down}
        moved = self.client.resolve((node.address for node, _ in view), lost)
        if moved:
            self._follow({node for node, _ in view if node.address in moved})
        unsent: dict[str, str] = {}
        for node, standing in self._state.view():
            if not standing.is_pinged or (only is not None and node not in only):
                continue
            self._counters.setdefault(node.url, _Counter())
            if why := self.client.send(node.url, node.address, PING):
                unsent[node.url] = f"ping cannot be sent: {why}"
        return unsent

    def _draw_conclusions(self, settings: Settings, answered: Container[str], missed: Mapping[str, str]) -> None:
        """Publish what follows from the URLs that have answered, and from those that have not, and why."""
        view = self._state.view()
        if view is self._judged and not answered and not missed:
            return
        self._judged = view
        concluded: dict[Node, Health] = {}
        needed = self._needed()
        for node, standing in view:
            if not standing.is_pinged:
                self._counters.pop(node.url, None)
                health = Health.UNKNOWN  # nobody looks at it, so nothing is known of it
            elif node.url in answered or node.url in missed:
                # That a node must answer more than once keeps calls from one that comes and goes: if there is another.
                successes = 1 if node in needed else settings.probe_successes
                counter = self._counters.setdefault(node.url, _Counter())
                counter.count(standing.health, settings.probe_failures, successes, missed=node.url in missed)
                health = counter.health
                if health is Health.UNKNOWN:
                    continue
            else:
                continue
            if health is not standing.health:
                concluded[node] = health
            if node.url in answered:
                self._note_time(node, standing, round(self.client.took.get(node.url, 0.0) * 1000))
        back = [n for n, health in concluded.items() if health is Health.UP and view.by_set[n.set_id][1].is_down]
        self._publish({n: health for n, health in concluded.items() if n not in back}, missed)
        if back:  # last: this may fail, and the others must not wait for it
            self._publish(dict.fromkeys(self._activate(back), Health.UP), missed)

    def _publish(self, concluded: Mapping[Node, Health], missed: Mapping[str, str]) -> None:
        for node, health in concluded.items():
            self._state.put_health(node, health, missed.get(node.url, "") if health is Health.DOWN else "")
        if concluded:
            touch()

    def _note_time(self, node: Node, standing: Standing, milliseconds: int) -> None:
        """Publish that a node has become slow, or quick again; calls find out the first only."""
        slow = milliseconds > LATE_MS
        if slow is not standing.slow:
            if slow:
                self._state.put_slow(node, milliseconds)
            else:
                self._state.put_in_time(node)
            log(
                KSR.notice,
                f"{node.name} ({node.url}) answers pings {f'after {milliseconds} ms' if slow else 'in time'}",
            )


class _Counter:
    """Answers and misses of one node in a row, and the health that follows from them."""

    def __init__(self) -> None:
        self.health = Health.UNKNOWN
        self.answers = 0
        self.misses = 0

    def count(self, published: Health, failures: int, successes: int, *, missed: bool) -> None:
        """Take in one probe, answered or `missed`."""
        if published is Health.DOWN and self.health is Health.UP:
            self.health, self.answers = Health.DOWN, 0  # a worker found it dead since the last probe
        self.answers = 0 if missed else self.answers + 1
        self.misses = self.misses + 1 if missed else 0
        if self.answers >= (1 if self.health is Health.UNKNOWN else successes):
            self.health = Health.UP
        elif self.misses >= failures:
            self.health = Health.DOWN
