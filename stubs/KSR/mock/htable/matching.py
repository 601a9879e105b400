"""KSR.htable functions that walk a whole table: removal and matching by name or value, and the iterators."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from KSR.mock.engine.behaviour import kemi
from KSR.mock.htable.table import Table
from KSR.mock.modules.htable import _table

if TYPE_CHECKING:
    from KSR.mock.engine.process import Process

Matcher = Callable[[str], bool]


def posix_regex(text: str) -> re.Pattern[str] | None:
    """Compile what regcomp(REG_EXTENDED|REG_ICASE|REG_NEWLINE) takes, as far as Python's syntax agrees with it."""
    try:
        return re.compile(text, re.IGNORECASE | re.MULTILINE)
    except re.error:
        return None


def _matcher(operator: str, wanted: str) -> Matcher | None:
    if operator == "re":
        pattern = posix_regex(wanted)
        return None if pattern is None else lambda text: pattern.search(text) is not None
    return {
        "sw": lambda text: text.startswith(wanted),
        "eq": lambda text: text == wanted,
        "ne": lambda text: text != wanted,
    }.get(operator)


def _matching(table: Table, by: str, matches: Matcher) -> list[str]:
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


def _remove(process: Process, table_name: str, operator: str, wanted: str, by: str) -> int:
    table = _table(process, table_name)
    if table is None:
        return -1
    matches = _matcher(operator, wanted) if operator in ("re", "sw") and wanted else None
    if matches is None:
        process.kamailio.log_line("warn", f"htable: unsupported match operator or value: {operator} {wanted}")
        return -1
    table.pass_locks(0, table.slots, process)
    for name in _matching(table, by, matches):
        table.delete(name, process)
    return 1


@kemi("htable.sht_rm_name")
def sht_rm_name(process: Process, table: str, operator: str, wanted: str) -> int:
    return _remove(process, table, operator, wanted, "name")


@kemi("htable.sht_rm_value")
def sht_rm_value(process: Process, table: str, operator: str, wanted: str) -> int:
    return _remove(process, table, operator, wanted, "value")


@kemi("htable.sht_rm_name_re")
def sht_rm_name_re(process: Process, table: str, regex: str) -> int:
    # A missing table is no failure here, unlike in sht_rm_name.
    return 1 if table not in process.kamailio.htables else _remove(process, table, "re", regex, "name")


@kemi("htable.sht_rm_value_re")
def sht_rm_value_re(process: Process, table: str, regex: str) -> int:
    return 1 if table not in process.kamailio.htables else _remove(process, table, "re", regex, "value")


def _match(process: Process, table_name: str, operator: str, wanted: str, by: str) -> int:
    table = _table(process, table_name)
    if table is None:
        return -1
    matches = _matcher(operator, wanted) if wanted else None
    if matches is None:
        process.kamailio.log_line("warn", f"htable: unsupported match operator or value: {operator} {wanted}")
        return -1
    table.pass_locks(0, table.slots, process)
    return 1 if _matching(table, by, matches) else -1


@kemi("htable.sht_match_name")
def sht_match_name(process: Process, table: str, operator: str, wanted: str) -> int:
    return _match(process, table, operator, wanted, "name")


@kemi("htable.sht_match_str_value")
def sht_match_str_value(process: Process, table: str, operator: str, wanted: str) -> int:
    return _match(process, table, operator, wanted, "value")


# ---- iterators ------------------------------------------------------------------------------------------------------


@kemi("htable.sht_iterator_start")
def sht_iterator_start(process: Process, name: str, table: str) -> int:
    return process.iterators.start(name, table) if name and table else -1


@kemi("htable.sht_iterator_next")
def sht_iterator_next(process: Process, name: str) -> int:
    return process.iterators.next(name) if name else -1


@kemi("htable.sht_iterator_end")
def sht_iterator_end(process: Process, name: str) -> int:
    return process.iterators.end(name) if name else -1


@kemi("htable.sht_iterator_rm")
def sht_iterator_rm(process: Process, name: str) -> int:
    return process.iterators.remove(name) if name else -1


@kemi("htable.sht_iterator_sets", "htable.sht_iterator_seti")
def sht_iterator_set(process: Process, name: str, value: int | str) -> int:
    used = process.iterators.used(name) if name else None
    if used is None:
        return -1
    table, cell = used
    cell.value = value
    if table.updateexpire:
        # Also in a table without autoexpire, where the expiry has no effect.
        cell.expire = table.kamailio.clock.seconds + table.autoexpire
    return 1


@kemi("htable.sht_iterator_setex")
def sht_iterator_setex(process: Process, name: str, expire: int) -> int:
    used = process.iterators.used(name) if name else None
    if used is None:
        return -1
    table, cell = used
    cell.expire = table.kamailio.clock.seconds + expire
    return 1


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
    return len(_matching(table, by, matches[operator]))


@kemi("htable.sht_cn")
def sht_cn(process: Process, table_name: str, operator: str, wanted: str) -> int:
    table = _table(process, table_name)
    if table is None or len(operator) not in (0, 2):
        return -1
    return count_matching(table, (operator or "~~") + wanted, "name")


COUNTS = ("~~", "~%", "%~", "==", "eq")


def _number(text: str) -> int:
    return int(text) if re.fullmatch(r"[-+]?\d+", text) else 0
