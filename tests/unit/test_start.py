"""The start: what it refuses, and what the first packet meets."""

import pytest

from kemi_rtp.files.module_table import read_table
from kemi_rtp.model.admin import AdminState, Entry
from kemi_rtp.model.times import utc_now
from tests.unit.edits import admin, log, store
from tests.unit.site import Site


def test_the_first_packet_meets_the_registry(site: Site) -> None:
    site.state_dir.mkdir()
    store(site, Entry("rtp2", AdminState.DISABLED, "NIC swap", "alice@lb1", utc_now()))
    worker = site.start()
    for number in range(30):
        site.call(worker, f"c{number}")
    assert site.daemon("rtp2").log == []


def test_the_module_starts_with_disabled_nodes_disabled(site: Site) -> None:
    site.state_dir.mkdir()
    store(site, Entry("rtp2", AdminState.DISABLED))
    site.start()
    assert {url: disabled for _, url, _, disabled in read_table(site.state_dir)} == {
        "udp:192.0.2.1:2223": 0,
        "udp:192.0.2.2:2223": 1,
        "udp:192.0.2.3:2223": 0,
    }
    assert site.ksr.rtpengine.find("udp:192.0.2.2:2223").permanent


def refused(site: Site) -> str:
    """What the log says of a start that is refused."""
    with pytest.raises(SystemExit):
        site.start()
    text = log(site, "crit")
    assert "Kamailio is not started" in text
    assert "Traceback" not in text
    return text


def test_a_faulty_nodes_yaml_stops_the_start_with_file_line_and_field(site: Site) -> None:
    site.nodes_path.write_text("pools:\n  default:\n    - {name: a, url: 'udp:h:99999'}\n")
    assert f"{site.nodes_path}:3: pools.default[0].url: udp:h:99999: must be" in refused(site)


def test_a_missing_nodes_yaml_stops_the_start(site: Site) -> None:
    site.nodes_path.unlink()
    assert "nodes.yaml: cannot be read: No such file" in refused(site)


def test_a_registry_that_cannot_be_read_at_all_stops_the_start(site: Site) -> None:
    site.state_dir.mkdir()
    site.registry.path.write_text("version: 1\nnodes: [")
    text = refused(site)
    assert "registry.yaml:3: is not valid YAML" in text
    assert "registry.yaml.good: cannot be read" in text


def test_the_last_good_registry_is_used_loudly(site: Site) -> None:
    site.state_dir.mkdir()
    store(site, Entry("rtp2", AdminState.DISABLED))
    site.registry.path.write_text("nonsense: [")
    site.start()
    assert admin(site)["rtp2"] == "disabled"
    assert "the last good version" in log(site, "crit")


@pytest.mark.parametrize("define", ["KEMI_RTP_STATE_DIR", "KEMI_RTP_RPC_SOCKET"])
def test_places_that_differ_between_the_two_configurations_stop_the_start(site: Site, define: str) -> None:
    site.ksr.define(define, '"/elsewhere"')
    assert f"differs from {define} in Kamailio's configuration, which is /elsewhere" in refused(site)


def test_a_state_directory_that_cannot_be_written_stops_the_start(site: Site) -> None:
    site.state_dir.write_text("a file")
    assert str(site.state_dir) in refused(site)
