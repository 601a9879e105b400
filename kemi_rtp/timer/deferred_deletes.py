"""Deletes that SIP workers have put off: sent from here when their node answers."""

from __future__ import annotations

import time

from kemi_rtp.model.nodes import Settings
from kemi_rtp.model.standing import Health
from kemi_rtp.shm.state.timer import TimerState
from kemi_rtp.timer import ng

BATCH = 200
"""Deletes sent in one tick at most."""
_ANSWER_TIMEOUT = 1.0


class Deleter:
    """Sends deferred deletes over the NG protocol, never waiting for an answer."""

    def __init__(self, state: TimerState, pinging: ng.Client) -> None:
        self._state = state
        self._client = ng.Client(pinging)
        self._out: set[str] = set()

    def send(self, settings: Settings) -> None:
        """Take out what was answered or has waited too long, and send what is due."""
        for key in self._client.collect():
            self._out.discard(key)
            self._state.drop_delete(key, sent=True)
        self._out -= self._client.overdue(_ANSWER_TIMEOUT)  # sent once more at the next tick
        now = time.time()
        able: dict[str, ng.Address] | None = None
        sent = 0
        for key, (url, call_id, at) in self._state.deferred_deletes():
            able = self._able() if able is None else able
            if now - at > settings.delete_expire:
                self._state.drop_delete(key, sent=False)
            elif key not in self._out and url in able and sent < BATCH:
                # Those of a node that is away do not count: they must not keep the others' waiting.
                sent += 1
                why_not = self._client.send(key, able[url], ng.delete(call_id))
                if not why_not:
                    self._out.add(key)

    def _able(self) -> dict[str, ng.Address]:
        """The nodes that answer and may be sent to: their addresses by URL."""
        return {
            node.url: node.address
            for node, standing in self._state.view()
            if standing.admin.may_be_sent_to and standing.health is Health.UP
        }
