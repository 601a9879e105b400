"""JSON-RPC to a running Kamailio, over the jsonrpcs module's UNIX datagram socket."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Sequence
from typing import Any

_UNDER_WAY = 8
"""Requests without an answer so far: a UNIX datagram socket holds ten."""


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
