"""pytest: tests on every Kamailio line, or on those that `--line` names; the table of what was seen, at the end.

A test that uses the fixture `kamailio_line`, or one built on it, runs once for each line. Under pytest-xdist with
`--dist loadgroup` the tests of one file on one line share a worker, and with it a laboratory; long tests begin first
when `--no-loadscope-reorder` is given too. A line that cannot be had fails its tests when it is mandatory, and has them
skipped with a loud word at the end when it is not.
"""

from collections.abc import Callable

import pytest

from . import lines
from .kamailio import Line
from .table import Observation, render

_OBSERVED = "observed"
_missing: dict[str, str] = {}  # lines that cannot be had, and why


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--line", action="append", choices=lines.NAMES, help="Kamailio line to test on, may be given again; else all"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "situation(name, side): the cell of the table at the end that this test fills")
    config.addinivalue_line("markers", "xdist_group(name): what pytest-xdist runs on one worker, if it is there")
    config.addinivalue_line("markers", "only_on(*line): this test runs on these Kamailio lines alone")
    config.addinivalue_line("markers", "long: takes so long that it had better begin first")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "kamailio_line" in metafunc.fixturenames:
        names = metafunc.config.getoption("--line") or lines.NAMES
        if only := metafunc.definition.get_closest_marker("only_on"):
            names = [name for name in names if name in only.args]
        has_group = metafunc.definition.get_closest_marker("xdist_group") is not None
        groups = [
            pytest.param(
                name, marks=() if has_group else pytest.mark.xdist_group(f"{metafunc.module.__name__} on {name}")
            )
            for name in lines.NAMES
            if name in names
        ]
        metafunc.parametrize("kamailio_line", groups, indirect=True, scope="session")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.fixture(scope="session")
def kamailio_line(request: pytest.FixtureRequest) -> Line:
    """A Kamailio line that can be started."""
    name: str = request.param
    if name not in _missing:
        try:
            return lines.get(name)
        except lines.LineError as error:
            _missing[name] = str(error)
    if lines.is_mandatory(name):
        pytest.fail(f"Kamailio {name} cannot be had: {_missing[name]}", pytrace=False)
    pytest.skip(f"Kamailio {name} CANNOT BE HAD: {_missing[name]}")


@pytest.fixture
def observe(request: pytest.FixtureRequest, kamailio_line: Line) -> Callable[[str], None]:
    """Note for the table what has been seen, in words; the row and the side are those of `@pytest.mark.situation`."""
    marker = request.node.get_closest_marker("situation")
    assert marker is not None, "a test that observes needs @pytest.mark.situation"
    situation, side = marker.args
    noted = Observation(situation, kamailio_line.version(), side, "")
    request.node.user_properties.append((_OBSERVED, list(noted)))

    def note(words: str) -> None:
        request.node.user_properties.append((_OBSERVED, list(noted._replace(words=words))))

    return note


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [report for kind in ("passed", "failed", "skipped") for report in terminalreporter.getreports(kind)]
    observations: dict[Observation, None] = {}
    for report in reports:
        found = [Observation(*values) for name, values in getattr(report, "user_properties", []) if name == _OBSERVED]
        observations.update(dict.fromkeys(one._replace(words="TEST FAILED") if report.failed else one for one in found))
    if observations:
        terminalreporter.section("what happens to a node that an operator took out")
        terminalreporter.write_line(render(list(observations)))
    said = {str(report.longrepr[2]) for report in reports if report.skipped and isinstance(report.longrepr, tuple)}
    for words in sorted(word for word in said if "CANNOT BE HAD" in word):
        terminalreporter.write_sep("!", "A KAMAILIO LINE WAS NOT TESTED", red=True, bold=True)
        terminalreporter.write_line(words)
