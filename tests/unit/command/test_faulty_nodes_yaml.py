"""Commands while nodes.yaml is faulty."""

import pytest
from pytest_mock import MockerFixture

from kemi_rtp.command import output
from tests.unit.answers import clean, shown
from tests.unit.site import THREE, Site, StubRpc


def test_a_faulty_nodes_yaml_is_told_with_line_and_field(site: Site) -> None:
    site.nodes_path.write_text("pools:\n  default:\n    - {name: a}\n")
    result = clean(site.cli("drain", "a"))
    assert result.exit_code == output.FAILED
    assert f"{site.nodes_path}:3: pools.default[0].url: is missing" in result.stderr


FAULTS = {
    "field": "settings: {{state_dir: {state_dir}, rpc_socket: /nowhere}}\npools:\n  default:\n    - {{name: a}}\n",
    "no YAML": 'settings:\n  # state_dir: /nowhere\n  state_dir: "{state_dir}"  # ours\npools: {{\n',
    "setting": "settings: {{state_dir: {state_dir}/, probe_interval: soon}}\npools: {{default: []}}\n",
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_while_nodes_yaml_is_faulty_commands_go_by_its_last_good_version_and_say_so(site: Site, fault: str) -> None:
    """An emergency does not wait until a typo is found."""
    worker = site.start()
    site.nodes_path.write_text(fault.format(state_dir=site.state_dir))
    for command in (["disable", "rtp2", "--reason", "r"], ["drain", "rtp3"], ["enable", "rtp3"], ["show"], ["history"]):
        result = clean(site.cli(*command))
        assert result.exit_code == output.DONE, result.output
        assert f"{site.nodes_path}:" in result.stderr
        assert f"{site.nodes_path} is faulty: going by its last good version, in {site.state_dir}" in result.stderr
    assert {n.name: s.routable for n, s in site.state(worker).view()}["rtp2"] is False
    assert {name: node["routable"] for name, node in shown(site).items()} == {"rtp1": True, "rtp2": False, "rtp3": True}
    assert set(site.registry.load().entries) == {"rtp2"}


def test_while_nodes_yaml_is_faulty_verify_goes_on_and_fails(site: Site) -> None:
    site.start()
    site.tick(2)
    assert site.cli("verify").exit_code == output.DONE
    site.nodes_path.write_text(f"settings: {{state_dir: {site.state_dir}}}\npools: 5\n")
    result = clean(site.cli("verify"))
    assert result.exit_code == output.FAILED
    assert "agree" in result.stdout
    assert "nodes.yaml:2: pools: 5: must be a mapping" in result.stderr


def test_while_nodes_yaml_is_faulty_a_command_without_kamailio_is_saved(site: Site, mocker: MockerFixture) -> None:
    site.start()
    mocker.patch.object(StubRpc, "reachable", False)
    site.nodes_path.write_text(f"settings: {{state_dir: {site.state_dir}}}\npools: 5\n")
    assert site.cli("disable", "rtp2", "--reason", "r").exit_code == output.SAVED
    assert set(site.registry.load().entries) == {"rtp2"}


@pytest.mark.parametrize("command", ["check", "reload"])
def test_while_nodes_yaml_is_faulty_it_is_neither_checked_nor_loaded(site: Site, command: str) -> None:
    site.start()
    site.nodes_path.write_text(f"settings: {{state_dir: {site.state_dir}}}\npools: 5\n")
    result = clean(site.cli(command))
    assert result.exit_code == output.FAILED
    assert "last good" not in result.stderr


def test_the_last_good_version_is_the_one_that_kamailio_took_over_last(site: Site) -> None:
    site.start()
    site.write_nodes({"default": [*THREE["default"], {"name": "rtp4", "url": "udp:192.0.2.4:2223"}]})
    site.tick(12)
    site.nodes_path.write_text(f"settings: {{state_dir: {site.state_dir}}}\npools: 5\n")
    site.tick(12)
    assert site.cli("drain", "rtp4").exit_code == output.DONE


def test_when_nodes_yaml_names_no_state_directory_the_operator_may(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.start()
    site.nodes_path.unlink()
    result = clean(site.cli("drain", "rtp2"))
    assert result.exit_code == output.FAILED
    assert f"{site.nodes_path}: cannot be read: No such file" in result.stderr
    assert "there is no last good version to go by (--state-dir names its folder): /var/lib/kemi_rtp/" in result.stderr
    assert site.cli("--state-dir", str(site.state_dir), "drain", "rtp2").exit_code == output.DONE
    monkeypatch.setenv("KEMI_RTP_STATE_DIR", str(site.state_dir))
    assert site.cli("enable", "rtp2").exit_code == output.DONE


def test_the_last_good_version_of_another_nodes_yaml_is_not_gone_by_unless_the_operator_says_so(site: Site) -> None:
    """On a machine with two Kamailios a guess must not disable a node of the other."""
    site.start()
    site.nodes_path = site.nodes_path.rename(site.nodes_path.with_name("other.yaml"))
    site.nodes_path.write_text(f"settings: {{state_dir: {site.state_dir}}}\npools: 5\n")
    result = clean(site.cli("drain", "rtp2"))
    assert result.exit_code == output.FAILED
    assert f"is not that of {site.nodes_path}" in result.stderr
    assert not site.registry.path.exists()
    assert site.cli("--state-dir", str(site.state_dir), "drain", "rtp2").exit_code == output.DONE
