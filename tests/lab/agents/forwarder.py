"""An application server that stays in the path: a stateless proxy (RFC 3261, section 16.11)."""

from __future__ import annotations

import random
import socket
from collections.abc import Callable

from tests.lab.ports import Address, free_address

from .agent import Agent
from .message import Message, host_port, uri_of
from .stage import Stage


class Forwarder:
    """Sends every request that begins something on to `callee`, by way of the proxy, and stays on its route."""

    def __init__(self, name: str, stage: Stage, callee: Agent) -> None:
        self.name = name
        self.callee = callee
        self.address: Address = free_address(stage.proxy.host)
        self._stage = stage
        self._socket = socket.socket(socket.AF_INET6 if self.address.is_v6 else socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(self.address)
        self._socket.setblocking(False)
        self._branches: dict[tuple[str, str, str], str] = {}
        stage.enter(self)

    @property
    def uri(self) -> str:
        return f"sip:{self.name}@{self.address}"

    def sockets(self) -> list[tuple[socket.socket, Callable[[], None]]]:
        return [(self._socket, self._read)]

    def close(self) -> None:
        self._socket.close()

    def _read(self) -> None:
        while True:
            try:
                message = Message.parse(self._socket.recv(65_536))
            except BlockingIOError:
                return
            self._stage.note(self.name, f"<-> {message}")
            if message.status:
                self._back(message)
            else:
                self._on(message)

    def _back(self, response: Message) -> None:
        vias = response.all("Via")[1:]
        response.headers = [
            *(("Via", via) for via in vias),
            *(header for header in response.headers if header[0] != "Via"),
        ]
        self._socket.sendto(response.encode(), host_port("sip:" + vias[0].split()[1].split(";")[0]))

    def _on(self, request: Message) -> None:
        routes = request.all("Route")
        if routes and host_port(uri_of(routes[0])) == tuple(self.address):
            routes = routes[1:]
        elif not request.to_tag:
            request.start = f"{request.method} {self.callee.uri} SIP/2.0"
        others = [header for header in request.headers if header[0] != "Route"]
        # The same branch for the same incoming one: a CANCEL and the ACK of a refusal must match the INVITE's.
        known = (request.branch, request.call_id, str(request.cseq[0]))
        branch = self._branches.setdefault(known, f"z9hG4bK{random.getrandbits(64):016x}")
        request.headers = [("Via", f"SIP/2.0/UDP {self.address};branch={branch}"), *others]
        if request.method == "INVITE" and not request.to_tag:
            request.headers.insert(1, ("Record-Route", f"<sip:{self.address};lr>"))
        request.headers += [("Route", route) for route in routes]
        to = Address(*host_port(uri_of(routes[0]))) if routes else self._stage.proxy
        if request.to_tag and not routes and request.method not in ("ACK", "CANCEL"):
            to = Address(*host_port(request.uri))
        self._socket.sendto(request.encode(), to)
