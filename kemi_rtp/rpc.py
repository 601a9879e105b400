"""The operator's way into a running Kamailio: JSON-RPC over the jsonrpcs module's UNIX datagram socket."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterable, Mapping
from typing import Any

from kemi_rtp import shared


class RpcError(Exception):
    """Kamailio answered with an error."""


class NotReachable(Exception):  # noqa: N818 - a state of things that commands go on with
    """No Kamailio answers on the socket."""


class Rpc:
    """A connection to one Kamailio. Use as a context manager."""

    def __init__(self, path: str, timeout: float = 2.0) -> None:
        self._path = path
        self._timeout = timeout
        self._id = int.from_bytes(os.urandom(3), "big")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("")  # an abstract address of its own, for the answers
        self._socket.settimeout(timeout)

    def __enter__(self) -> Rpc:
        return self

    def __exit__(self, *exception: object) -> None:
        self._socket.close()

    def call(self, method: str, *parameters: str | int) -> Any:
        """The result of an RPC. Raises NotReachable, or RpcError with Kamailio's answer."""
        self._id += 1
        request = {"jsonrpc": "2.0", "method": method, "params": parameters, "id": self._id}
        try:
            self._socket.sendto(json.dumps(request, ensure_ascii=False).encode(), self._path)
            while (reply := json.loads(self._socket.recv(1 << 20))).get("id") != self._id:
                pass  # the late answer to an earlier call
        except TimeoutError:
            raise NotReachable(f"{self._path}: no answer to {method} within {self._timeout:g} s") from None
        except OSError as error:
            raise NotReachable(f"{self._path}: {error.strerror}") from None
        if "error" in reply:
            raise RpcError(f"{method}: {reply['error'].get('message', reply['error'])}")
        return reply.get("result")

    def get(self, key: str) -> str | int | None:
        """The value of one key of kemi_rtp's state table; None when it has none. Raises NotReachable."""
        try:
            value = self.call("htable.get", shared.STATE, key)["item"]["value"]
        except RpcError:
            return None
        return value if isinstance(value, (str, int)) else None

    def put(self, items: Mapping[str, str]) -> None:
        """Set keys of kemi_rtp's state table, and then a new generation. Raises NotReachable or RpcError."""
        for key, value in (*items.items(), (shared.GENERATION, shared.new_generation())):
            self.call("htable.sets", shared.STATE, key, value)

    def in_flight(self) -> dict[str, str]:
        """What each process of Kamailio is sending now, if anything: shared.BUSY notes by process."""
        return {key: note for key, note in self._notes().items() if not key.startswith(shared.VIEW_PREFIX)}

    def generations(self) -> dict[str, str]:
        """The generation of the view that each process of Kamailio last built."""
        prefix = shared.VIEW_PREFIX
        return {key.removeprefix(prefix): note for key, note in self._notes().items() if key.startswith(prefix)}

    def _notes(self) -> dict[str, str]:
        slots = self.call("htable.dump", shared.BUSY)
        return {str(item["name"]): str(item["value"]) for slot in slots for item in slot["slot"]}

    def wait_until_sent(self, set_ids: Iterable[int], timeout: float) -> bool:
        """Wait until every command that is on its way to one of these nodes has ended; False when time is up.

        Due after a change was published and before it is reported as in force: a worker that began earlier may not
        have seen the change.
        """
        watched = {shared.PROBING, *set_ids}
        deadline = time.monotonic() + timeout
        began = {process: note for process, note in self.in_flight().items() if shared.busy_with(note) in watched}
        while began:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.005)
            now = self.in_flight()
            began = {process: note for process, note in began.items() if now.get(process) == note}
        return True
