"""The pseudo-variables of the htable module: $sht(table=>key) and its relatives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from KSR.mock.engine.behaviour import Result
from KSR.mock.htable.matching import count_matching
from KSR.mock.pv.spec import Spec
from KSR.mock.pv.variables import expand, getter, setter

if TYPE_CHECKING:
    from KSR.mock.engine.process import Process
    from KSR.mock.htable.table import Table


def _table_and_key(process: Process, spec: Spec) -> tuple[Table | None, str]:
    name, _, key = spec.inner.partition("=>")
    return process.kamailio.htables.get(name.strip()), expand(process, key)


@getter("sht")
def _sht(process: Process, spec: Spec) -> Result:
    table, key = _table_and_key(process, spec)
    if table is None:
        return None
    cell = table.find(key, process)
    return table.initval if cell is None else cell.value


@setter("sht")
def _set_sht(process: Process, spec: Spec, value: Result) -> bool:
    table, key = _table_and_key(process, spec)
    if table is None:
        return False
    if value is None:
        table.delete(key, process)
        return True
    return table.set(key, value, process)


@getter("shtinc", "shtdec")
def _sht_add(process: Process, spec: Spec) -> Result:
    table, key = _table_and_key(process, spec)
    return None if table is None else table.add_to(key, 1 if spec.name == "shtinc" else -1, process)


@getter("shtex")
def _sht_expire(process: Process, spec: Spec) -> Result:
    table, key = _table_and_key(process, spec)
    if table is None:
        return None
    cell = table.cells.get(key)
    return 0 if cell is None or table.autoexpire <= 0 else cell.expire - process.kamailio.clock.seconds


@setter("shtex")
def _set_sht_expire(process: Process, spec: Spec, value: Result) -> bool:
    table, key = _table_and_key(process, spec)
    if table is None:
        return False
    cell = table.cells.get(key)
    if cell is not None and table.autoexpire > 0:
        cell.expire = process.kamailio.clock.seconds + value if isinstance(value, int) and value > 0 else 0
    return True


@getter("shtitkey", "shtitval")
def _sht_iterator(process: Process, spec: Spec) -> Result:
    cell = process.iterators.current(spec.inner)
    if cell is None:
        return None
    return cell.name if spec.name == "shtitkey" else cell.value


@getter("shtrecord")
def _sht_record(process: Process, spec: Spec) -> Result:
    if process.expired_cell is None:
        return None
    return process.expired_cell[0 if spec.inner == "key" else 1]


@getter("shtcn", "shtcv")
def _sht_count(process: Process, spec: Spec) -> Result:

    table, wanted = _table_and_key(process, spec)
    return None if table is None else count_matching(table, wanted, "name" if spec.name == "shtcn" else "value")
