"""Nodes, and the settings that hold for all of them."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, replace

MAX_SET_ID = 0x7FFFFFFF
NO_SET = 0
"""The module's default set, which holds no node."""
LEFT = ""
"""The pool of a node that has left nodes.yaml."""


@dataclass(frozen=True, slots=True)
class Node:
    """One rtpengine control socket.

    `url` is the NG control address as the rtpengine module writes it; `pool` is LEFT when the node has left nodes.yaml
    and serves its calls to their end; `weight` the share of calls within its tier
    (0: only when no other node of the tier can take the call); `tier` the order of preference, 0 first;
    `set_id` the rtpengine module's set that holds this node and no other (NO_SET: it is in no set); `max_calls` the
    calls that it has at most (0: no limit).
    """

    name: str
    url: str
    pool: str
    weight: int
    tier: int
    set_id: int
    max_calls: int = 0

    @classmethod
    def known_by_name(cls, name: str, url: str = "") -> Node:
        """A node that nodes.yaml does not have: the registry still speaks of it."""
        return cls(name, url or name, LEFT, 0, 0, NO_SET)

    @property
    def has_left(self) -> bool:
        """Whether nodes.yaml does not have the node any more."""
        return self.pool == LEFT

    @property
    def address(self) -> tuple[str, int]:
        """Host (name or address, IPv6 without brackets) and UDP port of the NG control socket."""
        return _address(self.url)


@functools.lru_cache(maxsize=4096)
def _address(url: str) -> tuple[str, int]:
    host, _, port = url.partition(":")[2].rpartition(":")
    return host.strip("[]"), int(port)


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings block of nodes.yaml; every value has a default.

    `state_dir`: registry, history and the module's table. `rpc_socket`: UNIX datagram socket of Kamailio's
    jsonrpcs module. `probe_interval` seconds between two pings of a node, `probe_timeout` seconds to wait for its
    answer, `probe_failures` missed answers in a row that make a node down, `probe_successes` answers in a row that
    bring it up again (one does when its pool has no other node). `max_waiting` workers may wait for one node before
    others avoid it for new calls. `cool_down` seconds without new calls for a node that refused what another accepted.
    `delete_expire` seconds that a delete is kept for a node that cannot take it now.
    """

    state_dir: str = "/var/lib/kemi_rtp"
    rpc_socket: str = "/run/kamailio/kamailio_rpc.sock"
    probe_interval: float = 1.0
    probe_timeout: float = 0.5
    probe_failures: int = 3
    probe_successes: int = 2
    max_waiting: int = 1
    cool_down: float = 2.0
    delete_expire: float = 600.0


@dataclass(frozen=True, slots=True)
class Config:
    """What nodes.yaml says: its nodes in the order of the file, and its settings; in force, with nodes that leave."""

    nodes: tuple[Node, ...]
    settings: Settings

    def as_in_file(self) -> Config:
        """Without the nodes that have left the file."""
        return replace(self, nodes=tuple(node for node in self.nodes if not node.has_left))

    def with_leaving(self, nodes: Iterable[Node]) -> Config:
        """With nodes that have left the file, as far as their places are not taken."""
        urls, sets = {node.url for node in self.nodes}, {node.set_id for node in self.nodes}
        leaving = [replace(n, pool=LEFT) for n in nodes if n.url not in urls and n.set_id not in sets]
        return replace(self, nodes=(*self.nodes, *leaving))


def node_set_id(url: str) -> int:
    """The module set id derived from a URL: 1 to 2147483647, the same in every run and beside any other node."""
    return zlib.crc32(url.encode()) & MAX_SET_ID or 1


def find(nodes: Iterable[Node], name_or_url: str) -> Node | None:
    """The node with this name or URL."""
    return next((node for node in nodes if name_or_url in (node.name, node.url)), None)
