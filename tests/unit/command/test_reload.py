"""kemi-rtp reload and check."""

from pytest_mock import MockerFixture

from kemi_rtp.command import output
from tests.unit.answers import clean, shown
from tests.unit.site import THREE, Site, StubRpc


def test_reload_puts_an_edit_in_force_and_tells_what_changed(site: Site) -> None:
    site.start()
    site.tick(12)
    site.write_nodes({"default": [*THREE["default"][:2], {"name": "rtp4", "url": "udp:192.0.2.4:2223"}]})
    result = site.cli("reload")
    assert result.exit_code == output.DONE
    assert "added rtp4, removed rtp3" in result.stdout
    assert set(shown(site)) == {"rtp1", "rtp2", "rtp4"}


def test_reload_waits_for_the_modules_rate_limit(site: Site) -> None:
    site.start()
    site.write_nodes({"default": [*THREE["default"], {"name": "rtp4", "url": "udp:192.0.2.4:2223"}]})
    assert site.cli("reload").exit_code == output.DONE
    assert "rtp4" in shown(site)


def test_reload_refuses_a_faulty_file_before_kamailio_sees_it(site: Site) -> None:
    site.start()
    site.nodes_path.write_text("pools: 5\n")
    result = clean(site.cli("reload"))
    assert result.exit_code == output.FAILED
    assert "nodes.yaml:1: pools: 5: must be a mapping" in result.stderr


def test_reload_without_kamailio_is_exit_code_3(site: Site, mocker: MockerFixture) -> None:
    mocker.patch.object(StubRpc, "reachable", False)
    assert clean(site.cli("reload")).exit_code == output.SAVED


def test_check_finds_faults_in_either_file(site: Site, mocker: MockerFixture) -> None:
    mocker.patch("shutil.which", return_value=None)
    result = clean(site.cli("check"))
    assert result.exit_code == output.DONE
    assert "3 nodes in 1 pool" in result.stdout
    site.state_dir.mkdir()
    site.registry.path.write_text("version: 2\nnodes: {}\n")
    result = clean(site.cli("check"))
    assert result.exit_code == output.FAILED
    assert "registry.yaml:1: version: 2: must be 1" in result.stderr


def test_check_runs_kamailios_own_check(site: Site, mocker: MockerFixture) -> None:
    mocker.patch("shutil.which", return_value="/usr/sbin/kamailio")
    run = mocker.patch("subprocess.run")
    run.return_value.returncode = 1
    run.return_value.stderr = "parse error in line 7"
    result = clean(site.cli("check", "--config", str(site.nodes_path)))
    assert result.exit_code == output.FAILED
    assert "parse error in line 7" in result.stderr


def test_check_names_nodes_that_only_the_registry_knows(site: Site, mocker: MockerFixture) -> None:
    mocker.patch("shutil.which", return_value=None)
    site.start()
    site.disable("rtp2")
    site.write_nodes({"default": THREE["default"][:1]})
    assert "rtp2: is not in" in site.cli("check").stderr
