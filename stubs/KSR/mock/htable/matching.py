"""Which items of a table match: by name or value, with the operators of sht_rm_name, sht_match_name and $shtcn."""

from __future__ import annotations

import re
from collections.abc import Callable

from KSR.mock.engine.regex import posix_regex
from KSR.mock.htable.table import Table

Matcher = Callable[[str], bool]


def matcher(operator: str, wanted: str) -> Matcher | None:
    """Return the test for an operator of sht_rm_* and sht_match_*; None for one that Kamailio does not know."""
    if operator == "re":
        pattern = posix_regex(wanted)
        return None if pattern is None else lambda text: pattern.search(text) is not None
    return {
        "sw": lambda text: text.startswith(wanted),
        "eq": lambda text: text == wanted,
        "ne": lambda text: text != wanted,
    }.get(operator)


def matching(table: Table, by: str, matches: Matcher) -> list[str]:
    """Return the names of the items that match by "name" or by "value"; a number has no value to match."""
    found = []
    for cell in table.in_order():
        if by == "name":
            text = cell.name
        elif isinstance(cell.value, str):
            text = cell.value
        else:
            continue
        if matches(text):
            found.append(cell.name)
    return found


COUNTS = ("~~", "~%", "%~", "==", "eq")


def count_matching(table: Table, expression: str, by: str) -> int:
    """Count the items that $shtcn and $shtcv ask for: ~~regex, ~%ends, %~begins, ==equal, eqNUMBER, ** all."""
    if expression.startswith("**"):
        return len(table.cells)
    operator, wanted = (expression[:2], expression[2:]) if expression[:2] in COUNTS else ("~~", expression)
    if operator == "eq":
        return 0 if by == "name" else sum(cell.value == _number(wanted) for cell in table.in_order())
    if not wanted:
        return 0
    pattern = posix_regex(wanted)
    matches: dict[str, Matcher] = {
        "~~": lambda text: pattern is not None and pattern.search(text) is not None,
        "~%": lambda text: text.endswith(wanted),
        "%~": lambda text: text.startswith(wanted),
        "==": lambda text: text == wanted,
    }
    return len(matching(table, by, matches[operator]))


def _number(text: str) -> int:
    return int(text) if re.fullmatch(r"[-+]?\d+", text) else 0
