"""Shared memory of a running Kamailio, read and written from outside, over one layout with those inside."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from kemi_rtp.model.nodes import Config, Node
from kemi_rtp.model.times import utc_now
from kemi_rtp.model.view import View
from kemi_rtp.remote.rpc import Rpc, RpcError
from kemi_rtp.shm import layout
from kemi_rtp.shm.standings import build, keys_of

_STOPPED_AFTER = 3.0
"""Seconds in which the timer has not seen a change, after which nothing is awaited from it."""


class RemoteState:
    """The shared memory behind a connection. Everything here raises NotReachable when no Kamailio answers."""

    def __init__(self, rpc: Rpc) -> None:
        self._rpc = rpc

    def get(self, key: str) -> str | int | None:
        """The value of one key of the state table; None when it has none."""
        return self.get_all([key])[key]

    def get_all(self, keys: Sequence[str]) -> dict[str, str | int | None]:
        """The values of keys of the state table; None for those that have none."""
        results = self._rpc.call_all("htable.get", [(layout.STATE, key) for key in keys])
        values = [None if isinstance(result, RpcError) else result["item"]["value"] for result in results]
        return {key: value if isinstance(value, (str, int)) else None for key, value in zip(keys, values, strict=True)}

    def put(self, key: str, value: str) -> None:
        """Set one key of the state table. Raises RpcError too."""
        self._rpc.call("htable.sets", layout.STATE, key, value)

    def publish(self, items: Mapping[str, str]) -> None:
        """Set keys of the state table, and then a new generation, which makes all look. Raises RpcError too."""
        for key, value in items.items():
            self.put(key, value)
        self.put(layout.GENERATION, layout.new_generation())

    def config(self) -> Config:
        """The nodes and settings in force."""
        return layout.decode_config(self.get(layout.CONFIG))

    def of_nodes(self, nodes: Iterable[Node]) -> Mapping[str, str | int | None]:
        """All that the state table holds of the standing of these nodes."""
        return self.get_all(keys_of(nodes))

    def view(self) -> View:
        """The view that the SIP workers route by."""
        while True:
            known = self.get_all([layout.GENERATION, layout.CONFIG, layout.HEARTBEAT])
            known |= self.of_nodes(layout.decode_config(known[layout.CONFIG]).nodes)
            view = build(known.get, utc_now())
            if self.get(layout.GENERATION) == view.generation:
                return view

    def generations(self) -> dict[str, str]:
        """The generation of the view that each process of Kamailio last built, by process id."""
        slots = self._rpc.call("htable.dump", layout.VIEWS)
        return {str(item["name"]): str(item["value"]) for slot in slots for item in slot["slot"]}

    def wait_until_none_in_flight(self, set_ids: Collection[int], timeout: float) -> bool:
        """Wait until no command to one of these nodes is in flight that may have begun before the last change.

        Due after a change was published and before it is reported as in force. False when `timeout` seconds are over,
        or when the timer does not tell.
        """
        began = time.monotonic()
        while True:
            known = self.get_all([layout.GENERATION, layout.IN_FLIGHT])
            generation, in_flight = layout.decode_in_flight(known[layout.IN_FLIGHT])
            seen = generation == known[layout.GENERATION]  # and so this change, or a later one
            if seen and not set(in_flight).intersection(set_ids):
                return True
            if time.monotonic() - began > (timeout if seen else min(timeout, _STOPPED_AFTER)):
                return False
            time.sleep(0.005)


def wait_until(condition: Callable[[], bool], timeout: float) -> bool:
    """Wait until a condition holds; false when it still does not after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.02)
    return True
