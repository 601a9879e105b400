"""KSR.htable: items, whole tables, matching and iterators (htable/htable.c). The tables are in the folder htable."""

from __future__ import annotations

from typing import TYPE_CHECKING

from KSR.mock.engine.behaviour import Result, kemi, null_value
from KSR.mock.htable.matching import count_matching, matcher, matching
from KSR.mock.htable.table import NO_INT_VALUE, Table

if TYPE_CHECKING:
    from KSR.mock.engine.process import Process


def _table(process: Process, name: str) -> Table | None:
    table = process.kamailio.htables.get(name)
    if table is None:
        process.kamailio.log_line("err", f"htable: No such htable: {name}")
    return table


def _get(process: Process, table_name: str, key: str, mode: str) -> Result:
    table = _table(process, table_name)
    if table is None:
        return null_value(mode)
    cell = table.find(key, process)
    if cell is None:
        return null_value(mode) if table.initval is None else table.initval
    return cell.value


@kemi("htable.sht_get")
def sht_get(process: Process, table: str, key: str) -> Result:
    return _get(process, table, key, "")


@kemi("htable.sht_gete")
def sht_gete(process: Process, table: str, key: str) -> Result:
    return _get(process, table, key, "e")


@kemi("htable.sht_getw")
def sht_getw(process: Process, table: str, key: str) -> Result:
    return _get(process, table, key, "w")


@kemi("htable.sht_is_null")
def sht_is_null(process: Process, table_name: str, key: str) -> int:
    table = process.kamailio.htables.get(table_name)
    if table is None:
        return 2
    if table.initval is not None:
        return -2
    return 1 if table.find(key, process) is None else -1


@kemi("htable.sht_sets", "htable.sht_seti")
def sht_set(process: Process, table_name: str, key: str, value: int | str) -> int:
    table = _table(process, table_name)
    if table is None:
        return -1
    return 1 if table.set(key, value, process) else -1


@kemi("htable.sht_setxs")
def sht_setxs(process: Process, table_name: str, key: str, value: str, expire: int) -> int:
    table = _table(process, table_name)
    if table is None:
        return -1
    return 1 if table.set(key, value, process, expire) else -1


@kemi("htable.sht_setxi")
def sht_setxi(process: Process, table_name: str, key: str, value: int, expire: int) -> int:
    table = _table(process, table_name)
    if table is None:
        return -1
    if not table.set(key, value, process, expire):
        return -1
    return 1 if process.kamailio.line.since(6, 0, 2) else 0  # so it is before 6.0.2


@kemi("htable.sht_setex")
def sht_setex(process: Process, table_name: str, key: str, expire: int) -> int:
    table = _table(process, table_name)
    if table is None:
        return -1
    table.set_expire(key, expire, process)
    return 1


@kemi("htable.sht_inc")
def sht_inc(process: Process, table_name: str, key: str) -> int:
    return _add(process, table_name, key, 1)


@kemi("htable.sht_dec")
def sht_dec(process: Process, table_name: str, key: str) -> int:
    return _add(process, table_name, key, -1)


def _add(process: Process, table_name: str, key: str, amount: int) -> int:
    table = process.kamailio.htables.get(table_name)
    total = None if table is None else table.add_to(key, amount, process)
    return NO_INT_VALUE if total is None else total


@kemi("htable.sht_rm")
def sht_rm(process: Process, table_name: str, key: str) -> int:
    table = _table(process, table_name)
    if table is None:
        return -1
    table.delete(key, process)
    return 1


@kemi("htable.sht_reset")
def sht_reset(process: Process, table_name: str) -> int:
    table = _table(process, table_name)
    if table is None:
        return -1
    table.clear(process)
    return 0


@kemi("htable.sht_lock")
def sht_lock(process: Process, table_name: str, key: str) -> int:
    table = _table(process, table_name)
    if table is None:
        return -1
    table.lock(table.slot_of(key), process)
    return 1


@kemi("htable.sht_unlock")
def sht_unlock(process: Process, table_name: str, key: str) -> int:
    table = _table(process, table_name)
    if table is None:
        return -1
    table.unlock(table.slot_of(key), process)
    return 1


# ---- matching by name or value --------------------------------------------------------------------------------------


def _remove(process: Process, table_name: str, operator: str, wanted: str, by: str) -> int:
    table = _table(process, table_name)
    if table is None:
        return -1
    matches = matcher(operator, wanted) if operator in ("re", "sw") and wanted else None
    if matches is None:
        process.kamailio.log_line("warn", f"htable: unsupported match operator or value: {operator} {wanted}")
        return -1
    table.pass_locks(0, table.slots, process)
    for name in matching(table, by, matches):
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
    matches = matcher(operator, wanted) if wanted else None
    if matches is None:
        process.kamailio.log_line("warn", f"htable: unsupported match operator or value: {operator} {wanted}")
        return -1
    table.pass_locks(0, table.slots, process)
    return 1 if matching(table, by, matches) else -1


@kemi("htable.sht_match_name")
def sht_match_name(process: Process, table: str, operator: str, wanted: str) -> int:
    return _match(process, table, operator, wanted, "name")


@kemi("htable.sht_match_str_value")
def sht_match_str_value(process: Process, table: str, operator: str, wanted: str) -> int:
    return _match(process, table, operator, wanted, "value")


@kemi("htable.sht_cn")
def sht_cn(process: Process, table_name: str, operator: str, wanted: str) -> int:
    table = _table(process, table_name)
    if table is None or len(operator) not in (0, 2):
        return -1
    return count_matching(table, (operator or "~~") + wanted, "name")


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
