"""The htable module: its parameters, and the timer that removes what has expired."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from KSR.mock.engine.exports import parameter, shared_memory
from KSR.mock.engine.worker import run_event
from KSR.mock.htable.table import Table

if TYPE_CHECKING:
    from KSR.mock.engine.kamailio import Kamailio

TABLE_ATTRIBUTES = ("autoexpire", "size", "dbmode", "initval", "updateexpire", "dmqreplicate")
TIMER = 20  # seconds between two looks for expired items: timer_interval


@shared_memory("htables")
def make_tables(kamailio: Kamailio) -> dict[str, Table]:
    """Begin without tables, and with the timer."""
    kamailio.clock.every(TIMER, lambda: expire_tables(kamailio))
    return {}


@parameter("htable", "htable")
def take_table(kamailio: Kamailio, name: str, value: int | str) -> None:
    """Declare a table."""
    declare(kamailio, str(value))


@parameter("htable", "event_callback")
def take_event_callback(kamailio: Kamailio, name: str, value: int | str) -> None:
    """Set what is called with the module's events."""
    kamailio.htable_event_callback = str(value)


def declare(kamailio: Kamailio, spec: str) -> Table:
    """Declare a hash table: "name=>size=8;autoexpire=60"."""
    table = parse_table(kamailio, spec)
    if table.name in kamailio.htables:
        raise ValueError(f"htable already configured [{table.name}]")
    kamailio.htables[table.name] = table
    return table


def parse_table(kamailio: Kamailio, spec: str) -> Table:
    """Read the value of modparam("htable", "htable", ...)."""
    name, arrow, rest = spec.partition("=>")
    name = name.strip()
    if not arrow or not name:
        raise ValueError(f'htable {spec!r}: expected "name=>attribute=value;..."')
    table = Table(kamailio, name)
    for part in filter(None, (part.strip() for part in rest.split(";"))):
        attribute, _, value = part.partition("=")
        if attribute in ("dbtable", "cols"):
            table.dbtable = value if attribute == "dbtable" else table.dbtable
        elif attribute in TABLE_ATTRIBUTES and re.fullmatch(r"-?\d+", value):
            setattr(table, attribute, int(value))
        else:
            raise ValueError(f"htable {spec!r}: Kamailio knows no attribute {part!r}; valid: {TABLE_ATTRIBUTES}")
    table.__post_init__()
    return table


def expire_tables(kamailio: Kamailio) -> None:
    """Remove the expired items of all tables, and run the event for each."""
    for table in list(kamailio.htables.values()):
        for cell in table.expire():
            _run_expired(kamailio, table, cell.name, cell.value)


def _run_expired(kamailio: Kamailio, table: Table, key: str, value: int | str) -> None:
    kamailio.main.expired_cell = (key, value)
    if kamailio.htable_event_callback:
        run_event(kamailio.main, kamailio.htable_event_callback, f"htable:expired:{table.name}")
    kamailio.main.expired_cell = None
