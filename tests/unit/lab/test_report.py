"""The table at the end of a test run, and the word about a Kamailio line that cannot be had, with several workers."""

import pytest

from tests.lab import situations
from tests.lab.table import Observation, render

CONFTEST = """
import pytest
from tests.lab import lines, pytest_plugin
from tests.lab.kamailio import Line

class Known(Line):
    def version(self):
        return self.name + ".9"

def get(name):
    if name == {missing!r}:
        raise lines.LineError("no mirror")
    return Known(name, ())

lines.get = get
pytest_plugins = ["tests.lab.pytest_plugin"]
"""
TESTS = """
import pytest
from tests.lab import situations

@pytest.mark.situation(situations.PING, "stock")
def test_one(observe, kamailio_line):
    observe("comes back")
    assert kamailio_line.name != "5.6"

@pytest.mark.situation(situations.PING, "kemi_rtp")
def test_other(observe):
    observe("0 packets")
"""


def run(pytester: pytest.Pytester, missing: str, *options: str) -> pytest.RunResult:
    pytester.makeconftest(CONFTEST.format(missing=missing))
    pytester.makepyfile(TESTS)
    return pytester.runpytest_subprocess(*options, "-p", "no:cacheprovider")


def test_what_was_seen_is_one_row_for_a_situation_and_one_column_for_a_line_and_side() -> None:
    seen = [
        Observation(situations.PING, "6.0.1", "stock", "comes back"),
        Observation(situations.TIMER, "6.0.1", "stock", ""),
        Observation(situations.PING, "5.6.3", "kemi_rtp", "0 packets"),
        Observation(situations.PING, "5.6.3", "kemi_rtp", "0 packets"),
    ]
    table = [[cell.strip() for cell in row.strip("|").split("|")] for row in render(seen).splitlines()]
    assert table[0][1:] == ["5.6.3 stock", "5.6.3 kemi_rtp", "6.0.1 stock", "6.0.1 kemi_rtp"]
    assert table[2:] == [[situations.TIMER, "-", "-", "-", "-"], [situations.PING, "-", "0 packets", "comes back", "-"]]


def test_the_table_holds_what_all_workers_saw_and_a_missing_optional_line_is_said_loudly(
    pytester: pytest.Pytester,
) -> None:
    result = run(pytester, "6.1", "-n", "2", "--dist", "loadgroup")
    result.assert_outcomes(passed=3, failed=1, skipped=2)
    (row,) = [line for line in result.outlines if situations.PING in line]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[1:] == ["TEST FAILED", "0 packets", "comes back", "0 packets"]
    result.stdout.fnmatch_lines(["*A KAMAILIO LINE WAS NOT TESTED*", "*Kamailio 6.1 CANNOT BE HAD: no mirror"])


def test_a_mandatory_line_that_cannot_be_had_fails(pytester: pytest.Pytester) -> None:
    run(pytester, "6.0", "--line", "6.0").assert_outcomes(errors=2)
