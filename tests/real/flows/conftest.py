"""One laboratory per module and Kamailio line for many flows; each flow is judged at its end, and leaves it empty."""

from collections.abc import Generator, Iterator

import pytest

from tests.lab.agents import Flow
from tests.lab.kamailio import Line
from tests.lab.laboratory import CHECKOUT
from tests.lab.world import World

CONFIG = CHECKOUT / "tests" / "lab" / "flows.cfg"
SCRIPTS = CHECKOUT / "tests" / "lab" / "scripts"
_FAILED = pytest.StashKey[bool]()


@pytest.fixture(scope="module")
def module_world(kamailio_line: Line, request: pytest.FixtureRequest) -> Iterator[World]:
    """Two nodes, and Kamailio with the package's own routes.

    A module may say otherwise: SCRIPT of tests/lab/scripts, number of NODES, NODE_OPTIONS as in nodes.yaml.
    """
    script: str | None = getattr(request.module, "SCRIPT", None)
    with World(
        nodes=getattr(request.module, "NODES", 2),
        line=kamailio_line,
        config=CONFIG,
        env={"KEMI_RTP_SCRIPT": str(SCRIPTS / script)} if script else {},
        node_options=getattr(request.module, "NODE_OPTIONS", {}),
    ) as world:
        yield world


@pytest.fixture
def flow(world: World, request: pytest.FixtureRequest) -> Iterator[Flow]:
    """A flow that is judged when the test has found no fault itself.

    `@pytest.mark.unrelayed` is for a flow in which a session description goes by the nodes for a reason.
    """
    flow = Flow(world)
    flow.clean()
    try:
        yield flow
        if not request.node.stash.get(_FAILED, False):
            if request.node.get_closest_marker("unrelayed") is None:
                flow.assert_relayed()
            flow.assert_nothing_left()
    finally:
        flow.clean()
        flow.close()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "unrelayed: session descriptions of this flow may name the agents themselves")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: "pytest.CallInfo[None]"
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "call":
        item.stash[_FAILED] = report.failed
    return report
