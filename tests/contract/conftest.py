"""Each scenario runs once on the stub and once on each installed Kamailio line; every check compares one answer."""

import difflib
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.lab.kamailio import Line
from tests.lab.ports import free_port
from tests.lab.rtpengine import Rtpengine

from .scenario import Check, Scenario
from .sides import Outcome, RealSide, StubSide, real_side


@pytest.fixture(scope="session")
def daemons(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Rtpengine]]:
    """Three real rtpengine daemons; the third is frozen."""
    folder = tmp_path_factory.mktemp("rtpengine")
    found = [Rtpengine(f"rtpengine-{number}", number, folder) for number in (1, 2, 3)]
    for daemon in found:
        daemon.start()
    found[2].freeze()
    yield found
    for daemon in found:
        daemon.stop()


@pytest.fixture(scope="session")
def nodes(daemons: list[Rtpengine]) -> dict[str, str]:
    """What the configuration and the scenarios call the nodes."""
    first, second, frozen = (daemon.url for daemon in daemons)
    closed = f"udp:127.0.0.1:{free_port()}"
    return {
        "CONTRACT_NODES_1": f"1 == {first}",
        "CONTRACT_NODES_2": f"2 == {second}",
        "CONTRACT_NODES_3": f"3 == {closed}",
        "CONTRACT_NODES_4": f"4 == {first}=1 {closed}=1",
        "CONTRACT_NODES_5": f"5 == {frozen}",
        "FIRST": first,
        "SECOND": second,
        "CLOSED": closed,
        "FROZEN": frozen,
    }


@pytest.fixture(scope="session")
def real(kamailio_line: Line, nodes: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealSide]:
    """A running Kamailio of this line."""
    with real_side(tmp_path_factory.mktemp("contract"), kamailio_line, nodes) as side:
        yield side


@pytest.fixture(scope="session")
def with_table(
    kamailio_line: Line, nodes: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RealSide]:
    """One more, whose rtpengine module has its nodes from a database, and on 6.x pings them each second."""
    folder = tmp_path_factory.mktemp("table")
    with real_side(folder, kamailio_line, nodes, database=str(folder / "rtpengine.sqlite")) as side:
        yield side


@pytest.fixture(scope="session")
def outcomes(real: RealSide, with_table: RealSide) -> Callable[[Scenario], tuple[Outcome, Outcome]]:
    """Run a scenario on both sides, once."""
    known: dict[Scenario, tuple[Outcome, Outcome]] = {}
    version = real.kamailio.line.version()

    def run(scenario: Scenario) -> tuple[Outcome, Outcome]:
        if scenario not in known:
            side = with_table if scenario.with_table else real
            known[scenario] = (StubSide(side.place, version).run(scenario), side.run(scenario))
        return known[scenario]

    return run


@pytest.fixture
def agree(outcomes: Callable[[Scenario], tuple[Outcome, Outcome]]) -> Callable[[Check], None]:
    """Compare one answer."""

    def compare(check: Check) -> None:
        stub, real = outcomes(check.scenario)
        if check.number is None:
            lines = difflib.unified_diff(
                "\n\n".join(real.sent).split("\n"), "\n\n".join(stub.sent).split("\n"), "Kamailio", "stub", lineterm=""
            )
            assert stub.sent == real.sent, "\n".join(line.rstrip("\r") for line in lines)
            return
        here, there = (side.results.get(check.route) for side in (stub, real))
        assert here is not None, f"the stub did not run {check.route}"
        assert there is not None, f"Kamailio did not run {check.route}"
        assert "NameError" not in str(there[check.number]), "the call is not right"
        assert settle(here[check.number]) == settle(there[check.number])

    return compare


def settle(value: Any) -> Any:
    """Take what depends on the moment out of a value: seconds that are left before a node is tested again."""
    if isinstance(value, dict):
        return {key: _rounded(key, settle(item)) for key, item in value.items()}
    if isinstance(value, list):
        return [settle(item) for item in value]
    if isinstance(value, str):
        return re.sub(r"\b(stub|real)-\d+\b", "CALL", value)
    return value


def _rounded(key: str, value: Any) -> Any:
    return "about a minute" if key == "recheck_ticks" and isinstance(value, int) and 50 <= value <= 60 else value
