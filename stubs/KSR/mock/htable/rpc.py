"""The RPC commands htable.*, with the answers and texts of htable/htable.c."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from KSR.mock.engine.rpc import RpcFault, rpc, scan_converted, scan_int, scan_text
from KSR.mock.htable.table import Table

if TYPE_CHECKING:
    from KSR.mock.engine.process import Process

STRING_FLAG = 2


def _table(process: Process, name: str) -> Table:
    table = process.kamailio.htables.get(name)
    if table is None:
        raise RpcFault(500, "No such htable")
    return table


def _names(params: list[Any], missing: str) -> tuple[str, str]:
    name, key = scan_text(params, 0), scan_text(params, 1)
    if name is None or key is None:
        raise RpcFault(500, missing)
    return name, key


@rpc("htable.get")
def htable_get(process: Process, params: list[Any]) -> object:
    from datetime import datetime  # here, to keep `import KSR` quick

    name, key = _names(params, "Not enough parameters (htable name and key name)")
    cell = _table(process, name).find(key, process)
    if cell is None:
        raise RpcFault(500, "Key name doesn't exist in htable.")
    expire = datetime.fromtimestamp(cell.expire).strftime("%Y-%m-%d %H:%M:%S") if cell.expire else "NEVER"
    flags = STRING_FLAG if isinstance(cell.value, str) else 0
    return {"item": {"name": cell.name, "value": cell.value, "flags": flags, "expire": expire}}


NO_VALUE = "Not enough parameters (htable name, key name and value)"


@rpc("htable.sets")
def htable_sets(process: Process, params: list[Any]) -> object:
    name, key = _names(params, NO_VALUE)
    value = scan_converted(params, 2)
    if value is None:
        raise RpcFault(500, NO_VALUE)
    _table(process, name).set(key, value, process)
    return "Ok. Key set to new value."


@rpc("htable.seti")
def htable_seti(process: Process, params: list[Any]) -> object:
    name, key = _names(params, NO_VALUE)
    value = scan_int(params, 2)
    if value is None:
        raise RpcFault(500, NO_VALUE)
    _table(process, name).set(key, value, process)
    return "Ok. Key set to new value."


@rpc("htable.setex")
def htable_setex(process: Process, params: list[Any]) -> object:
    missing = "Not enough parameters (htable name, item name and expire)"
    name, key = _names(params, missing)
    expire = scan_int(params, 2)
    if expire is None:
        raise RpcFault(500, missing)
    _table(process, name).set_expire(key, expire, process)
    return "Ok"


NO_EXPIRE = "Not enough parameters (htable name, key name, value and expire)"


@rpc("htable.setxs")
def htable_setxs(process: Process, params: list[Any]) -> object:
    value = scan_converted(params, 2)
    return _set_with_expire(process, params, value)


@rpc("htable.setxi")
def htable_setxi(process: Process, params: list[Any]) -> object:
    return _set_with_expire(process, params, scan_int(params, 2))


def _set_with_expire(process: Process, params: list[Any], value: int | str | None) -> object:
    name, key = _names(params, NO_EXPIRE)
    expire = scan_int(params, 3)
    if value is None or expire is None:
        raise RpcFault(500, NO_EXPIRE)
    table = process.kamailio.htables.get(name)
    if table is None:
        raise RpcFault(500, "Failed to set the item")
    table.set(key, value, process, expire)
    return "Ok. Key set to new value."


@rpc("htable.delete")
def htable_delete(process: Process, params: list[Any]) -> object:
    bracket = "" if process.kamailio.line.major == 5 else ")"
    name, key = _names(params, f"Not enough parameters (htable name & key name{bracket}")
    if not _table(process, name).delete(key, process):
        raise RpcFault(404, "Key not found in htable.")
    return "Ok. Key deleted."


@rpc("htable.flush")
def htable_flush(process: Process, params: list[Any]) -> object:
    name = scan_text(params, 0)
    if name is None:
        raise RpcFault(500, "No htable name given")
    _table(process, name).clear(process)
    return "Ok. Htable flushed."


@rpc("htable.dump")
def htable_dump(process: Process, params: list[Any]) -> object:
    name = scan_text(params, 0)
    if name is None:
        raise RpcFault(500, "No htable name given")
    table = _table(process, name)
    table.pass_locks(0, table.slots, process)
    slots: dict[int, list[dict[str, object]]] = {}
    for cell in table.in_order():
        kind = "str" if isinstance(cell.value, str) else "int"
        slots.setdefault(cell.slot, []).append({"name": cell.name, "value": cell.value, "type": kind})
    return [{"entry": slot, "size": len(items), "slot": items} for slot, items in slots.items()]


def _newest_first(process: Process) -> list[Table]:
    tables = list(process.kamailio.htables.values())[::-1]
    if not tables:
        raise RpcFault(500, "No htables")
    return tables


@rpc("htable.listTables")
def htable_list_tables(process: Process, params: list[Any]) -> object:
    return [
        {
            "name": table.name,
            "dbtable": table.dbtable,
            "dbmode": table.dbmode,
            "expire": table.autoexpire,
            "updateexpire": table.updateexpire,
            "size": table.slots,
            "dmqreplicate": table.dmqreplicate,
        }
        for table in _newest_first(process)
    ]


@rpc("htable.stats")
def htable_stats(process: Process, params: list[Any]) -> object:
    result = []
    for table in _newest_first(process):
        counts = [0] * table.slots
        for cell in table.in_order():
            counts[cell.slot] += 1
        result.append(
            {"name": table.name, "slots": table.slots, "all": sum(counts), "min": min(counts), "max": max(counts)}
        )
    return result


@rpc("htable.reload")
@rpc("htable.store")
def htable_database(process: Process, params: list[Any]) -> object:
    raise RpcFault(500, "No htable db_url")
