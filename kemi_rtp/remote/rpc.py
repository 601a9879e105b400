"""The operator's way into a running Kamailio: JSON-RPC over the jsonrpcs module's UNIX datagram socket."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from kemi_rtp.shm import layout as shared

_UNDER_WAY = 8
"""Requests without an answer so far: a UNIX datagram socket holds ten."""
_STOPPED_AFTER = 3.0
"""Seconds in which the supervisor has not seen a change, after which nothing is awaited from it."""


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
        (result,) = self.call_all(method, [parameters])
        if isinstance(result, RpcError):
            raise result
        return result

    def call_all(self, method: str, parameters: Sequence[Sequence[str | int]]) -> list[Any]:
        """The results of an RPC called with each of these parameters, an RpcError where Kamailio answered with one.

        Raises NotReachable.
        """
        first = self._id + 1
        self._id += len(parameters)
        replies: dict[int, Any] = {}
        try:
            for id, each in enumerate(parameters, first):
                if id - first - len(replies) == _UNDER_WAY:
                    self._receive(method, replies, first)
                request = {"jsonrpc": "2.0", "method": method, "params": each, "id": id}
                self._socket.sendto(json.dumps(request, ensure_ascii=False).encode(), self._path)
            while len(replies) < len(parameters):
                self._receive(method, replies, first)
        except TimeoutError:
            raise NotReachable(f"{self._path}: no answer to {method} within {self._timeout:g} s") from None
        except OSError as error:
            raise NotReachable(f"{self._path}: {error.strerror}") from None
        return [replies[id] for id in range(first, self._id + 1)]

    def _receive(self, method: str, replies: dict[int, Any], first: int) -> None:
        reply = json.loads(self._socket.recv(1 << 20))
        if reply["id"] < first:
            return  # the late answer to an earlier call
        error = reply.get("error")
        replies[reply["id"]] = RpcError(f"{method}: {error.get('message', error)}") if error else reply.get("result")

    def get(self, key: str) -> str | int | None:
        """The value of one key of kemi_rtp's state table; None when it has none. Raises NotReachable."""
        return self.get_all([key])[key]

    def get_all(self, keys: Sequence[str]) -> dict[str, str | int | None]:
        """The values of keys of kemi_rtp's state table; None for those that have none. Raises NotReachable."""
        results = self.call_all("htable.get", [(shared.STATE, key) for key in keys])
        values = [None if isinstance(result, RpcError) else result["item"]["value"] for result in results]
        return {key: value if isinstance(value, (str, int)) else None for key, value in zip(keys, values, strict=True)}

    def put(self, items: Mapping[str, str]) -> None:
        """Set keys of kemi_rtp's state table, and then a new generation. Raises NotReachable or RpcError."""
        for key, value in (*items.items(), (shared.GENERATION, shared.new_generation())):
            self.call("htable.sets", shared.STATE, key, value)

    def generations(self) -> dict[str, str]:
        """The generation of the view that each process of Kamailio last built."""
        slots = self.call("htable.dump", shared.VIEWS)
        return {str(item["name"]): str(item["value"]) for slot in slots for item in slot["slot"]}

    def wait_until_sent(self, set_ids: Collection[int], timeout: float) -> bool:
        """Wait until every command that is on its way to one of these nodes has ended.

        Due after a change was published and before it is reported as in force: a worker that began earlier may not
        have seen the change. False when time is up, or when the supervisor does not tell.
        """
        began = time.monotonic()
        while True:
            known = self.get_all([shared.GENERATION, shared.SENDING])
            generation, sending = shared.decode_sending(known[shared.SENDING])
            seen = generation == known[shared.GENERATION]  # and so this change, or a later one
            if seen and not set(sending).intersection(set_ids):
                return True
            if time.monotonic() - began > (timeout if seen else min(timeout, _STOPPED_AFTER)):
                return False
            time.sleep(0.005)
