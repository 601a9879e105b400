"""The rtpengine module: its sets and nodes in shared memory, and how it selects a node.

Follows rtpengine/rtpengine.c of 5.6.3, 6.0.1, 6.0.2 and 6.1; `generation` says which. The daemons behind the nodes are
fakes (daemons.py); the commands are in commands.py, the RPCs in rpc.py.
"""

from __future__ import annotations

import zlib
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from KSR.mock.engine.exports import parameter, private_memory, shared_memory
from KSR.mock.rtpengine.daemons import Daemon, NgCommand, State
from KSR.mock.rtpengine.flags import NgRequest

if TYPE_CHECKING:
    from KSR.mock.engine.kamailio import Kamailio
    from KSR.mock.engine.process import Process

PERMANENT = 2**32 - 1  # RTPENGINE_MAX_RECHECK_TICKS
TABLE_VERSION = 1
MAX_TRIED_NODES = 50
SCHEMES = ("udp:", "udp6:", "unix:", "ws://", "wss://")


@dataclass(eq=False)
class Node:
    """One entry of the module's list, as shared memory has it."""

    url: str
    index: int
    weight: int
    disabled: int = 0
    recheck_ticks: int = 0
    displayed: bool = True

    @property
    def permanent(self) -> bool:
        """Whether the node carries the mark of a permanent disable."""
        return self.recheck_ticks == PERMANENT


@dataclass(eq=False)
class NodeSet:
    """One set of nodes."""

    set_id: int
    nodes: list[Node] = field(default_factory=list)


@dataclass(eq=False)
class HashEntry:
    """Call-ID and via-branch to node, until `expires` (ticks)."""

    node: Node
    expires: int


@dataclass
class Selection:
    """What a process remembers: the sets that the script has selected, and which list its sockets were made for."""

    list_version: int = 0
    first: NodeSet | None = None
    second: NodeSet | None = None
    message_number: int | None = None


@private_memory("rtpengine")
def new_selection(process: Process) -> Selection:
    """Return what a new process begins with."""
    return Selection()


@shared_memory("rtpengine")
class RtpengineModule:
    """The module's shared memory, its parameters, and the daemons that its commands reach."""

    def __init__(self, kamailio: Kamailio) -> None:
        """Begin without nodes and with the defaults of the generation."""
        self.kamailio = kamailio
        self.generation = kamailio.line.rtpengine
        self.is_5 = self.generation == "5.6"
        self.disable_tout = 60
        self.aggressive_redetection = self.is_5
        self.tout_ms = 1000
        self.retr = 5
        self.queried_nodes_limit = MAX_TRIED_NODES
        self.allow_op = 0
        self.setid_default = 0
        self.hash_table_tout = 3600
        self.hash_algo = 2 if self.generation == "6.1" else 0
        self.ping_interval = 0 if self.is_5 else 60
        self.db_url = ""
        self.rtp_inst_pvar = ""
        self.read_sdp_pv = ""
        self.write_sdp_pv = ""
        self.sets: dict[int, NodeSet] = {}
        self.call_table: dict[tuple[str, str], HashEntry] = {}
        self.daemons: dict[str, Daemon] = {}
        self.list_version = 1
        self.version_time = kamailio.clock.seconds
        self._node_count = 0
        self._started = False

    # ---- configuration ----------------------------------------------------------------------------------------------

    def modparam(self, name: str, value: int | str) -> None:
        """Set a parameter of the module; one that the generation does not know raises, as it stops Kamailio."""
        if name == "rtpengine_sock":
            self.add_set(str(value))
            return
        if name in ("ping_interval", "ping_mode") and self.is_5:
            raise ValueError(f"modparam rtpengine {name!r} does not exist in Kamailio {self.kamailio.line.version}")
        attribute = name.removeprefix("rtpengine_")
        if name == "aggressive_redetection":
            self.aggressive_redetection = bool(value)
        elif hasattr(self, attribute):
            setattr(self, attribute, value)

    def add_set(self, spec: str) -> None:
        """Add nodes as modparam rtpengine_sock gives them: "1 == udp:host:port=2 udp:host:port"."""
        before, sign, after = spec.partition("==")
        set_id, urls = (int(before), after) if sign else (self.setid_default, spec)
        for word in urls.split():
            url, _, weight = word.partition("=")
            self._add_node(self._set(set_id), url, int(weight or 1), disabled=0, ticks=0)

    def node(self, url: str, set_id: int | None = None, weight: int = 1, *, disabled: bool = False) -> Daemon:
        """Add a node, each in a set of its own if no set is given, and return its daemon."""
        wanted = max(self.sets, default=0) + 1 if set_id is None else set_id
        self._add_node(self._set(wanted), url, weight, int(disabled), PERMANENT if disabled else 0)
        return self.daemon(url)

    def daemon(self, url: str) -> Daemon:
        """Return the daemon at a URL; it is alive when it is new."""
        return self.daemons.setdefault(url, Daemon(url))

    def find(self, url: str) -> Node:
        """Return the first node with this URL."""
        for node in self.nodes():
            if node.url == url:
                return node
        raise KeyError(url)

    def nodes(self) -> list[Node]:
        """Return the nodes of all sets, hidden ones too."""
        return [node for node_set in self.sets.values() for node in node_set.nodes]

    def _set(self, set_id: int) -> NodeSet:
        return self.sets.setdefault(set_id, NodeSet(set_id))

    def _add_node(self, node_set: NodeSet, url: str, weight: int, disabled: int, ticks: int) -> None:
        if not url.lower().startswith(SCHEMES):
            self.kamailio.log_line("warn", f"rtpengine: Node address must start with 'udp:' or ... Ignore '{url}'.")
            return
        recheck = ticks if ticks == PERMANENT else ticks + self.kamailio.clock.ticks
        for known in node_set.nodes:
            if known.url == url:
                known.weight, known.disabled = weight, disabled
                known.recheck_ticks, known.displayed = recheck, True
                return
        node_set.nodes.append(Node(url, self._node_count, weight, disabled, recheck))
        self._node_count += 1
        self.daemon(url)

    # ---- database ---------------------------------------------------------------------------------------------------

    def load_database(self) -> bool:
        """Hide all nodes and add those of the table; False when there is no usable table."""
        rows = self._read_table()
        if rows is None:
            return False
        for node in self.nodes():
            node.displayed, node.disabled, node.recheck_ticks = False, 1, PERMANENT
        for set_id, url, weight, disabled in rows:
            self._add_node(self._set(set_id), url, weight, disabled, PERMANENT if disabled else 0)
        return True

    def _read_table(self) -> list[tuple[int, str, int, int]] | None:
        import sqlite3  # here, to keep `import KSR` quick
        from pathlib import Path

        path = Path(self.db_url.removeprefix("sqlite://"))
        if not path.exists():
            self.kamailio.log_line("err", f"rtpengine: no database {path}")
            return None
        try:
            with closing(sqlite3.connect(path)) as database:
                version = database.execute("SELECT table_version FROM version WHERE table_name='rtpengine'").fetchone()
                if version is None or version[0] != TABLE_VERSION:
                    self.kamailio.log_line("err", "rtpengine: wrong version for table rtpengine")
                    return None
                return database.execute("SELECT setid, url, weight, disabled FROM rtpengine").fetchall()
        except sqlite3.Error as error:
            self.kamailio.log_line("err", f"rtpengine: {error}")
            return None

    # ---- start ------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Do what mod_init and the first worker do: load the table, ping every node, begin the ping timer."""
        if self._started:
            return
        self._started = True
        if self.db_url and not self.load_database():
            raise RuntimeError(f"rtpengine: cannot load {self.db_url}: Kamailio would not start")
        first = self.kamailio.process.rtpengine
        self.build_sockets(first, test=True)
        if self.ping_interval > 0:
            self.kamailio.clock.every(self.ping_interval, self.timer)

    def build_sockets(self, selection: Selection, *, test: bool) -> None:
        """Renew a process's sockets when the list has changed since; with `test` ping every node while doing so."""
        if selection.list_version == self.list_version:
            return
        selection.list_version = self.list_version
        if test:
            for node in self.nodes():
                node.disabled = self.test(node, disabled=0, force=True)

    # ---- talking to daemons -----------------------------------------------------------------------------------------

    def send(self, node: Node, request: NgRequest) -> dict[str, str] | None:
        """Send a command; None when nothing came back after all retries."""
        daemon = self.daemon(node.url)
        if daemon.state is State.CLOSED:
            return None
        for _ in range(1 if daemon.answers else self.retr):
            at = self.kamailio.clock.now
            daemon.log.append(
                NgCommand(
                    request.command, request.call_id, request.from_tag, request.to_tag,
                    request.flags_text, request.sdp, at,
                )
            )  # fmt: skip
            if daemon.answers:
                return daemon.answer(request)
            self.kamailio.clock.spend(self.tout_ms / 1000)
        self.kamailio.log_line(
            "err", f'rtpengine: timeout waiting reply for command "{request.command}" from RTPEngine <{node.url}>'
        )
        return None

    def ping(self, node: Node) -> bool:
        """Ping a node, whatever its state."""
        return (self.send(node, NgRequest("ping")) or {}).get("result") == "pong"

    def disable_for_a_while(self, node: Node) -> None:
        """Mark a node disabled until rtpengine_disable_tout has passed."""
        node.disabled = 1
        node.recheck_ticks = self.kamailio.clock.ticks + self.disable_tout

    def test(self, node: Node, disabled: int, *, force: bool) -> int:
        """Return whether the node is to be `disabled`; ping it if need be. Never pings a permanently disabled one."""
        if node.permanent:
            return 1
        if not force:
            if not disabled:
                return 0
            if self.ping_interval > 0:
                return disabled
            if node.recheck_ticks > self.kamailio.clock.ticks:
                return 1
        if self.ping(node):
            return 0
        self.disable_for_a_while(node)
        return 1

    def ping_and_mark(self, node: Node) -> bool:
        """Ping as RPC rtpengine.ping and the timer do; this is where a permanent disable gets lost."""
        if not self.ping(node):
            self.disable_for_a_while(node)
            return False
        if not self.is_5 and not node.permanent:
            node.disabled, node.recheck_ticks = 0, 0
        return True

    def timer(self) -> None:
        """Ping the nodes as the timer of each 6.x generation does; 5.6 has none."""
        for node in self.nodes():
            if not node.displayed:
                continue
            if self.generation == "6.0.2" and node.disabled:
                continue  # it also skips those that were only down for a moment
            if self.generation == "6.1" and node.disabled and node.permanent:
                continue
            self.ping_and_mark(node)

    # ---- selecting --------------------------------------------------------------------------------------------------

    def remembered(self, call_id: str, via_branch: str, command: str) -> Node | None:
        """Return the node that the call table has for a call."""
        self._drop_expired()
        entry = self.call_table.get((call_id, via_branch))
        if entry is None and not via_branch and command == "delete":
            entry = next((found for (known, _), found in self.call_table.items() if known == call_id), None)
        return None if entry is None else entry.node

    def remember(self, call_id: str, via_branch: str, node: Node) -> None:
        """Add a call to the table, unless it is there."""
        expires = self.kamailio.clock.ticks + self.hash_table_tout
        self.call_table.setdefault((call_id, via_branch), HashEntry(node, expires))

    def forget(self, call_id: str, via_branch: str) -> None:
        """Remove a call; without via-branch, all its entries."""
        for key in [key for key in self.call_table if key[0] == call_id and via_branch in ("", key[1])]:
            del self.call_table[key]

    def _drop_expired(self) -> None:
        ticks = self.kamailio.clock.ticks
        for key in [key for key, entry in self.call_table.items() if entry.expires < ticks]:
            del self.call_table[key]

    def select(self, process: Process, active: NodeSet, request: NgRequest, tried: list[Node]) -> Node | None:
        """Return the node for a command, or None: the remembered one if it is in the set, else by weight."""
        self.build_sockets(process.rtpengine, test=False)
        node = self.remembered(request.call_id, request.via_branch, request.command)
        if node is not None and not self.is_5 and node in tried:
            return None
        if node is None or node not in active.nodes:
            node = self._select_new(active, request.call_id, tried)
        if node is None or not node.disabled:
            return node
        if self.allow_op and (node.permanent or self.allow_op == 1):
            return node
        return None

    def _select_new(self, active: NodeSet, call_id: str, tried: list[Node]) -> Node | None:
        forced = False
        while True:
            for node in active.nodes:
                if node.displayed and node.disabled and node.recheck_ticks <= self.kamailio.clock.ticks:
                    node.disabled = self.test(node, 1, force=False)
            candidates = [n for n in active.nodes if n.displayed and not n.disabled and n not in tried]
            total = sum(node.weight for node in candidates)
            if total:
                return _by_weight(candidates, self.hash(call_id) % total)
            if not self.aggressive_redetection or forced:
                return None
            forced = True
            for node in active.nodes:
                if node.displayed:
                    node.disabled = self.test(node, 1, force=True)

    def hash(self, call_id: str) -> int:
        """Return the number that the weights are cut by."""
        data = call_id.encode()
        if self.hash_algo == 2:
            return zlib.crc32(data)
        total = sum(byte - 256 if byte > 127 else byte for byte in data)
        return total & 0xFF


def _by_weight(candidates: list[Node], cut: int) -> Node | None:
    for node in candidates:
        if cut < node.weight:
            return node
        cut -= node.weight
    return None


@parameter("rtpengine")
def take_parameter(kamailio: Kamailio, name: str, value: int | str) -> None:
    """Hand a parameter to the module."""
    kamailio.rtpengine.modparam(name, value)
