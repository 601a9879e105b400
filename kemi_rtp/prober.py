"""Health: pings to every node that is not disabled, over the NG protocol, in the timer's own process."""

from __future__ import annotations

from collections.abc import Callable

import KSR
from kemi_rtp import shared
from kemi_rtp.admin import State
from kemi_rtp.log import log
from kemi_rtp.ng import Pinger
from kemi_rtp.nodes import Node, Settings
from kemi_rtp.state import SharedState
from kemi_rtp.view import Health


class Prober:
    """Pings the nodes and publishes their health.

    `revive` makes the rtpengine module use a node again that answers; false when it cannot be used yet.
    """

    def __init__(self, state: SharedState, revive: Callable[[Node], bool]) -> None:
        self._state = state
        self._revive = revive
        self._pinger = Pinger()
        self._counters: dict[str, _Counter] = {}
        self._generation_seen: object = None

    def answers(self, node: Node) -> bool:
        """Whether a node answered the last ping."""
        return node.url in self._counters and self._counters[node.url].answers > 0

    def somebody_new(self) -> bool:
        """Whether a change has brought a node that was never pinged: it is not left waiting for its turn."""
        view = self._state.view()
        if view.generation == self._generation_seen:
            return False
        self._generation_seen = view.generation
        return any(s.admin is not State.DISABLED and node.url not in self._counters for node, s in view)

    def probe(self, settings: Settings) -> None:
        """Ping every node that is not disabled, all at once, and publish what has changed."""
        self._pinger.resolve(node.address for node, _ in self._state.view())
        self._state.enter(shared.PROBING)
        try:
            view = self._state.view()
            targets = {node.url: node.address for node, standing in view if standing.admin is not State.DISABLED}
            unsent = self._pinger.send(targets)
        finally:
            self._state.leave()
        answered = self._pinger.collect(settings.probe_timeout)
        changed = False
        for node, standing in self._state.view():
            if node.url in targets:
                cause = "" if node.url in answered else unsent.get(node.url, "no answer to pings")
                counter = self._counters.setdefault(node.url, _Counter())
                counter.count(standing.health, cause, settings.probe_failures, settings.probe_successes)
                health = counter.health
                if health is Health.UNKNOWN:
                    continue
                if health is Health.UP and standing.health is Health.DOWN and not self._revive(node):
                    continue
            elif standing.admin is State.DISABLED:
                # Nobody looks at a disabled node, so nothing is known of it.
                self._counters.pop(node.url, None)
                health, cause = Health.UNKNOWN, ""
            else:
                continue  # came into service while the others were being pinged
            if health is not standing.health:
                self._publish(node, health, cause)
                changed = True
        if changed:
            self._state.touch()

    def _publish(self, node: Node, health: Health, cause: str) -> None:
        level = KSR.warn if health is Health.DOWN else KSR.notice
        log(level, f"{node.name} ({node.url}) is {health}{f': {cause}' if cause else ''}")
        self._state.put_health(node, health, cause)


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
