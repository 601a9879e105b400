"""Hypothesis strategies for what people write: nodes.yaml, admin states, reasons."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from kemi_rtp.model.admin import AdminState, Entry
from kemi_rtp.model.nodes import MAX_SET_ID, Node, Settings, node_set_id


def modest(examples: int) -> settings:
    """So many examples, however slow the machine is; a failure prints how to repeat it."""
    return settings(max_examples=examples, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])


names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,12}", fullmatch=True)
ports = st.integers(1, 65535)
urls = st.one_of(
    st.builds("udp:{}:{}".format, st.ip_addresses(v=4), ports),
    st.builds("udp6:[{}]:{}".format, st.ip_addresses(v=6), ports),
    st.builds(
        "udp:{}:{}".format, st.from_regex(r"[a-z][a-z0-9]{0,8}(\.[a-z][a-z0-9-]{0,8}[a-z]){0,2}", fullmatch=True), ports
    ),
)

printable = st.text(st.one_of(st.just(" "), st.characters(categories=("L", "M", "N", "P", "S"))), max_size=40)
reasons = printable.filter(lambda text: not text or bool(text.strip()))
"""What --reason takes: printable text on one line, or nothing."""

moments = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)).map(
    lambda moment: moment.replace(microsecond=0)
)


@st.composite
def node_lists(draw: st.DrawFn, max_size: int = 8) -> list[Node]:
    """Valid nodes: names, URLs and set ids are used once."""
    found: list[Node] = []
    for name in draw(st.lists(names, min_size=1, max_size=max_size, unique=True)):
        url = draw(urls.filter(lambda url: url not in {node.url for node in found}))
        explicit = draw(st.none() | st.integers(1, MAX_SET_ID))
        set_id = explicit or node_set_id(url)
        if set_id in {node.set_id for node in found}:
            continue
        pool = draw(st.sampled_from(("default", "eu", "tenant-1", "2")))
        found.append(Node(name, url, pool, draw(st.integers(0, 1_000_000)), draw(st.integers(0, 1000)), set_id))
    pools = list(dict.fromkeys(node.pool for node in found))
    return sorted(found, key=lambda node: pools.index(node.pool))


all_settings = st.builds(
    Settings,
    state_dir=names.map("/var/lib/{}".format),
    rpc_socket=names.map("/run/{}/rpc.sock".format),
    probe_interval=st.floats(0.1, 60),
    probe_timeout=st.floats(0.05, 10),
    probe_failures=st.integers(1, 100),
    probe_successes=st.integers(1, 100),
)


def as_document(nodes: list[Node], chosen: Settings | None = None) -> dict[str, Any]:
    """The mapping that nodes.yaml holds for these nodes; a `set:` only where it cannot be derived."""
    document: dict[str, Any] = {"pools": {}}
    if chosen is not None:
        document["settings"] = {name: getattr(chosen, name) for name in Settings.__dataclass_fields__}
    for node in nodes:
        item: dict[str, object] = {"name": node.name, "url": node.url, "weight": node.weight, "tier": node.tier}
        if node.set_id != node_set_id(node.url):
            item["set"] = node.set_id
        document["pools"].setdefault(node.pool, []).append(item)
    return document


@st.composite
def entries(draw: st.DrawFn, name: str, *, timed: bool = True) -> Entry:
    """A decision about the node `name` as the registry holds it."""
    since, url = draw(st.none() | moments), draw(st.just("") | urls)
    strict = st.sampled_from((AdminState.DRAINING, AdminState.DISABLED))
    if not timed or draw(st.booleans()):
        return Entry(name, draw(strict), draw(reasons), draw(reasons), since, None, url)
    then = draw(st.none() | st.builds(Entry, st.just(name), strict, reasons, reasons, st.none() | moments))
    state = draw(strict if then is None else st.sampled_from(AdminState))
    return Entry(name, state, draw(reasons), draw(reasons), since, draw(moments), url, then)


@st.composite
def registries(draw: st.DrawFn, *, timed: bool = True) -> dict[str, Entry]:
    """Entries by node name; a node that only its URL is known of has the URL for a name."""
    found = draw(st.lists(names | urls, max_size=6, unique=True))
    return {name: draw(entries(name, timed=timed)) for name in found}
