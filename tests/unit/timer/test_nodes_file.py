"""nodes.yaml, edited while Kamailio runs."""

from pytest_mock import MockerFixture

from tests.unit.edits import admin, edit, log
from tests.unit.site import THREE, Site


def names(site: Site) -> list[str]:
    return sorted(admin(site))


# --- nodes.yaml -------------------------------------------------------------------------------------------------------


def test_an_added_node_is_in_force_once_the_module_has_it(site: Site) -> None:
    worker = site.start()
    site.tick()
    site.write_nodes({"default": [*THREE["default"], {"name": "rtp4", "url": "udp:192.0.2.4:2223"}]})
    site.tick()  # too early: the module allows one reload in 10 s, and started this moment
    assert names(site) == ["rtp1", "rtp2", "rtp3"]
    site.tick(11)
    assert names(site) == ["rtp1", "rtp2", "rtp3", "rtp4"]
    for number in range(40):
        site.call(worker, f"c{number}")
    assert site.daemon("rtp4").commands("offer")
    assert log(site, "err", "warn") == ""


def test_an_edit_that_needs_no_new_node_reloads_no_module(site: Site) -> None:
    site.start()
    site.tick(12)
    before = len(site.ksr.calls_to("jsonrpcs.exec"))
    site.write_nodes({"default": [{**node, "weight": 7} for node in THREE["default"][:2]]})
    site.tick(3)
    assert names(site) == ["rtp1", "rtp2"]
    sent = [str(call.args[0]) for call in site.ksr.calls_to("jsonrpcs.exec")[before:]]
    assert not any("rtpengine.reload" in text for text in sent)


def test_a_faulty_edit_is_refused_whole_and_told_once(site: Site) -> None:
    site.start()
    site.tick()
    edit(site.nodes_path, site.nodes_path.read_text().replace("192.0.2.1:2223", "192.0.2.9:2223") + "surplus: 1\n")
    site.tick(3)
    assert names(site) == ["rtp1", "rtp2", "rtp3"]
    assert site.node("rtp1").url == "udp:192.0.2.1:2223"
    assert log(site, "err").count("surplus: unknown key") == 1


def test_a_node_that_comes_back_into_nodes_yaml_is_still_disabled(site: Site) -> None:
    site.start()
    site.disable("rtp2")
    site.write_nodes({"default": [THREE["default"][0]]})
    site.tick()
    site.write_nodes(THREE)
    site.tick(12)
    assert admin(site)["rtp2"] == "disabled"


def test_a_renamed_node_is_still_disabled(site: Site) -> None:
    site.start()
    site.disable("rtp2")
    site.write_nodes({"default": [{**node, "name": f"new-{node['name']}"} for node in THREE["default"]]})
    site.tick()
    assert admin(site) == {"new-rtp1": "enabled", "new-rtp2": "disabled", "new-rtp3": "enabled"}


# --- duties -----------------------------------------------------------------------------------------------------------


def test_an_edit_of_nodes_yaml_never_takes_back_what_a_command_has_just_published(site: Site) -> None:
    """The timer may not have picked the command's change up yet: it publishes under the registry's lock, and anew."""
    site.start()
    site.tick(12)
    supervisor = site.routes(site.timer).supervisor
    site.disable("rtp2")
    site.write_nodes({"default": [*THREE["default"][1:]]})
    supervisor.nodes_file.pick_up()
    supervisor.nodes_file.put_in_force()
    assert names(site) == ["rtp2", "rtp3"]
    assert admin(site)["rtp2"] == "disabled"


def test_nodes_are_taken_over_though_their_last_good_version_cannot_be_kept(site: Site, mocker: MockerFixture) -> None:
    site.start()
    kept = (site.state_dir / "nodes.yaml.good").read_text()
    mocker.patch("kemi_rtp.files.last_good.write_through", side_effect=OSError(28, "No space left on device"))
    site.write_nodes({"default": [{**node, "weight": 7} for node in THREE["default"]]})
    site.tick(2)
    assert [node.weight for node in site.state(site.timer).config().nodes] == [7, 7, 7]
    assert (site.state_dir / "nodes.yaml.good").read_text() == kept
    assert "nodes.yaml.good: cannot be written: No space left" in log(site, "err")
