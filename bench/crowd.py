"""Many nodes in one process: one port on every address of 127.0.0.0/8, each of which is a node.

`python -m bench.crowd PORT [DAEMON_PORT ...]`. A ping gets its pong. Everything else goes on to one of the rtpengine
daemons at these ports of 127.0.0.1, always the same one for a node; without daemons a delete gets its ok.
"""

import contextlib
import selectors
import socket
import struct
import sys
from collections.abc import Sequence

_IP_PKTINFO = 8  # linux/in.h; Python names it from 3.14 on
_PONG = b"d6:result4:ponge"
_OK = b"d6:result2:oke"
_REFUSED = b"d12:error-reason11:no daemon up6:result5:errore"


class Crowd:
    def __init__(self, port: int, daemons: Sequence[int]) -> None:
        self._front = self._socket("0.0.0.0", port)
        self._front.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        self._behind = [self._socket("127.0.0.1", 0) for _ in daemons]
        for one, daemon in zip(self._behind, daemons, strict=True):
            one.connect(("127.0.0.1", daemon))
        # Who asked which node, by the cookie of the command; that of a lost command stays, which a bench can afford.
        self._askers: dict[bytes, tuple[tuple[str, int], bytes]] = {}

    def run(self) -> None:
        with selectors.DefaultSelector() as selector:
            for one in (self._front, *self._behind):
                selector.register(one, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    with contextlib.suppress(OSError):  # all read, or the asker has gone
                        while True:
                            if key.fileobj is self._front:
                                self._from_kamailio()
                            else:
                                self._from_daemon(key.fileobj)  # type: ignore[arg-type]

    def _from_kamailio(self) -> None:
        packet, ancillary, _, asker = self._front.recvmsg(65_536, 64)
        _, _, node = struct.unpack("=i4s4s", ancillary[0][2])  # struct in_pktinfo, ip(7)
        cookie, _, command = packet.partition(b" ")
        if b"7:command4:ping" in command:
            self._answer(cookie + b" " + _PONG, asker, node)
        elif self._behind:
            self._askers[cookie] = (asker, node)
            self._behind[node[3] % len(self._behind)].send(packet)
        else:
            self._answer(cookie + b" " + (_OK if b"7:command6:delete" in command else _REFUSED), asker, node)

    def _from_daemon(self, one: socket.socket) -> None:
        packet = one.recv(65_536)
        asked = self._askers.pop(packet.partition(b" ")[0], None)
        if asked:
            self._answer(packet, *asked)

    def _answer(self, packet: bytes, asker: tuple[str, int], node: bytes) -> None:
        # From the address that was asked: the module's sockets are connected.
        info = struct.pack("=i4s4s", 0, node, bytes(4))
        self._front.sendmsg([packet], [(socket.IPPROTO_IP, _IP_PKTINFO, info)], 0, asker)

    def _socket(self, host: str, port: int) -> socket.socket:
        one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        one.setblocking(False)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        one.bind((host, port))
        return one


if __name__ == "__main__":
    Crowd(int(sys.argv[1]), [int(port) for port in sys.argv[2:]]).run()
