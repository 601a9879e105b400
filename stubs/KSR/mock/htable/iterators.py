"""The iterators of the htable module: four per process, and each holds the lock of the slot it stands in.

Follows ht_iterator_* in htable/ht_api.c.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from KSR.mock.engine.exports import private_memory

if TYPE_CHECKING:
    from KSR.mock.engine.process import Process
    from KSR.mock.htable.table import Cell, Table

MAX_ITERATORS = 4
NAME_SIZE = 32


@dataclass(slots=True)
class Place:
    """One of the four places; `cell` is None before the first item and after the last."""

    name: str = ""
    table: Table | None = None
    slot: int = 0
    cell: Cell | None = None


@private_memory("iterators")
class Iterators:
    """The places of one process."""

    def __init__(self, process: Process) -> None:
        """All free."""
        self.process = process
        self.places = [Place() for _ in range(MAX_ITERATORS)]

    def find(self, name: str) -> Place | None:
        """Return the place with this name, else the first free one, else None."""
        free = None
        for place in self.places:
            if place.name == name:
                return place
            if not place.name and free is None:
                free = place
        return free

    def start(self, name: str, table_name: str) -> int:
        """Begin before the first item; an iterator of that name begins again."""
        place = self.find(name)
        if place is None:
            self._error(f"no iterator available - max number is {MAX_ITERATORS}")
            return -1
        if place.name:
            self._release(place)
        elif len(name.encode()) >= NAME_SIZE:
            self._error(f"iterator name is too big [{name}] (max {NAME_SIZE})")
            return -1
        place.name, place.cell, place.slot = name, None, 0
        place.table = self.process.kamailio.htables.get(table_name)
        if place.table is None:
            # The place stays taken, as in Kamailio: only sht_iterator_end gives it back.
            self._error(f"cannot get hash table [{table_name}]")
            return -1
        return 1

    def next(self, name: str) -> int:
        """Step to the next item."""
        place = self._initialized(name)
        if place is None or place.table is None:
            return -1
        if place.cell is None:
            place.slot = 0
        else:
            following = place.table.after(place.cell)
            if following is not None and following.slot == place.slot:
                place.cell = following
                return 1
            self._release(place)
            place.slot += 1
        return 1 if self._enter_slot(place) else -1

    def end(self, name: str) -> int:
        """Give the place back."""
        place = self.find(name)
        if place is None or not place.name:
            self._error(f"iterator not found [{name}]")
            return -1
        self._release(place)
        place.name, place.table, place.slot, place.cell = "", None, 0, None
        return 1

    def remove(self, name: str) -> int:
        """Remove the current item and step to the next; -2 when it was the last."""
        place = self._used(name)
        if place is None or place.table is None or place.cell is None:
            return -1
        following = place.table.after(place.cell)
        place.table.unlink(place.cell)
        place.cell = None
        if following is not None and following.slot == place.slot:
            place.cell = following
            return 1
        place.table.unlock(place.slot, self.process)
        place.slot += 1
        return 1 if self._enter_slot(place) else -2

    def current(self, name: str) -> Cell | None:
        """Return the item that $shtitkey(name) and $shtitval(name) show."""
        return next((place.cell for place in self.places if place.name == name), None)

    def used(self, name: str) -> tuple[Table, Cell] | None:
        """Return the table and the current item, or log what is missing."""
        place = self._used(name)
        return None if place is None or place.table is None or place.cell is None else (place.table, place.cell)

    def stands_on(self, cell: Cell) -> str | None:
        """Return the name of the iterator whose current item this is."""
        return next((place.name for place in self.places if place.cell is cell), None)

    def _enter_slot(self, place: Place) -> bool:
        """Lock slots from the current one on until one has an item."""
        table = place.table
        assert table is not None
        first = table.first_from(place.slot)
        last = table.slots if first is None else first.slot
        table.pass_locks(place.slot, last, self.process)
        place.slot = last
        if first is None:
            place.cell = None
            return False
        table.lock(first.slot, self.process)
        place.cell = first
        return True

    def _release(self, place: Place) -> None:
        if place.table is not None and place.cell is not None:
            place.table.unlock(place.slot, self.process)
        place.cell = None

    def _initialized(self, name: str) -> Place | None:
        place = self.find(name)
        if place is None:
            self._error(f"iterator not found [{name}]")
        elif place.table is None:
            self._error(f"iterator not initialized [{name}]")
            return None
        return place

    def _used(self, name: str) -> Place | None:
        place = self._initialized(name)
        if place is not None and place.cell is None:
            self._error(f"iterator not used [{name}]")
            return None
        return place

    def _error(self, text: str) -> None:
        self.process.kamailio.log_line("err", f"htable: {text}")
