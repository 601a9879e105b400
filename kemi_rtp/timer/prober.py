"""Health: pings to every node that is not disabled, over the NG protocol, in the timer's own process."""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Mapping

import KSR
from kemi_rtp.model.admin import State
from kemi_rtp.model.log import log
from kemi_rtp.model.nodes import Node, Settings
from kemi_rtp.model.view import LATE_MS, Health, Standing, View
from kemi_rtp.shm.state import SharedState
from kemi_rtp.timer.ng import PING, PONG, Client


class Prober:
    """Pings the nodes and publishes their health.

    `revive` makes the rtpengine module use nodes again that answer; it returns those that can be used now.
    """

    def __init__(self, state: SharedState, revive: Callable[[list[Node]], set[Node]]) -> None:
        self._state = state
        self._revive = revive
        self._client = Client()
        self._due = 0.0
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
        answered = {url for url, reply in self._client.collect().items() if PONG in reply}
        missed = self._client.overdue(settings.probe_timeout)
        self._draw_conclusions(settings, answered, dict.fromkeys(missed, "no answer to pings"))
        now = time.monotonic()
        if now >= self._due or self._somebody_new():
            self._due = now + settings.probe_interval
            self._draw_conclusions(settings, set(), self._send())
        elif needed := self._needed():
            self._draw_conclusions(settings, set(), self._send(needed))

    def _somebody_new(self) -> bool:
        """Whether a change has brought a node that was never pinged: it is not left waiting for its turn."""
        view = self._state.view()
        if view.generation == self._generation_seen:
            return False
        self._generation_seen = view.generation
        return any(s.admin is not State.DISABLED and node.url not in self._counters for node, s in view)

    def _needed(self) -> set[Node]:
        """The nodes that are down in pools that have no other node for a call."""
        view = self._state.view()
        if not view.ages:
            return set()
        served = {node.pool for node, standing in view if standing.routable}
        return {n for n, s in view if s.last_resort and s.health is Health.DOWN and n.pool not in served}

    def _send(self, only: Container[Node] | None = None) -> dict[str, str]:
        """Ping these nodes, or all, unless disabled, all at once; URLs that could not be pinged, and why."""
        self._client.resolve(node.address for node, _ in self._state.view())
        unsent: dict[str, str] = {}
        for node, standing in self._state.view():
            if standing.admin is State.DISABLED or (only is not None and node not in only):
                continue
            self._counters.setdefault(node.url, _Counter())
            if why := self._client.send(node.url, node.address, PING):
                unsent[node.url] = f"ping cannot be sent: {why}"
        return unsent

    def _draw_conclusions(self, settings: Settings, answered: set[str], missed: Mapping[str, str]) -> None:
        view = self._state.view()
        if view is self._judged and not answered and not missed:
            return
        self._judged = view
        concluded: dict[Node, tuple[Health, str]] = {}
        back: list[Node] = []
        needed = self._needed()
        for node, standing in view:
            cause = missed.get(node.url, "")
            if standing.admin is State.DISABLED:
                # Nobody looks at a disabled node, so nothing is known of it.
                self._counters.pop(node.url, None)
                health, cause = Health.UNKNOWN, ""
            elif node.url in answered or cause:
                counter = self._counters.setdefault(node.url, _Counter())
                # That a node must answer more than once keeps calls from one that comes and goes: if there is another.
                successes = 1 if node in needed else settings.probe_successes
                counter.count(standing.health, cause, settings.probe_failures, successes)
                health = counter.health
                if health is Health.UNKNOWN:
                    continue
                if health is Health.UP and standing.health is Health.DOWN:
                    back.append(node)
            else:
                continue
            if health is not standing.health:
                concluded[node] = (health, cause)
            if node.url in answered:
                self._note_time(node, standing, round(self._client.took.get(node.url, 0.0) * 1000))
        for node in set(back) - (self._revive(back) if back else set()):
            del concluded[node]
        for node, (health, cause) in concluded.items():
            self._state.put_health(node, health, cause)
        if concluded:
            self._state.touch()

    def _note_time(self, node: Node, standing: Standing, milliseconds: int) -> None:
        """Publish that a node has become slow, or quick again; calls find out the first only."""
        slow = milliseconds > LATE_MS
        if slow is not standing.slow:
            self._state.put_slow(node, milliseconds if slow else 0)
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

    def count(self, published: Health, cause: str, failures: int, successes: int) -> None:
        """Take in one probe, missed when it has a `cause`."""
        if published is Health.DOWN and self.health is Health.UP:
            self.health, self.answers = Health.DOWN, 0  # a worker found it dead since the last probe
        self.answers = 0 if cause else self.answers + 1
        self.misses = self.misses + 1 if cause else 0
        if self.answers >= (1 if self.health is Health.UNKNOWN else successes):
            self.health = Health.UP
        elif self.misses >= failures:
            self.health = Health.DOWN
