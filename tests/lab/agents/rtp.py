"""RTP of one party: a socket that sends from the port it advertises, and tells whose packets came (RFC 3550)."""

from __future__ import annotations

import random
import socket
import struct
from collections import Counter

from tests.lab.ports import Address, free_address

_HEADER = struct.Struct("!BBHII")
_SAMPLES = 160  # of 20 ms at 8 kHz


class Rtp:
    """The RTP socket of a party, whose packets carry its name and a synchronisation source of its own."""

    def __init__(self, name: str, host: str) -> None:
        self.name = name
        self.address: Address = free_address(host)
        self.source = random.getrandbits(32)
        self.received: Counter[str] = Counter()
        """Packets by the name of the party that sent them."""
        self.socket = socket.socket(socket.AF_INET6 if self.address.is_v6 else socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(self.address)
        self.socket.setblocking(False)
        self._sequence = random.getrandbits(15)

    def send(self, to: Address) -> None:
        """One packet of PCMU."""
        self._sequence += 1
        header = _HEADER.pack(0x80, 0, self._sequence & 0xFFFF, self._sequence * _SAMPLES & 0xFFFFFFFF, self.source)
        self.socket.sendto(header + self.name.encode().ljust(_SAMPLES, b"\xff"), to)

    def read(self) -> None:
        """Take in what has come."""
        while True:
            try:
                packet = self.socket.recv(2048)
            except BlockingIOError:
                return
            if len(packet) > _HEADER.size and packet[1] < 200:  # not RTCP
                self.received[packet[_HEADER.size :].rstrip(b"\xff").decode(errors="replace")] += 1

    def close(self) -> None:
        self.socket.close()
