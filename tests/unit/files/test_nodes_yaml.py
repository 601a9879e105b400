"""nodes.yaml: what is valid, and what is said of the rest."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from kemi_rtp.files import nodes_yaml
from kemi_rtp.files.documents import DocumentError
from kemi_rtp.model.nodes import MAX_SET_ID, Config, Node, Settings, node_set_id
from tests.unit import strategies
from tests.unit.strategies import modest

FILE = Path("nodes.yaml")


# Found by search: these two have the same derived set id.
COLLIDING = ("udp:10.167.178.173:49852", "udp:10.240.150.91:10354")


COLLIDING_SET = 1424964589


def read(content: str) -> Config:
    return nodes_yaml.parse(content, FILE)


def faults_of(content: str) -> list[str]:
    with pytest.raises(DocumentError) as caught:
        read(content)
    return [str(fault) for fault in caught.value.faults]


def pool(*items: str) -> str:
    """A nodes.yaml with one pool; its nodes stand on the lines from 3 on."""
    return "pools:\n  default:\n" + "".join(f"    - {{{item}}}\n" for item in items)


A, B = "name: a, url: 'udp:192.0.2.1:2223'", "name: b, url: 'udp:192.0.2.2:2223'"


# --- what is valid ----------------------------------------------------------------------------------------------------


def test_a_node_has_weight_1_and_tier_0_unless_it_says_otherwise() -> None:
    assert read(pool(A)).nodes == (Node("a", "udp:192.0.2.1:2223", "default", 1, 0, node_set_id("udp:192.0.2.1:2223")),)


def test_a_node_keeps_what_it_says() -> None:
    config = read(pool(f"{A}, weight: 7, tier: 2, set: 40"))
    assert config.nodes == (Node("a", "udp:192.0.2.1:2223", "default", 7, 2, 40),)


def test_nodes_stay_in_the_order_of_the_file_and_know_their_pool() -> None:
    config = read(f"pools:\n  eu: [{{{B}}}]\n  default: [{{{A}}}]\n")
    assert [(node.name, node.pool) for node in config.nodes] == [("b", "eu"), ("a", "default")]


def test_every_setting_has_a_default() -> None:
    assert read(pool(A)).settings == Settings()
    assert read("settings: {}\n" + pool(A)).settings == Settings()


def test_settings_take_durations_in_seconds_or_with_units() -> None:
    config = read("settings: {probe_interval: 2, probe_timeout: 250ms, state_dir: /srv/x/}\n" + pool(A))
    assert config.settings == Settings(state_dir="/srv/x", probe_interval=2.0, probe_timeout=0.25)


@pytest.mark.parametrize(
    ("url", "canonical", "address"),
    [
        ("udp:192.0.2.1:02223", "udp:192.0.2.1:2223", ("192.0.2.1", 2223)),
        ("udp:RTP1.Example.ORG:2223", "udp:rtp1.example.org:2223", ("rtp1.example.org", 2223)),
        ("udp6:[2001:DB8:0::12]:2223", "udp6:[2001:db8::12]:2223", ("2001:db8::12", 2223)),
        ("udp6:[::1]:65535", "udp6:[::1]:65535", ("::1", 65535)),
    ],
)
def test_a_url_has_one_spelling_whatever_way_it_was_written(url: str, canonical: str, address: tuple[str, int]) -> None:
    (node,) = read(pool(f"name: a, url: '{url}'")).nodes
    assert (node.url, node.address) == (canonical, address)


def test_two_spellings_of_one_url_are_the_same_url() -> None:
    (fault,) = faults_of(pool("name: a, url: 'udp6:[::1]:1'", "name: b, url: 'udp6:[0:0::1]:1'"))
    assert "is already used in line 3" in fault


def test_names_that_look_like_numbers_need_quotes_and_then_are_text() -> None:
    assert read(pool("name: '12', url: 'udp:h:1'")).nodes[0].name == "12"
    assert faults_of(pool("name: 12, url: 'udp:h:1'")) == [
        "nodes.yaml:3: pools.default[0].name: 12: must be text; put it in quotes"
    ]


@given(strategies.node_lists(), st.none() | strategies.all_settings)
@modest(60)
def test_every_valid_file_reads_back_as_it_was_meant(found: list[Node], chosen: Settings | None) -> None:
    content = yaml.safe_dump(strategies.as_document(found, chosen), sort_keys=False, allow_unicode=True)
    assert read(content) == Config(tuple(found), chosen or Settings())


def test_hundreds_of_nodes_load() -> None:
    items = [f"name: n{n}, url: 'udp:10.0.{n // 250}.{n % 250}:2223', tier: {n % 3}" for n in range(1000)]
    config = read(pool(*items))
    assert [node.name for node in config.nodes] == [f"n{n}" for n in range(1000)]
    assert len({node.set_id for node in config.nodes}) == 1000


def test_the_work_of_loading_grows_with_the_nodes_and_not_with_their_square() -> None:
    """Function calls are counted, not time: four times the nodes take four times the calls, give or take."""

    def calls(count: int) -> int:
        content = pool(*(f"name: n{n}, url: 'udp:10.0.{n // 250}.{n % 250}:2223'" for n in range(count)))
        seen = 0

        def count_call(*_: object) -> None:
            nonlocal seen
            seen += 1

        sys.setprofile(count_call)
        try:
            read(content)
        finally:
            sys.setprofile(None)
        return seen

    assert calls(400) < 5 * calls(100)


# --- set ids ----------------------------------------------------------------------------------------------------------


@given(strategies.node_lists(), st.data())
@modest(40)
def test_a_set_id_does_not_change_when_other_nodes_are_edited(found: list[Node], data: st.DataObject) -> None:
    kept = data.draw(st.sampled_from(found))
    others = [node for node in found if node is not kept and data.draw(st.booleans())]
    edited = yaml.safe_dump(strategies.as_document([*others, kept]))
    (node,) = [node for node in read(edited).nodes if node.name == kept.name]
    assert node.set_id == kept.set_id


def test_a_set_id_follows_from_the_url_and_not_from_name_pool_weight_or_tier() -> None:
    (one,) = read(pool("name: a, url: 'udp:h:1'")).nodes
    (other,) = read("pools: {eu: [{name: z, url: 'udp:h:1', weight: 5, tier: 4}]}").nodes
    assert one.set_id == other.set_id


def test_two_urls_with_the_same_derived_set_id_are_told_apart_by_hand() -> None:
    assert node_set_id(COLLIDING[0]) == node_set_id(COLLIDING[1]) == COLLIDING_SET
    items = (f"name: a, url: '{COLLIDING[0]}'", f"name: b, url: '{COLLIDING[1]}'")
    assert faults_of(pool(*items)) == [
        f"nodes.yaml:4: pools.default[1].set: {COLLIDING_SET}: is also the set of node a (line 3); "
        "give one of the two a `set:` number of its own"
    ]
    assert [node.set_id for node in read(pool(items[0], items[1] + ", set: 5")).nodes] == [COLLIDING_SET, 5]
    assert [node.set_id for node in read(pool(items[0] + ", set: 5", items[1])).nodes] == [5, COLLIDING_SET]


def test_an_explicit_set_id_may_not_be_the_derived_one_of_another_node() -> None:
    derived = node_set_id("udp:192.0.2.1:2223")
    assert faults_of(pool(A, f"{B}, set: {derived}")) == [
        f"nodes.yaml:4: pools.default[1].set: {derived}: is also the set of node a (line 3); use another number"
    ]
    assert faults_of(pool(f"{B}, set: {derived}", A)) == [
        f"nodes.yaml:4: pools.default[1].set: {derived}: is also the set of node b (line 3); "
        "give one of the two a `set:` number of its own"
    ]


def test_an_explicit_set_id_is_used_once_in_the_whole_file() -> None:
    (fault,) = faults_of(f"pools:\n  eu:\n    - {{{A}, set: 9}}\n  us:\n    - {{{B}, set: 9}}\n")
    assert fault == "nodes.yaml:5: pools.us[0].set: 9: is also the set of node a (line 3); use another number"


_FORM = "must be udp:HOST:PORT or udp6:[ADDRESS]:PORT"


# --- what is not valid ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "valid"),
    [
        ("tcp:192.0.2.1:2223", f"{_FORM}, not 'tcp'"),
        ("http://192.0.2.1:2223", f"{_FORM}, not 'http'"),
        ("192.0.2.1:2223", f"{_FORM}, not '192.0.2.1'"),
        ("192.0.2.1", _FORM),
        ("udp:192.0.2.1", f"{_FORM}; the port is missing"),
        ("udp6:[::1]", f"{_FORM}; the port is missing"),
        ("udp::2223", f"{_FORM}; the port is missing"),
        ("udp:192.0.2.1:0", f"{_FORM} with a port from 1 to 65535, not '0'"),
        ("udp:192.0.2.1:65536", f"{_FORM} with a port from 1 to 65535, not '65536'"),
        ("udp:192.0.2.1:-1", f"{_FORM} with a port from 1 to 65535, not '-1'"),
        ("udp:192.0.2.1:x", f"{_FORM} with a port from 1 to 65535, not 'x'"),
        ("udp:192.0.2.1:٣", f"{_FORM} with a port from 1 to 65535, not '٣'"),
        ("udp:192.0.2.1:", f"{_FORM} with a port from 1 to 65535, not ''"),
        ("udp6:2001:db8::1:2223", "must have its IPv6 address in brackets, as in udp6:[2001:db8::1]:2223"),
        ("udp:2001:db8::1:2223", "must have its IPv6 address in brackets, as in udp6:[2001:db8::1]:2223"),
        ("udp:[2001:db8::1]:2223", "must begin with udp6: for an IPv6 address, as in udp6:[2001:db8::1]:2223"),
        ("udp6:192.0.2.1:2223", "must have an IPv6 address in brackets after udp6:, as in udp6:[2001:db8::1]:2223"),
        ("udp6:[192.0.2.1]:2223", f"{_FORM}; '192.0.2.1' is not an IPv6 address"),
        ("udp:192.0.2.256:2223", f"{_FORM}; '192.0.2.256' is not an IPv4 address"),
        ("udp:192.0.2:2223", f"{_FORM}; '192.0.2' is not an IPv4 address"),
        ("udp:rtp_1:2223", f"{_FORM}; 'rtp_1' is neither an address nor a host name"),
        ("udp:-rtp:2223", f"{_FORM}; '-rtp' is neither an address nor a host name"),
        ("udp:a b:2223", f"{_FORM}; 'a b' is neither an address nor a host name"),
        (f"udp:{'a' * 64}:2223", f"{_FORM}; '{'a' * 64}' is neither an address nor a host name"),
        ("", "must be a node URL, not empty, on one line, without control characters"),
    ],
)
def test_a_bad_url_is_named_with_its_line_and_what_is_valid(url: str, valid: str) -> None:
    place = "nodes.yaml:4: pools.default[1].url"
    assert faults_of(pool(A, f"name: b, url: '{url}'")) == [": ".join(part for part in (place, url, valid) if part)]


_WEIGHT, _TIER = "must be a whole number from 0 to 1000000", "must be a whole number from 0 to 1000"


_SET = f"must be a whole number from 1 to {MAX_SET_ID}"


_NAME = "is not a node name: 1 to 64 letters, digits, dots, dashes or underscores, the first a letter or digit"


@pytest.mark.parametrize(
    ("item", "fault"),
    [
        (f"{B}, weight: -1", f"weight: -1: {_WEIGHT}"),
        (f"{B}, weight: 1.5", f"weight: 1.5: {_WEIGHT}"),
        (f"{B}, weight: ten", f"weight: ten: {_WEIGHT}"),
        (f"{B}, weight: true", f"weight: True: {_WEIGHT}"),
        (f"{B}, weight: 1000001", f"weight: 1000001: {_WEIGHT}"),
        (f"{B}, weight: [1]", f"weight: a list: {_WEIGHT}"),
        (f"{B}, weight: ", f"weight: {_WEIGHT}"),
        (f"{B}, tier: -1", f"tier: -1: {_TIER}"),
        (f"{B}, tier: 1001", f"tier: 1001: {_TIER}"),
        (f"{B}, set: 0", f"set: 0: {_SET}"),
        (f"{B}, set: 2147483648", f"set: 2147483648: {_SET}"),
        (f"{B}, set: x", f"set: x: {_SET}"),
        (f"{B}, wieght: 3", "wieght: unknown key (did you mean weight?)"),
        (f"{B}, xyzzy: 3", "xyzzy: unknown key (known keys: name, url, weight, tier, set, max_calls)"),
        (f"{B}, name: c", "name: appears twice (first in line 4); keep one"),
        ("name: '-b', url: 'udp:h:1'", f"name: -b: {_NAME}"),
        ("name: 'b c', url: 'udp:h:1'", f"name: b c: {_NAME}"),
        (f"name: {'b' * 65}, url: 'udp:h:1'", f"name: {'b' * 65}: {_NAME}"),
        ("name: '', url: 'udp:h:1'", f"name: {_NAME}"),
        ("url: 'udp:h:1'", "name: is missing"),
        ("name: b", "url: is missing"),
        ("name: b, url: 17", "url: 17: must be a node URL; put it in quotes"),
        ("name: a, url: 'udp:h:1'", "name: a: is already used in line 3; a name belongs to one node"),
        (
            "name: b, url: 'udp:192.0.2.1:2223'",
            "url: udp:192.0.2.1:2223: is already used in line 3; a url belongs to one node",
        ),
    ],
)
def test_a_bad_field_is_named_with_its_line_its_value_and_what_is_valid(item: str, fault: str) -> None:
    assert faults_of(pool(A, item)) == [f"nodes.yaml:4: pools.default[1].{fault}"]


def test_the_line_is_that_of_the_field_and_not_of_the_node() -> None:
    content = "pools:\n  default:\n    - name: a\n      url: udp:h:1\n\n      weight: -3\n"
    assert faults_of(content) == [f"nodes.yaml:6: pools.default[0].weight: -3: {_WEIGHT}"]


def test_a_name_is_used_once_in_the_whole_file_not_only_in_its_pool() -> None:
    (fault,) = faults_of(f"pools:\n  eu:\n    - {{{A}}}\n  us:\n    - {{name: a, url: 'udp:h:1'}}\n")
    assert fault == "nodes.yaml:5: pools.us[0].name: a: is already used in line 3; a name belongs to one node"


_INTERVAL = "must be from 0.1 to 60 seconds: a number or a duration such as 250ms, 30s, 45m, 2h, 1h30m or 3d"


_TIMEOUT = "must be from 0.05 to 10 seconds: a number or a duration such as 250ms, 30s, 45m, 2h, 1h30m or 3d"


@pytest.mark.parametrize(
    ("setting", "fault"),
    [
        ("state_dir: var/lib", "state_dir: var/lib: must be an absolute path"),
        ("state_dir: 3", "state_dir: 3: must be an absolute path; put it in quotes"),
        ("rpc_socket: rpc.sock", "rpc_socket: rpc.sock: must be an absolute path"),
        ("probe_interval: 0", f"probe_interval: 0: {_INTERVAL}"),
        ("probe_interval: 0.09", f"probe_interval: 0.09: {_INTERVAL}"),
        ("probe_interval: 61s", f"probe_interval: 61s: {_INTERVAL}"),
        ("probe_interval: .nan", f"probe_interval: .nan: {_INTERVAL}"),
        ("probe_interval: true", f"probe_interval: True: {_INTERVAL}"),
        ("probe_interval: soon", f"probe_interval: soon: {_INTERVAL}"),
        ("probe_timeout: 11", f"probe_timeout: 11: {_TIMEOUT}"),
        ("probe_timeout: 0.01", f"probe_timeout: 0.01: {_TIMEOUT}"),
        ("probe_failures: 0", "probe_failures: 0: must be a whole number from 1 to 100"),
        ("probe_successes: 101", "probe_successes: 101: must be a whole number from 1 to 100"),
        ("prob_interval: 1", "prob_interval: unknown key (did you mean probe_interval"),
        ("state_dirr: /x", "state_dirr: unknown key (did you mean state_dir?)"),
    ],
)
def test_a_bad_setting_is_named_with_its_line_its_value_and_what_is_valid(setting: str, fault: str) -> None:
    (found,) = faults_of(pool(A) + f"settings:\n  {setting}\n")
    assert found.startswith(f"nodes.yaml:5: settings.{fault}")


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("", "nodes.yaml: pools: is missing: a mapping of pool names to lists of nodes"),
        ("# nothing\n", "nodes.yaml: pools: is missing: a mapping of pool names to lists of nodes"),
        ("pools: {}\n", "nodes.yaml:1: pools: is empty: at least one pool with one node is needed"),
        ("pools:\n  default: []\n", "nodes.yaml:2: pools.default: is empty: a pool needs at least one node"),
        ("pools:\n  default:\n", "nodes.yaml:2: pools.default: must be a list, one item per node"),
        (f"pools:\n  default: {{{A}}}\n", "nodes.yaml:2: pools.default: a mapping: must be a list, one item per node"),
        ("pools:\n  default: [a]\n", "nodes.yaml:2: pools.default[0]: a: must be a mapping of keys to values"),
        (f"pools:\n  - {{{A}}}\n", "nodes.yaml:2: pools: a list: must be a mapping of keys to values"),
        ("settings: 3\n" + pool(A), "nodes.yaml:1: settings: 3: must be a mapping of keys to values"),
        ("pool: {}\n" + pool(A), "nodes.yaml:1: pool: unknown key (did you mean pools?)"),
        (pool(A) + "  default: []\n", "nodes.yaml:4: pools.default: appears twice (first in line 2); keep one"),
        (
            f"pools:\n  -x:\n    - {{{A}}}\n",
            "nodes.yaml:2: pools: -x: is not a pool name: 1 to 64 letters, digits, dots, dashes or underscores, "
            "the first a letter or digit",
        ),
    ],
)
def test_a_file_of_the_wrong_shape_is_told_what_is_wrong(content: str, fault: str) -> None:
    assert faults_of(content) == [fault]


def test_a_url_without_quotes_that_yaml_cannot_read_is_told_to_need_quotes() -> None:
    (fault,) = faults_of("pools:\n  default:\n    - {name: a, url: udp6:[::1]:2223}\n")
    assert fault.startswith("nodes.yaml:3: is not valid YAML: ")
    assert "needs quotes" in fault


def test_all_faults_of_a_file_are_told_in_one_pass_and_in_the_order_of_its_lines() -> None:
    content = """\
setings: {}
settings:
  probe_failures: 0
  state_dir: x
pools:
  default:
    - {name: a, url: "udp:h:1", weight: -1}
    - {name: a, url: "tcp:h:2"}
    - {name: c, url: "udp:h:1"}
    - {nmae: d, url: "udp:::1:3"}
    - {name: e, url: "udp:h:5", set: 7}
    - {name: f, url: "udp:h:6", set: 7}
    - {name: g, url: "udp:h:7", tier: x, wight: 2}
  empty: []
  default: []
"""
    lines = [int(fault.split(":")[1]) for fault in faults_of(content)]
    assert lines == [1, 3, 4, 7, 8, 8, 9, 10, 10, 10, 12, 13, 13, 14, 15]


def test_a_file_is_read_from_disk_and_named_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(pool(A))
    assert nodes_yaml.load(path) == read(pool(A))
    path.write_text(pool("name: a"))
    with pytest.raises(DocumentError) as caught:
        nodes_yaml.load(path)
    assert str(caught.value) == f"{path}:3: pools.default[0].url: is missing"
