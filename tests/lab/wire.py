"""Every NG packet on its way to a node, read from the network: also those that reach nobody because the node is down.

The daemons' logs tell what was received; the wire tells what was sent, and by whom: which of Kamailio's processes owns
the socket that a packet came from. So a ping of the rtpengine module's own timer, or of an operator's `rtpengine.ping`,
is told apart from one that kemi_rtp is to answer for. A packet whose sender cannot be found counts as kemi_rtp's.
"""

import contextlib
import ctypes
import os
import re
import select
import socket
import struct
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from .ports import Address

TIMER = "timer"  # the module's own ping timer
OPERATOR = "operator"  # a native RPC that somebody typed
KEMI_RTP = "kemi_rtp"  # everything else: its pings, and all that it has the module send

# A cookie, then a dictionary (rtpengine, docs/ng_control_protocol.md).
_COMMAND = re.compile(rb"([^ ]+) d.*?7:command(\d+):(\w+)", re.DOTALL)
# The module's cookies are server id, a number of the process (5.6 and 6.0: its id), and one that counts; those of
# kemi_rtp's own prober have two parts.
_COOKIE = re.compile(r"(\d+_\d+)_\d+")
_TIMERS = ("timer", "slow timer", "secondary timer")
_RPC = "JSONRPCS DATAGRAM"

# Linux: asm-generic/socket.h, linux/sock_diag.h
_SO_ATTACH_FILTER, _SO_RCVBUFFORCE, _SO_MEMINFO = 26, 33, 55
_BUFFER = 64 << 20


@dataclass(frozen=True)
class Sent:
    """One packet to a node: `sender` is TIMER, OPERATOR or KEMI_RTP, `process` what Kamailio calls the sender's."""

    node: str
    command: str
    sender: str
    process: str
    cookie: str  # tells the module's packets from the pings of kemi_rtp's own prober


@dataclass(frozen=True)
class _Packet:
    node: str
    command: str
    cookie: str
    pid: int | None
    during_rpc: bool


class Wire:
    """Captures the NG packets to these nodes on 127.0.0.1, from its start on. Use as a context manager.

    `processes` is what Kamailio's processes are for, by process id; it grows with each start.
    """

    def __init__(self, nodes: Mapping[str, Address], processes: Mapping[int, str]) -> None:
        self._nodes = {address.port: name for name, address in nodes.items()}
        self._processes = processes
        self._packets: list[_Packet] = []
        self._owners: dict[int, int] = {}  # process id by source port
        self._by_cookie: dict[str, int] = {}  # process id by the first two parts of its cookies
        self._during_rpc = False
        # Gets a copy of each UDP packet at the moment it is delivered, whether or not somebody listens on the port.
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
        self._filter()
        self._socket.setblocking(False)
        self._lock = threading.Lock()
        self._ended = threading.Event()
        # Senders are looked up at once: their sockets are closed when Kamailio ends or reloads its nodes.
        self._reader = threading.Thread(target=self._read_on, daemon=True)

    def __enter__(self) -> Self:
        self._reader.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._reader.join()
        self._socket.close()

    def mark(self) -> int:
        """This moment, for `since` below."""
        self._read()
        return len(self._packets)

    def sent(self, node: str, since: int = 0, sender: str | None = None) -> list[Sent]:
        """The packets to a node since the mark, of one sender or of all."""
        self._read()
        sent = (self._told(packet) for packet in self._packets[since:] if packet.node == node)
        return [one for one in sent if sender in (None, one.sender)]

    def counts(self, node: str, since: int = 0, sender: str | None = None) -> "Counter[str]":
        """The same by command."""
        return Counter(one.command for one in self.sent(node, since, sender))

    @contextmanager
    def operator_at_work(self) -> Iterator[None]:
        """What the process of the JSON-RPC socket sends meanwhile is the operator's: an RPC returns when it is done."""
        self._read(during_rpc=True)
        try:
            yield
        finally:
            self._read(during_rpc=False)

    def _told(self, packet: _Packet) -> Sent:
        process = "unknown" if packet.pid is None else self._processes.get(packet.pid, f"unknown {packet.pid}")
        sender = KEMI_RTP
        if process in _TIMERS:
            sender = TIMER
        elif process == _RPC and packet.during_rpc:
            sender = OPERATOR
        return Sent(packet.node, packet.command, sender, process, packet.cookie)

    def _read_on(self) -> None:
        while not self._ended.is_set():
            if select.select([self._socket], [], [], 0.1)[0]:
                self._read()

    def _read(self, during_rpc: bool | None = None) -> None:
        """Take in what has come; `during_rpc` is for what comes from now on."""
        with self._lock:
            with contextlib.suppress(BlockingIOError):
                while True:
                    self._take(self._socket.recv(65_536))
            if during_rpc is not None:
                self._during_rpc = during_rpc
            memory = struct.unpack("9I", self._socket.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 36))
            assert memory[8] == 0, f"the capture has lost {memory[8]} packets"

    def _take(self, packet: bytes) -> None:
        header = 4 * (packet[0] & 0xF)  # of IP; that of UDP has 8 bytes
        source, target = struct.unpack_from("!HH", packet, header)
        if target not in self._nodes:
            return  # came before the filter was in place
        found = _COMMAND.match(packet, header + 8)
        cookie, command = (found[1].decode(), found[3][: int(found[2])].decode()) if found else ("", "unknown")
        if not Path(f"/proc/{self._owners.get(source)}").exists():
            self._find_owners()
        pid = self._owners.get(source)
        if of_module := _COOKIE.fullmatch(cookie):
            if pid is None:  # its socket has been closed meanwhile; earlier ones told whose cookies these are
                pid = self._by_cookie.get(of_module[1])
            else:
                self._by_cookie[of_module[1]] = pid
        self._packets.append(_Packet(self._nodes[target], command, cookie, pid, self._during_rpc))

    def _find_owners(self) -> None:
        """Look up which process of a Kamailio owns which UDP port (proc(5), /proc/net/udp)."""
        owners: dict[str, int] = {}
        for folder in Path("/proc").iterdir():
            if not folder.name.isdecimal():
                continue
            with contextlib.suppress(OSError):
                if (folder / "comm").read_text().strip() != "kamailio":
                    continue
                for inode in _sockets(folder / "fd"):
                    # One that was there before a fork is the child's too: the higher id is the later process.
                    owners[inode] = max(int(folder.name), owners.get(inode, 0))
        self._owners = {
            int(fields[1].rpartition(":")[2], 16): owners[fields[9]]
            for line in Path("/proc/net/udp").read_text().splitlines()[1:]
            if (fields := line.split())[9] in owners
        }

    def _filter(self) -> None:
        """Let the kernel keep only packets to the nodes: a classic BPF program on the packet from its IP header on."""
        ports = list(self._nodes)
        program = [(0xB1, 0, 0, 0), (0x48, 0, 0, 2)]  # X = length of the IP header; A = the destination port
        program += [(0x15, len(ports) - number, 0, port) for number, port in enumerate(ports)]  # equal: to the end
        program += [(0x06, 0, 0, 0), (0x06, 0, 0, 0xFFFF)]  # drop; keep
        code = b"".join(struct.pack("HBBI", *instruction) for instruction in program)
        buffer = ctypes.create_string_buffer(code)
        self._socket.setsockopt(
            socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HL", len(program), ctypes.addressof(buffer))
        )


def _sockets(descriptors: Path) -> Iterator[str]:
    """The inodes of a process's sockets; it may close and open files meanwhile."""
    for descriptor in descriptors.iterdir():
        with contextlib.suppress(OSError):
            target = os.readlink(descriptor)
            if target.startswith("socket:["):
                yield target.removeprefix("socket:[").removesuffix("]")
