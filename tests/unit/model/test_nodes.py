"""Nodes: set ids, and who is meant by a name or URL."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from kemi_rtp.files import nodes_yaml
from kemi_rtp.model import nodes
from kemi_rtp.model.nodes import MAX_SET_ID, Config, node_set_id
from tests.unit.strategies import modest

FILE = Path("nodes.yaml")


def read(content: str) -> Config:
    return nodes_yaml.parse(content, FILE)


def pool(*items: str) -> str:
    """A nodes.yaml with one pool; its nodes stand on the lines from 3 on."""
    return "pools:\n  default:\n" + "".join(f"    - {{{item}}}\n" for item in items)


A, B = "name: a, url: 'udp:192.0.2.1:2223'", "name: b, url: 'udp:192.0.2.2:2223'"


# --- set ids ----------------------------------------------------------------------------------------------------------


def test_the_derived_set_id_is_the_same_in_every_release() -> None:
    """Bindings and the module's table outlive an upgrade; so must the ids."""
    assert node_set_id("udp:192.0.2.11:2223") == 1740788851
    assert node_set_id("udp6:[2001:db8::12]:2223") == 520125823


@given(st.text(max_size=40))
@modest(60)
def test_a_derived_set_id_is_one_that_the_module_takes(url: str) -> None:
    assert 1 <= node_set_id(url) <= MAX_SET_ID


def test_a_url_whose_checksum_is_0_gets_set_1_because_set_0_is_the_default_set() -> None:
    assert node_set_id("") == 1


# --- what is not valid ------------------------------------------------------------------------------------------------


def test_a_node_is_found_by_its_name_or_its_url_and_by_nothing_else() -> None:
    config = read(pool(A, B))
    assert nodes.find(config.nodes, "b") == nodes.find(config.nodes, "udp:192.0.2.2:2223") == config.nodes[1]
    assert nodes.find(config.nodes, "192.0.2.2") is None
