"""nodes.yaml to checked nodes and settings.

settings:
  state_dir: /var/lib/kemi_rtp
pools:
  default:
    - {name: rtp1, url: "udp:192.0.2.11:2223", weight: 10}
    - {name: rtp2, url: "udp6:[2001:db8::12]:2223", tier: 1}
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

from kemi_rtp.files.documents import Document, Section, integer, text
from kemi_rtp.model.nodes import MAX_SET_ID, Config, Node, Settings, node_set_id
from kemi_rtp.model.times import DURATION_FORM, parse_duration

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")
_URL_FORM = "must be udp:HOST:PORT or udp6:[ADDRESS]:PORT"
_NAME_FORM = "1 to 64 letters, digits, dots, dashes or underscores, the first a letter or digit"


def load(path: Path) -> Config:
    """Read and check nodes.yaml. Raises DocumentError with every fault found in it."""
    return _read(Document(path))


def parse(content: str, path: Path) -> Config:
    """Check the content of a nodes.yaml that is called `path` in messages. Raises DocumentError."""
    return _read(Document(path, content))


def _read(document: Document) -> Config:
    root = document.root()
    settings = _settings(root.section("settings"))
    pools = root.section("pools")
    nodes: list[Node] = []
    if pools is None:
        document.fault(root.line, "pools", "", "is missing: a mapping of pool names to lists of nodes")
    else:
        reader = _Nodes(document)
        for pool in pools.keys():  # noqa: SIM118 - not a dict
            nodes += reader.pool(pools, pool)
        if not pools.keys() and not document.faults:
            document.fault(pools.line, "pools", "", "is empty: at least one pool with one node is needed")
    root.done()
    document.finish()
    return Config(tuple(nodes), settings)


def _settings(section: Section | None) -> Settings:
    if section is None:
        return Settings()
    parsers: dict[str, Callable[[object], object]] = {
        "state_dir": _absolute_path,
        "rpc_socket": _absolute_path,
        "probe_interval": _seconds(0.1, 60),
        "probe_timeout": _seconds(0.05, 10),
        "probe_failures": integer(1, 100),
        "probe_successes": integer(1, 100),
        "max_waiting": integer(1, 1000),
        "cool_down": _seconds(0.1, 3600),
        "delete_expire": _seconds(1, 86400),
    }
    values = {field.name: section.get(field.name, parsers[field.name], field.default) for field in fields(Settings)}
    section.done()
    return Settings(**values)  # type: ignore[arg-type]


class _Nodes:
    """Reads the pools of one file and sees that names, URLs and set ids are used once."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._names: dict[str, int] = {}
        self._urls: dict[str, int] = {}
        self._sets: dict[int, tuple[str, int]] = {}

    def pool(self, pools: Section, pool: str) -> list[Node]:
        if not _NAME.fullmatch(pool):
            self._document.fault(pools.line_of(pool), "pools", pool, f"is not a pool name: {_NAME_FORM}")
        items = pools.sections(pool)
        if items is not None and not items:
            self._document.fault(pools.line_of(pool), f"pools.{pool}", "", "is empty: a pool needs at least one node")
        return [node for item in items or () if (node := self._node(item, pool)) is not None]

    def _node(self, item: Section, pool: str) -> Node | None:
        name = item.need("name", _name)
        url = item.need("url", node_url)
        weight = item.get("weight", integer(0, 1_000_000), 1)
        tier = item.get("tier", integer(0, 1000), 0)
        set_id = item.get("set", integer(1, MAX_SET_ID), None)
        max_calls = item.get("max_calls", integer(0, 10_000_000), 0)
        item.done()
        if name is not None:
            self._once(self._names, item, "name", name)
        if url is not None and not self._once(self._urls, item, "url", url):
            return None
        if name is None or url is None or weight is None or tier is None or max_calls is None:
            return None
        explicit = set_id is not None
        set_id = set_id if set_id is not None else node_set_id(url)
        if set_id in self._sets:
            other, line = self._sets[set_id]
            way_out = "use another number" if explicit else "give one of the two a `set:` number of its own"
            self._document.fault(
                item.line_of("set" if explicit else "url"),
                f"{item.field}.set",
                str(set_id),
                f"is also the set of node {other} (line {line}); {way_out}",
            )
        else:
            self._sets[set_id] = (name, item.line)
        return Node(name, url, pool, weight, tier, set_id, max_calls)

    def _once(self, seen: dict[str, int], item: Section, key: str, value: str) -> bool:
        line = item.line_of(key)
        if value in seen:
            valid = f"is already used in line {seen[value]}; a {key} belongs to one node"
            self._document.fault(line, f"{item.field}.{key}", value, valid)
            return False
        seen[value] = line
        return True


def _name(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("must be text; put it in quotes")  # noqa: TRY004 - ValueError is what parsers raise
    if not _NAME.fullmatch(value):
        raise ValueError(f"is not a node name: {_NAME_FORM}")
    return value


def node_url(value: object) -> str:
    """A node URL in its one canonical spelling. Raises ValueError with what would be valid."""
    url = text("a node URL")(value)
    scheme, _, rest = url.partition(":")
    if scheme not in ("udp", "udp6"):
        raise ValueError(f"{_URL_FORM}, not {scheme!r}" if rest else _URL_FORM)
    host, _, port = rest.rpartition(":")
    if not host or "]" in port or host.count("[") != host.count("]"):
        raise ValueError(f"{_URL_FORM}; the port is missing")
    if not (port.isascii() and port.isdigit() and 1 <= int(port) <= 65535):
        raise ValueError(f"{_URL_FORM} with a port from 1 to 65535, not {port!r}")
    if host.startswith("[") and host.endswith("]"):
        if scheme != "udp6":
            raise ValueError(f"must begin with udp6: for an IPv6 address, as in udp6:{host}:{port}")
        try:
            return f"udp6:[{ipaddress.IPv6Address(host[1:-1])}]:{int(port)}"
        except ValueError:
            raise ValueError(f"{_URL_FORM}; {host[1:-1]!r} is not an IPv6 address") from None
    if ":" in host:
        raise ValueError(f"must have its IPv6 address in brackets, as in udp6:[{host.strip('[]')}]:{port}")
    if scheme == "udp6":
        raise ValueError(f"must have an IPv6 address in brackets after udp6:, as in udp6:[2001:db8::1]:{port}")
    if re.fullmatch(r"[\d.]+", host):
        try:
            return f"udp:{ipaddress.IPv4Address(host)}:{int(port)}"
        except ValueError:
            raise ValueError(f"{_URL_FORM}; {host!r} is not an IPv4 address") from None
    if not _HOST.fullmatch(host) or len(host) > 253:
        raise ValueError(f"{_URL_FORM}; {host!r} is neither an address nor a host name")
    return f"udp:{host.lower()}:{int(port)}"


def _absolute_path(value: object) -> str:
    path = text("an absolute path")(value)
    if not path.startswith("/"):
        raise ValueError("must be an absolute path")
    return path.rstrip("/") or "/"


def _seconds(low: float, high: float) -> Callable[[object], float]:
    def parse(value: object) -> float:
        try:
            if isinstance(value, bool) or not isinstance(value, (int, float, str)):
                raise ValueError  # noqa: TRY004, TRY301 - one message for all
            seconds = parse_duration(value) if isinstance(value, str) else float(value)
            if not low <= seconds <= high:
                raise ValueError  # noqa: TRY301
        except ValueError:
            raise ValueError(f"must be from {low:g} to {high:g} seconds: a number or {DURATION_FORM}") from None
        return seconds

    return parse
