"""Pseudo-variables that keep state: AVPs, script and shared variables, defines, time."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from KSR.mock.engine.behaviour import Result
from KSR.mock.engine.exports import parameter
from KSR.mock.pv.spec import ALL, Spec, parse_spec
from KSR.mock.pv.variables import expand, getter, setter

if TYPE_CHECKING:
    from KSR.mock.engine.kamailio import Kamailio
    from KSR.mock.engine.process import Process


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


@parameter("pv", "shvset")
def set_shared(kamailio: Kamailio, name: str, value: int | str) -> None:
    """Take "name=i:5" or "name=s:text"."""
    variable, _, text = str(value).partition("=")
    kamailio.shared_variables[variable] = int(text[2:]) if text.startswith("i:") else text.removeprefix("s:")


@getter("shv")
def _shv(process: Process, spec: Spec) -> Result:
    return process.kamailio.shared_variables.setdefault(spec.inner, 0)


@setter("shv")
def _set_shv(process: Process, spec: Spec, value: Result) -> bool:
    process.kamailio.shared_variables[spec.inner] = 0 if value is None else value
    return True


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
    from datetime import UTC, datetime  # here, to keep `import KSR` quick

    return datetime.fromtimestamp(process.kamailio.clock.seconds, UTC).strftime("%a %b %e %H:%M:%S %Y")


@getter("RANDOM")
def _random(process: Process, spec: Spec) -> Result:
    import random  # here, to keep `import KSR` quick

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
