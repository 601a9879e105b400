"""Pseudo-variables that keep state: AVPs, script and shared variables, tables, defines, time, transaction."""

from __future__ import annotations

import os
import random
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from KSR.mock.engine.behaviour import Result
from KSR.mock.pv.variables import ALL, Spec, expand, getter, parse_spec, setter

if TYPE_CHECKING:
    from KSR.mock.engine.process import Process
    from KSR.mock.htable.table import Table


# ---- AVPs: a stack of values per name, of the current message or transaction ---------------------------------------


def avp_name(inner: str) -> str:
    """Return the name without the "s:" that says it is a string."""
    return inner.removeprefix("s:")


@getter("avp")
def _avp(process: Process, spec: Spec) -> Result:
    values = process.avps.get(avp_name(spec.inner))
    if not values:
        return None
    if spec.index == ALL:
        return ", ".join(str(value) for value in values) if len(values) > 1 else str(values[0])
    place = int(spec.index)
    return values[place] if 0 <= place < len(values) else None


@setter("avp")
def _set_avp(process: Process, spec: Spec, value: Result) -> bool:
    name = avp_name(spec.inner)
    if spec.index == ALL or value is None:
        values = process.avps.pop(name, [])
        if value is None:
            if values and spec.index != ALL and len(values) > 1:
                process.avps[name] = values[1:]
            return True
        process.avps[name] = [value]
        return True
    # A new value goes on top of the others; $(avp(x)[*]) sees all.
    process.avps.setdefault(name, []).insert(0, value)
    return True


# ---- script variables: of the process, they outlive the message ----------------------------------------------------


@getter("var")
def _var(process: Process, spec: Spec) -> Result:
    return process.vars.get(spec.inner, 0)


@setter("var")
def _set_var(process: Process, spec: Spec, value: Result) -> bool:
    process.vars[spec.inner] = 0 if value is None else value
    return True


@getter("vn")
def _var_null(process: Process, spec: Spec) -> Result:
    return process.vars.get(f"vn:{spec.inner}")


@setter("vn")
def _set_var_null(process: Process, spec: Spec, value: Result) -> bool:
    process.vars[f"vn:{spec.inner}"] = value
    return True


@getter("shv")
def _shv(process: Process, spec: Spec) -> Result:
    return process.kamailio.shared_variables.setdefault(spec.inner, 0)


@setter("shv")
def _set_shv(process: Process, spec: Spec, value: Result) -> bool:
    process.kamailio.shared_variables[spec.inner] = 0 if value is None else value
    return True


# ---- $sht(table=>key) and its relatives ----------------------------------------------------------------------------


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
    from KSR.mock.htable.matching import count_matching

    table, wanted = _table_and_key(process, spec)
    return None if table is None else count_matching(table, wanted, "name" if spec.name == "shtcn" else "value")


# ---- defines, environment, process, time ----------------------------------------------------------------------------


@getter("def", "defv", "defn")
def _define(process: Process, spec: Spec) -> Result:
    value = process.kamailio.defines.get(spec.inner)
    if value is None or spec.name == "def":
        return value
    return value.strip("\"'") if spec.name == "defv" else int(value) if value.lstrip("-").isdigit() else 0


@getter("env")
def _environment(process: Process, spec: Spec) -> Result:
    return os.environ.get(spec.inner)


@getter("pp")
def _pid(process: Process, spec: Spec) -> Result:
    """The process that asked first: it is remembered, and what is forked afterwards inherits the memory."""
    process.remembered_pid = process.remembered_pid or process.pid
    return process.remembered_pid


@getter("TS", "Ts")
def _seconds(process: Process, spec: Spec) -> Result:
    return process.kamailio.clock.seconds


@getter("TV")
def _time_value(process: Process, spec: Spec) -> Result:
    now = process.kamailio.clock.now
    seconds, micros = int(now), int(now % 1 * 1_000_000)
    return {"s": seconds, "u": micros}.get(spec.inner, f"{seconds}.{micros:06d}")


@getter("Tf")
def _time_text(process: Process, spec: Spec) -> Result:
    return datetime.fromtimestamp(process.kamailio.clock.seconds, UTC).strftime("%a %b %e %H:%M:%S %Y")


@getter("RANDOM")
def _random(process: Process, spec: Spec) -> Result:
    return random.randrange(2**31)


@getter("null")
def _null(process: Process, spec: Spec) -> Result:
    return None


@getter("true", "false")
def _boolean(process: Process, spec: Spec) -> Result:
    return 1 if spec.name == "true" else 0


@getter("version")
def _version(process: Process, spec: Spec) -> Result:
    version = process.kamailio.line.version
    return version if spec.inner == "num" else f"kamailio {version}"


@getter("_s")
def _text(process: Process, spec: Spec) -> Result:
    return expand(process, spec.inner)


@getter("cnt")
def _count(process: Process, spec: Spec) -> Result:
    found = parse_spec(spec.inner)
    return None if found is None or found.name != "avp" else len(process.avps.get(avp_name(found.inner), []))


@getter("rc", "retcode")
def _return_code(process: Process, spec: Spec) -> Result:
    return 0


# ---- transaction, JSON-RPC ------------------------------------------------------------------------------------------


@getter("T_branch_idx")
def _branch_index(process: Process, spec: Spec) -> Result:
    return process.branch_index


@getter("T_reply_code")
def _reply_code(process: Process, spec: Spec) -> Result:
    from KSR.mock.tm.status import status_now

    return status_now(process)


@getter("jsonrpl")
def _jsonrpc_reply(process: Process, spec: Spec) -> Result:
    reply = process.jsonrpc_reply
    if reply is None:
        return 0 if spec.inner == "code" else None
    values: dict[str, Result] = {"code": reply.code, "text": reply.text, "body": reply.body}
    return values.get(spec.inner)
