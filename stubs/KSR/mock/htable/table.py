"""A hash table in shared memory: its items with their expiry, its slots and their locks.

Follows htable/ht_api.c and htable/htable.c of 5.6.3; what was doubtful was tried on a running Kamailio.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import count
from typing import TYPE_CHECKING

from KSR.mock.engine.arguments import to_c_int

if TYPE_CHECKING:
    from KSR.mock.engine.kamailio import Kamailio
    from KSR.mock.engine.process import Process

NO_INT_VALUE = -255


@lru_cache(maxsize=4096)
def case_hash(text: str) -> int:
    """Return Kamailio's core_case_hash: it orders the slots, and with them what an iterator meets first."""
    data = bytes(byte | 0x20 if 0x41 <= byte <= 0x5A else byte for byte in text.encode())
    signed = [byte - 256 if byte > 127 else byte for byte in data]  # C chars are signed
    total = 0
    whole = len(signed) // 4 * 4
    for start in range(0, whole, 4):
        a, b, c, d = signed[start : start + 4]
        value = ((a << 24) + (b << 16) + (c << 8) + d) & 0xFFFFFFFF
        total += value ^ (value >> 3)
    value = 0
    for byte in signed[whole:]:
        value = ((value << 8) + byte) & 0xFFFFFFFF
    total = (total + (value ^ (value >> 3))) & 0xFFFFFFFF
    return (total + (total >> 11) + (total >> 13) + (total >> 23)) & 0xFFFFFFFF


@dataclass(eq=False, slots=True)
class Cell:
    """One item; `expire` is a second of the clock, 0 for never; `key` its place in the table's order."""

    name: str
    value: int | str
    slot: int
    key: tuple[int, int, int]
    expire: int = 0


@dataclass(eq=False)
class Table:
    """One hash table as declared by modparam("htable", "htable", "name=>size=8;autoexpire=60")."""

    kamailio: Kamailio
    name: str
    autoexpire: int = 0
    size: int = 4
    dbmode: int = 0
    initval: int | None = None
    updateexpire: int = 1
    dmqreplicate: int = 0
    dbtable: str = ""
    locks: dict[int, tuple[Process, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Work out the number of slots."""
        self.slots = 8 if self.size <= 1 else 1 << 14 if self.size > 31 else 1 << self.size
        self.cells: dict[str, Cell] = {}
        self._order: list[tuple[tuple[int, int, int], Cell]] = []
        self._sequence = count()

    # ---- order and iteration ------------------------------------------------------------------------------------

    def in_order(self) -> list[Cell]:
        """Return all items as an iterator meets them, expired ones included."""
        return [cell for _, cell in self._order]

    def after(self, cell: Cell) -> Cell | None:
        """Return the item that follows."""
        place = bisect_right(self._order, cell.key, key=lambda entry: entry[0])
        return self._order[place][1] if place < len(self._order) else None

    def first_from(self, slot: int) -> Cell | None:
        """Return the first item of the first slot, from this one on, that has any."""
        place = bisect_left(self._order, (slot, -1, -1), key=lambda entry: entry[0])
        return self._order[place][1] if place < len(self._order) else None

    def slot_of(self, key: str) -> int:
        """Return the slot a key belongs to."""
        return case_hash(key) & (self.slots - 1)

    def unlink(self, cell: Cell) -> None:
        """Take an item out, whoever looks at it."""
        del self.cells[cell.name]
        place = bisect_left(self._order, cell.key, key=lambda entry: entry[0])
        del self._order[place]

    # ---- locks --------------------------------------------------------------------------------------------------

    def lock(self, slot: int, process: Process) -> None:
        """Take a slot's lock; a process may take its own again."""
        held = self.locks.get(slot)
        if held is None:
            self.locks[slot] = (process, 1)
        elif held[0] is process:
            self.locks[slot] = (process, held[1] + 1)
        else:
            self.pass_locks(slot, slot + 1, process)

    def unlock(self, slot: int, process: Process) -> None:
        """Give a slot's lock back, as often as it was taken."""
        held = self.locks.get(slot)
        if held is None:
            self.kamailio.fault(
                f"htable {self.name}: unlock of slot {slot}, which nobody has locked",
                "Kamailio would release the lock of whichever process takes it next",
            )
        elif held[0] is not process and held[1] == 1:
            self.kamailio.fault(
                f"htable {self.name}: {process.name} unlocks slot {slot}, which {held[0].name} has locked",
                "Kamailio would release that process's lock in the middle of its work",
            )
            del self.locks[slot]
        elif held[1] == 1:
            del self.locks[slot]
        else:
            self.locks[slot] = (held[0], held[1] - 1)

    def pass_locks(self, first: int, last: int, process: Process) -> None:
        """Fail where a process would wait for a slot of first..last-1 that another one has locked."""
        if not self.locks:
            return
        for slot, (owner, _) in self.locks.items():
            if first <= slot < last and owner is not process:
                self.kamailio.hang(
                    f"htable {self.name}: {process.name} would wait for slot {slot}, which {owner.name} has locked"
                )

    # ---- items --------------------------------------------------------------------------------------------------

    def find(self, key: str, process: Process) -> Cell | None:
        """Return a live item."""
        if not self.kamailio.htables_ready:
            return None
        cell = self.cells.get(key)
        if self.locks:
            slot = self.slot_of(key)
            self.pass_locks(slot, slot + 1, process)
        if cell is None or (self.autoexpire > 0 and 0 < cell.expire < self.kamailio.clock.seconds):
            return None
        return cell

    def set(self, key: str, value: int | str, process: Process, expire: int = 0) -> bool:
        """Set an item; `expire` seconds from now when above 0, else as the table says."""
        if not self.kamailio.htables_ready:
            self.kamailio.log_line("warn", "htable: invalid htable parameter")
            return False
        slot = self.slot_of(key)
        self.pass_locks(slot, slot + 1, process)
        now = self.kamailio.clock.seconds if self.autoexpire > 0 else 0
        cell = self.cells.get(key)
        if cell is None:
            self._add(key, value, now + (expire if expire > 0 else self.autoexpire))
            return True
        if isinstance(value, str) and (isinstance(cell.value, int) or len(value.encode()) > len(cell.value.encode())):
            self._replace(cell, value, now, expire, process)
            return True
        cell.value = value
        if expire > 0:
            cell.expire = now + expire
        elif self.updateexpire:
            cell.expire = now + self.autoexpire
        return True

    def _replace(self, cell: Cell, value: str, now: int, expire: int, process: Process) -> None:
        """Put a new cell in the place of one whose memory is too small; the old one is freed."""
        self.check_not_iterated(cell, process, "a longer value")
        cell.value = value
        if expire > 0:
            # Before 6.1 ht_set_cell_ex() sets the expiry of the cell that it frees: the new one never expires.
            cell.expire = now + expire if self.kamailio.line.since(6, 1) else 0
        elif self.updateexpire:
            cell.expire = now + self.autoexpire

    def _add(self, key: str, value: int | str, expire: int) -> Cell:
        cell_id = case_hash(key)
        order = (cell_id & (self.slots - 1), cell_id, next(self._sequence))
        cell = Cell(key, value, order[0], order, expire)
        self.cells[key] = cell
        insort(self._order, (order, cell), key=lambda entry: entry[0])
        return cell

    def add_to(self, key: str, amount: int, process: Process) -> int | None:
        """Add to an integer item and return the sum; None for what cannot be added to."""
        if not self.kamailio.htables_ready:
            return None
        slot = self.slot_of(key)
        self.pass_locks(slot, slot + 1, process)
        now = self.kamailio.clock.seconds if self.autoexpire > 0 else 0
        cell = self.cells.get(key)
        if cell is None:
            if self.initval is None:
                return None
            cell = self._add(key, to_c_int(self.initval + amount), now + self.autoexpire)
            return int(cell.value)
        if 0 < cell.expire < now:
            if self.kamailio.line.major > 5:
                cell.expire = now + self.autoexpire  # so an expired item comes back to life
            if self.initval is None:
                return None
            cell.value = self.initval
        if isinstance(cell.value, str):
            return None
        cell.value = to_c_int(cell.value + amount)
        if self.updateexpire:
            cell.expire = now + self.autoexpire
        return cell.value

    def set_expire(self, key: str, expire: int, process: Process) -> None:
        """Let an item expire in so many seconds, or never; one that is missing is passed over."""
        cell = self.cells.get(key)
        if cell is not None and self.autoexpire > 0:
            self.pass_locks(cell.slot, cell.slot + 1, process)
            cell.expire = self.kamailio.clock.seconds + expire if expire > 0 else 0

    def delete(self, key: str, process: Process) -> bool:
        """Remove an item, expired or not."""
        cell = self.cells.get(key)
        slot = self.slot_of(key)
        self.pass_locks(slot, slot + 1, process)
        if cell is None:
            return False
        self.check_not_iterated(cell, process, "its removal")
        self.unlink(cell)
        return True

    def clear(self, process: Process) -> None:
        """Remove all items."""
        self.pass_locks(0, self.slots, process)
        for cell in self.in_order():
            self.check_not_iterated(cell, process, "its removal")
            self.unlink(cell)

    def check_not_iterated(self, cell: Cell, process: Process, what: str) -> None:
        """Fail where an iterator would go on from freed memory."""
        name = process.iterators.stands_on(cell) if self.locks else None
        if name is not None:
            self.kamailio.fault(
                f"htable {self.name}: {what} for key {cell.name!r}, on which iterator {name!r} stands",
                "Kamailio would free the item and step on from freed memory; use sht_iterator_rm, _sets or _seti",
            )

    def expire(self) -> list[Cell]:
        """Remove and return what has expired; the module's timer does this."""
        if self.autoexpire <= 0:
            return []
        now = self.kamailio.clock.seconds
        expired = [cell for cell in self.in_order() if 0 < cell.expire < now]
        for cell in expired:
            self.unlink(cell)
        return expired
