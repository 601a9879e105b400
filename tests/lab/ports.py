"""Free ports and addresses on the loopback interface."""

import random
import socket
from pathlib import Path
from typing import NamedTuple

# Below the kernel's own ephemeral range (32768 and up), so that no outgoing socket takes a port between choice and use.
_SIGNALLING = range(10_000, 32_000)
# Media ports are bound by rtpengine one by one as calls need them; a port that is taken is passed over by the daemon.
_MEDIA = range(33_000, 60_000)

# A process that needs ports takes a block of them for as long as it lives: it holds an abstract UNIX socket of the
# block's name. So two laboratories side by side never choose the same port, not even one that is free for a moment.
_BLOCK = 100
_held: list[socket.socket] = []
_free: list[int] = []


class Address(NamedTuple):
    """Host and port, written as SIP writes them: `127.0.0.1:5060`, `[::1]:5060`."""

    host: str
    port: int

    @property
    def is_v6(self) -> bool:
        return ":" in self.host

    @property
    def bracketed_host(self) -> str:
        return f"[{self.host}]" if self.is_v6 else self.host

    def __str__(self) -> str:
        return f"{self.bracketed_host}:{self.port}"


def free_port() -> int:
    """A port that nobody uses for UDP or TCP on any address; never the same one twice, in all processes."""
    while True:
        if not _free:
            _take_block()
        port = _free.pop()
        if _is_free(port):
            return port


def _take_block() -> None:
    starts = list(range(_SIGNALLING.start, _SIGNALLING.stop, _BLOCK))
    random.shuffle(starts)
    for start in starts:
        holder = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            holder.bind(f"\0kemi-rtp-lab-ports-{start}")
        except OSError:
            holder.close()
            continue
        _held.append(holder)
        _free.extend(range(start, start + _BLOCK))
        return
    raise RuntimeError(f"no free ports between {_SIGNALLING.start} and {_SIGNALLING.stop}")


def free_address(host: str) -> Address:
    """A free port on this host."""
    return Address(host, free_port())


def media_range(size: int) -> range:
    """A range of `size` ports for media, at a random place so that laboratories side by side seldom meet."""
    start = random.randrange(_MEDIA.start, _MEDIA.stop - size, 2)
    return range(start, start + size)


def has_ipv6_loopback() -> bool:
    """Whether this machine can send to itself on ::1."""
    if not socket.has_ipv6:
        return False
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            return False
    return True


def is_udp_bound(address: Address) -> bool:
    """Whether a UDP socket is bound to this port. Read from the kernel's table: a bind to try could get in the way."""
    table = Path("/proc/net/udp6" if address.is_v6 else "/proc/net/udp")
    suffix = f":{address.port:04X}"
    return any(line.split()[1].endswith(suffix) for line in table.read_text().splitlines()[1:])


def _is_free(port: int) -> bool:
    families = [(socket.AF_INET, "0.0.0.0")] + ([(socket.AF_INET6, "::")] if has_ipv6_loopback() else [])
    for family, host in families:
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            with socket.socket(family, kind) as probe:
                try:
                    probe.bind((host, port))
                except OSError:
                    return False
    return True
