"""One laboratory per test module and Kamailio line, put back in order after each test, its log beside every failure."""

from collections.abc import Generator, Iterator

import pytest

from tests.lab.kamailio import Line
from tests.lab.laboratory import Laboratory
from tests.lab.world import World


@pytest.fixture(scope="module")
def module_world(kamailio_line: Line) -> Iterator[World]:
    """Three nodes and Kamailio, up for all tests of a module."""
    with World(nodes=3, line=kamailio_line) as world:
        yield world


@pytest.fixture
def world(module_world: World, request: pytest.FixtureRequest) -> Iterator[World]:
    """The module's laboratory: everything is up and all nodes are enabled at the start of each test.

    At its end Kamailio must not have logged a fault, other than those that `@pytest.mark.faults("regex", ...)` names.
    """
    since = module_world.kamailio.mark()
    yield module_world
    faults = module_world.kamailio.faults(since, _allowed(request))
    put_in_order(module_world)
    assert not faults, "Kamailio logged faults:\n" + "\n".join(faults[:20])


def _allowed(request: pytest.FixtureRequest) -> tuple[str, ...]:
    marker = request.node.get_closest_marker("faults")
    return () if marker is None else marker.args


def put_in_order(world: World) -> None:
    """Everything up, and all nodes enabled and routable."""
    world.stop_calls()
    for node in world.nodes.values():
        node.thaw()
        if not node.process.is_running:
            node.start()
    world.write_nodes()
    if not world.kamailio.process.is_running:
        world.kamailio.start()
    for node in world.show()["nodes"]:
        if node["admin"] != "enabled":
            world.command("enable", node["name"])
    world.wait_routable(*world.nodes)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "faults(*regex): log lines of level ERROR that this test provokes")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: "pytest.CallInfo[None]"
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    for laboratory in getattr(item, "funcargs", {}).values():
        if report.failed and isinstance(laboratory, Laboratory):
            report.sections.append(("Kamailio's log (its end)", laboratory.kamailio.log()[-4000:]))
            break
    return report
