"""The registry through errors, kill -9, many writers and a full disk: nothing acknowledged is lost."""

from __future__ import annotations

import os
import random
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import kemi_rtp
from kemi_rtp.files.errors import RegistryError
from kemi_rtp.files.registry import Registry
from kemi_rtp.model.admin import AdminState, Change, Entry, decide
from tests.unit.sabotage import NOW, STEPS, Killed, Saboteur, change_for, entry, names, no_space, snapshot, store

PACKAGE_ROOT = Path(kemi_rtp.__file__).parent.parent
PATIENCE = 60.0
"""Seconds after which a writer that says nothing is stuck."""

HOUR = timedelta(hours=1)


# --- one step fails --------------------------------------------------------------------------------------------------


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "state")


earlier_changes = pytest.mark.parametrize("earlier", [(), ("rtp1", "rtp2")], ids=["first change", "later change"])


@pytest.mark.parametrize(("call", "nth"), STEPS)
@earlier_changes
def test_a_change_that_fails_at_any_step_leaves_everything_as_it_was(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, call: str, nth: int, earlier: tuple[str, ...]
) -> None:
    store(registry, *map(entry, earlier))
    with registry.exclusive() as transaction:
        before, loaded = snapshot(registry), registry.load()
        with monkeypatch.context() as patch:
            saboteur = Saboteur(patch, call, nth, no_space())
            with pytest.raises(RegistryError, match="No space left on device; nothing was changed"):
                transaction.write(decide(transaction.entries, entry("rtp3")), [change_for(entry("rtp3"))])
        assert saboteur.struck
        assert transaction.entries == loaded.entries
    assert registry.load() == loaded
    assert snapshot(registry) == before
    store(registry, entry("rtp4"))
    assert registry.load().entries.keys() == {*earlier, "rtp4"}
    assert [change.node for change in registry.history.changes()] == [*earlier, "rtp4"]


def store_and_be_killed(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, call: str, nth: int, decided: Entry
) -> None:
    """Everything after the fatal step is left undone, but for what the kernel does: the lock is free again."""
    with monkeypatch.context() as patch, registry.exclusive() as transaction:
        Saboteur(patch, call, nth, Killed())
        transaction.write(decide(transaction.entries, decided), [change_for(decided)])


@pytest.mark.parametrize(("call", "nth"), STEPS)
@earlier_changes
def test_a_process_killed_at_any_step_leaves_a_registry_that_everybody_can_read(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, call: str, nth: int, earlier: tuple[str, ...]
) -> None:
    """It is the old one or the new one, acknowledged changes are all in it, and the next change works."""
    store(registry, *map(entry, earlier))
    with pytest.raises(Killed):
        store_and_be_killed(registry, monkeypatch, call, nth, entry("rtp3"))
    loaded = registry.load()
    assert loaded.problem == ""
    assert set(loaded.entries) - {"rtp3"} == set(earlier)
    store(registry, entry("rtp4"))
    assert set(registry.load().entries) - {"rtp3"} == {*earlier, "rtp4"}
    assert [change.node for change in registry.history.changes() if change.node != "rtp3"] == [*earlier, "rtp4"]


@pytest.mark.parametrize("state", AdminState)
def test_a_change_that_a_crash_cut_short_after_it_took_force_is_not_recorded_again_as_an_edit(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, state: AdminState
) -> None:
    """Killed between the two renames: registry.yaml is new, the last good version is old, the history knows."""
    store(registry, replace(entry("rtp1"), since=NOW - HOUR))
    with pytest.raises(Killed):
        store_and_be_killed(registry, monkeypatch, "replace", 2, entry("rtp1", state, reason="new"))
    with registry.exclusive() as transaction:
        assert transaction.adopt_edits(NOW + HOUR) == []
    assert [change.after for change in registry.history.changes()] == [AdminState.DISABLED, state]
    assert registry.good_path.read_bytes() == registry.path.read_bytes()


@pytest.mark.parametrize("nth", [1, 2])
def test_a_change_that_fails_over_a_faulty_edit_leaves_the_last_good_version_in_force_and_the_edit_on_disk(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, nth: int
) -> None:
    store(registry, entry("rtp1"))
    registry.path.write_text("faulty")
    with monkeypatch.context() as patch:
        Saboteur(patch, "replace", nth, no_space())
        with pytest.raises(RegistryError):
            store(registry, entry("rtp2"))
    assert registry.load().entries == {"rtp1": entry("rtp1")}
    assert b"faulty" in snapshot(registry).values()


@pytest.mark.parametrize(
    ("call", "nth"), [("open", 1), ("write", 1), ("fsync", 1), ("write", 2), ("fsync", 2), ("replace", 1), ("fsync", 3)]
)
def test_an_edit_that_cannot_be_recorded_stays_in_force_and_is_recorded_once_later(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, call: str, nth: int
) -> None:
    store(registry, entry("rtp1"))
    registry.path.write_text(registry.path.read_text().replace('"disabled"', '"draining"'))
    before = names(registry)
    with registry.exclusive() as transaction, monkeypatch.context() as patch:
        Saboteur(patch, call, nth, no_space())
        with pytest.raises(RegistryError, match="an edit cannot be recorded: No space left on device"):
            transaction.adopt_edits(NOW + HOUR)
    assert names(registry) == before
    assert registry.load().entries["rtp1"].state is AdminState.DRAINING
    with registry.exclusive() as transaction:
        transaction.adopt_edits(NOW + 2 * HOUR)
    assert [change.way for change in registry.history.changes()] == ["command", "edit"]


def test_a_folder_that_cannot_be_made_is_a_registry_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(RegistryError, match=r"registry\.lock: cannot be opened: "),
        Registry(tmp_path / "file").exclusive(),
    ):
        pass


@pytest.mark.parametrize("call", ["open", "chown"])
def test_a_lock_file_that_cannot_be_made_or_given_away_is_a_registry_error(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    with monkeypatch.context() as patch:
        Saboteur(patch, call, 1, no_space())
        with pytest.raises(RegistryError), registry.exclusive():
            pass
    store(registry, entry("rtp1"))


# --- kill -9 ---------------------------------------------------------------------------------------------------------

# Makes changes as the command does, and acknowledges each on its standard output when it is stored.
WRITER = """\
import sys
from pathlib import Path
from kemi_rtp.model.admin import Change, Entry, AdminState, decide
from kemi_rtp.files.registry import Registry
from kemi_rtp.model.times import utc_now

directory, writer, first, count, nodes = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
registry = Registry(Path(directory))
for number in range(first, count):
    state = AdminState.ENABLED if number // nodes % 2 else AdminState.DISABLED
    new = Entry(f"{writer}-{number % nodes}", state, f"{writer} {number}", writer, utc_now())
    with registry.exclusive() as transaction:
        transaction.adopt_edits(utc_now())
        change = Change(utc_now(), new.node, AdminState.ENABLED, state, new.reason, writer, "command")
        transaction.write(decide(transaction.entries, new), [change])
    print(number, flush=True)
"""


def start_writer(directory: Path, writer: str, first: int, count: int, nodes: int) -> subprocess.Popen[bytes]:
    arguments = [str(directory), writer, str(first), str(count), str(nodes)]
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, *arguments],
        env=os.environ | {"PYTHONPATH": str(PACKAGE_ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@dataclass
class Acknowledged:
    """Reads what one writer acknowledges. Unbuffered, so that select tells the truth."""

    writer: subprocess.Popen[bytes]
    text: bytes = b""
    ended: bool = False

    def read(self, patience: float) -> bool:
        """Take what comes within `patience` seconds; False when nothing came."""
        assert self.writer.stdout is not None
        descriptor = self.writer.stdout.fileno()
        if not select.select([descriptor], [], [], patience)[0]:
            return False
        got = os.read(descriptor, 65536)
        self.text += got
        self.ended = not got
        return True

    @property
    def count(self) -> int:
        return self.text.count(b"\n")


def kill_at_a_random_moment(writer: subprocess.Popen[bytes], random_: random.Random) -> int:
    """Let a writer make some changes, kill it somewhere in the next one; returns how many it acknowledged."""
    acknowledged = Acknowledged(writer)
    wanted = random_.randint(1, 20)
    while acknowledged.count < wanted and not acknowledged.ended:
        assert acknowledged.read(PATIENCE), "the writer is stuck"
    # A change takes some milliseconds: somewhere within it, whatever it is doing.
    acknowledged.read(random_.uniform(0, 0.004))
    writer.kill()
    while not acknowledged.ended:
        assert acknowledged.read(PATIENCE)
    _, errors = writer.communicate(timeout=PATIENCE)
    assert writer.returncode in (0, -signal.SIGKILL), errors.decode()
    return acknowledged.count


def replayed(numbers: int, nodes: int) -> set[str]:
    """The nodes that are disabled after so many changes of WRITER."""
    disabled: set[str] = set()
    for number in range(numbers):
        (disabled.discard if number // nodes % 2 else disabled.add)(f"w-{number % nodes}")
    return disabled


@pytest.mark.parametrize("seed", [1, 2])
def test_every_acknowledged_change_survives_kill_9_at_random_moments(tmp_path: Path, seed: int) -> None:
    """200 changes by a writer that is killed again and again, and starts again after the last acknowledged one."""
    random_ = random.Random(seed)
    registry = Registry(tmp_path)
    acknowledged, kills, nodes = 0, 0, 20
    while acknowledged < 200:
        writer = start_writer(tmp_path, "w", acknowledged, 200, nodes)
        acknowledged += kill_at_a_random_moment(writer, random_)
        kills += 1
        loaded = registry.load()
        assert loaded.problem == ""
        # The change that was cut short may have taken force, unacknowledged.
        assert loaded.entries.keys() in (replayed(acknowledged, nodes), replayed(acknowledged + 1, nodes))
    assert kills > 5
    reasons = [change.reason for change in registry.history.changes() if change.way == "command"]
    assert list(dict.fromkeys(reasons)) == [f"w {number}" for number in range(200)]
    for line in registry.history.path.read_text().splitlines():
        assert line.endswith("}"), "no line was grown onto the rest of another"


def test_of_16_writers_at_once_no_change_is_lost(tmp_path: Path) -> None:
    """16 processes with 50 changes each, while a reader looks all the time and always finds a whole registry."""
    registry = Registry(tmp_path)
    with registry.exclusive() as transaction:
        transaction.write({}, [])
    writers = [start_writer(tmp_path, f"w{number}", 0, 50, 4) for number in range(16)]
    try:
        while any(writer.poll() is None for writer in writers):
            assert registry.load().problem == ""
            select.select([], [], [], 0.02)
        outputs = [writer.communicate(timeout=PATIENCE) for writer in writers]
    finally:
        for writer in writers:
            writer.kill()
            writer.wait(PATIENCE)
    assert [error for _, error in outputs if error] == []
    assert [output.count(b"\n") for output, _ in outputs] == [50] * 16

    lines = registry.history.path.read_text().splitlines()
    history = registry.history.changes()
    assert len(lines) == len(history) == 800
    for number in range(16):
        mine = [change.reason for change in history if change.by == f"w{number}"]
        assert mine == [f"w{number} {change}" for change in range(50)]
    last = {change.node: (change.after, change.reason) for change in history}
    in_force = {name: (entry.state, entry.reason) for name, entry in registry.load().entries.items()}
    assert in_force == {name: told for name, told in last.items() if told[0] is not AdminState.ENABLED}
    assert registry.good_path.read_bytes() == registry.path.read_bytes()
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".")]


# --- a full disk -----------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB: sixteen pages."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,nr_inodes=32", "tmpfs", str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def fill(disk: Path, leave: int) -> Path:
    """Fill the disk but for `leave` bytes."""
    filler = disk / "filler"
    space = os.statvfs(disk)
    filler.write_bytes(b"x" * (space.f_bavail * space.f_frsize - leave))
    return filler


def disable(registry: Registry, number: int) -> None:
    entry = Entry(f"n{number}", AdminState.DISABLED, "x" * 200, "alice@lb1")
    with registry.exclusive() as transaction:
        change = Change(datetime.now(UTC), entry.node, AdminState.ENABLED, entry.state, "full", entry.by, "command")
        transaction.write(decide(transaction.entries, entry), [change])


def disable_until_the_disk_is_full(registry: Registry, acknowledged: list[int], before: dict[str, bytes]) -> None:
    """Keeps `before` at what was on disk before the change that fails."""
    for number in range(len(acknowledged), 500):
        before.clear()
        before.update(snapshot(registry))
        disable(registry, number)
        acknowledged.append(number)


@pytest.mark.parametrize("pages", [0, 1, 2, 3])
def test_on_a_full_disk_a_change_fails_cleanly_and_the_old_files_stay(small_disk: Path, pages: int) -> None:
    """With every amount of space that is too small: for the first draft, the second, or the history."""
    registry = Registry(small_disk / "state")
    disable(registry, 0)
    filler = fill(small_disk, pages * 4096)
    acknowledged = [0]
    before: dict[str, bytes] = {}
    with pytest.raises(RegistryError, match="No space left on device; nothing was changed"):
        disable_until_the_disk_is_full(registry, acknowledged, before)
    assert snapshot(registry) == before
    assert registry.load().entries.keys() == {f"n{number}" for number in acknowledged}
    assert registry.load().problem == ""
    assert len(registry.history.changes()) == len(acknowledged)

    filler.unlink()
    disable(registry, len(acknowledged))
    assert len(registry.load().entries) == len(registry.history.changes()) == len(acknowledged) + 1


@pytest.mark.parametrize("pages", [0, 1, 2])
def test_a_first_change_on_a_full_disk_leaves_a_fresh_registry(small_disk: Path, pages: int) -> None:
    registry = Registry(small_disk)
    filler = fill(small_disk, pages * 4096)
    with pytest.raises(RegistryError, match="No space left on device"):
        disable(registry, 0)
    assert registry.load().entries == {}
    filler.unlink()
    disable(registry, 0)
    assert registry.load().entries.keys() == {"n0"}
