"""The timer's duties."""

from pytest_mock import MockerFixture

from tests.unit.edits import edit, log
from tests.unit.site import Site


def test_a_fault_in_one_duty_is_told_once_and_stops_no_other(site: Site, mocker: MockerFixture) -> None:
    site.start()
    mocker.patch("kemi_rtp.files.registry.Registry.exclusive", side_effect=RuntimeError("disk on fire"))
    edit(site.registry.path, "version: 1\nnodes: {}\n")
    site.pings.clear()
    site.tick(3)
    assert len(site.pings) >= 9
    assert log(site, "err").count("disk on fire") == 1


def test_calls_are_counted_per_node(site: Site) -> None:
    worker = site.start()
    for number in range(20):
        site.call(worker, f"c{number}")
    site.tick()
    counted = {node.name: site.state(worker).calls(node) for node, _ in site.state(worker).view()}
    assert counted == {name: len(site.daemon(name).commands("offer")) for name in ("rtp1", "rtp2", "rtp3")}
