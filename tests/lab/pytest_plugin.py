"""pytest: tests on every Kamailio line, or on those that `--line` names; the table of what was seen, at the end.

A test that uses the fixture `kamailio_line`, or one built on it, runs once for each line. Under pytest-xdist with
`--dist loadgroup` each line has a worker of its own. A line that cannot be had fails its tests when it is mandatory,
and has them skipped with a loud word at the end when it is not.
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


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "kamailio_line" in metafunc.fixturenames:
        names = metafunc.config.getoption("--line") or lines.NAMES
        groups = [
            pytest.param(name, marks=pytest.mark.xdist_group(f"kamailio-{name}"))
            for name in lines.NAMES
            if name in names
        ]
        metafunc.parametrize("kamailio_line", groups, indirect=True, scope="session")


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
