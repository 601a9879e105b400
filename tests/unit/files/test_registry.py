"""The registry on disk: durable before acknowledged, and never without a good version."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from kemi_rtp.files.errors import RegistryBusyError, RegistryError
from kemi_rtp.files.registry import Registry
from kemi_rtp.files.registry_yaml import parse
from kemi_rtp.model.admin import AdminState, Change, Entry
from tests.unit.sabotage import NOW, change_for, entry, names, snapshot, store

HOUR = timedelta(hours=1)
ENABLED, DRAINING, DISABLED = AdminState.ENABLED, AdminState.DRAINING, AdminState.DISABLED


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "state")


# --- reading ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("made", [False, True])
def test_nothing_at_all_means_that_every_node_is_enabled(registry: Registry, made: bool) -> None:
    if made:
        registry.directory.mkdir()
    loaded = registry.load()
    assert (loaded.entries, loaded.problem) == ({}, "")


def test_a_change_is_there_for_everybody_who_looks_afterwards(registry: Registry) -> None:
    store(registry, entry("rtp1"), entry("rtp2", DRAINING))
    loaded = Registry(registry.directory).load()
    assert loaded.entries == {"rtp1": entry("rtp1"), "rtp2": entry("rtp2", DRAINING)}
    assert loaded.problem == ""


def test_a_change_leaves_five_files_at_most_and_no_drafts(registry: Registry) -> None:
    store(registry, entry("rtp1"), entry("rtp2"))
    assert names(registry) == {"registry.yaml", "registry.yaml.good", "history.jsonl", "registry.lock"}
    assert registry.path.read_bytes() == registry.good_path.read_bytes()


def break_with_text(path: Path) -> None:
    path.write_text("version: 1\nnodes:\n  rtp1: {state: gone}\n")


def break_with_nothing(path: Path) -> None:
    path.write_text("")


def break_with_bytes(path: Path) -> None:
    path.write_bytes(b"\xff\xfe")


def break_with_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def break_by_removal(path: Path) -> None:
    path.unlink()


BREAKS = [
    (break_with_text, ":3: nodes.rtp1.state: gone: must be draining or disabled"),
    (break_with_nothing, ": version: is missing"),
    (break_with_bytes, ": cannot be read: 'utf-8' codec can't decode"),
    (break_with_folder, ": cannot be read: Is a directory"),
    (break_by_removal, ": is missing"),
]


@pytest.mark.parametrize(("damage", "message"), BREAKS)
def test_the_last_good_version_serves_loudly_when_the_current_one_is_unreadable(
    registry: Registry, damage: Callable[[Path], None], message: str
) -> None:
    store(registry, entry("rtp1"))
    damage(registry.path)
    loaded = registry.load()
    assert loaded.entries == {"rtp1": entry("rtp1")}
    assert loaded.problem.startswith(f"{registry.path}{message}")
    assert loaded.problem.endswith(f"\nthe last good version, {registry.good_path}, is in force")


@pytest.mark.parametrize("damage_good", [damage for damage, _ in BREAKS])
@pytest.mark.parametrize(("damage", "message"), BREAKS)
def test_without_any_good_version_there_is_no_registry_and_the_message_says_what_to_do(
    registry: Registry, damage: Callable[[Path], None], message: str, damage_good: Callable[[Path], None]
) -> None:
    store(registry, entry("rtp1"))
    damage(registry.path)
    damage_good(registry.good_path)
    with pytest.raises(RegistryError) as caught:
        registry.load()
    assert str(caught.value).startswith(f"{registry.path}{message}")
    assert f"\n{registry.good_path}:" in str(caught.value)
    assert "repair one of the two files" in str(caught.value)


def test_without_any_good_version_no_change_is_stored_over_what_is_left(registry: Registry) -> None:
    store(registry, entry("rtp1"))
    break_with_text(registry.path)
    break_with_nothing(registry.good_path)
    with pytest.raises(RegistryError):
        store(registry, entry("rtp2"))
    assert "gone" in registry.path.read_text()


def test_a_missing_last_good_version_does_not_matter_while_the_current_one_is_good(registry: Registry) -> None:
    store(registry, entry("rtp1"))
    registry.good_path.unlink()
    assert registry.load().problem == ""
    store(registry, entry("rtp2"))
    assert registry.good_path.read_bytes() == registry.path.read_bytes()


def test_a_history_without_a_registry_is_a_lost_registry_and_no_fresh_start(registry: Registry) -> None:
    store(registry, entry("rtp1"))
    registry.path.unlink()
    registry.good_path.unlink()
    with pytest.raises(RegistryError, match="is missing"):
        registry.load()


# --- writing: the order of things ------------------------------------------------------------------------------------


def test_both_files_and_the_history_are_on_disk_before_a_rename_and_the_folder_after_the_last(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(registry, entry("rtp1"))
    events: list[str] = []
    sizes: dict[str, int] = {}
    fsync, rename = os.fsync, os.replace

    def spy_fsync(descriptor: int) -> None:
        name = Path(os.readlink(f"/proc/self/fd/{descriptor}")).name
        sizes[name] = os.fstat(descriptor).st_size
        events.append(f"fsync {name}")
        fsync(descriptor)

    def spy_replace(source: Path, target: Path) -> None:
        events.append(f"rename {source.name} {target.name}")
        rename(source, target)

    monkeypatch.setattr(os, "fsync", spy_fsync)
    monkeypatch.setattr(os, "replace", spy_replace)
    store(registry, entry("rtp2"))

    draft, good = ".registry.yaml.draft", ".registry.yaml.good.draft"
    first_rename = next(index for index, event in enumerate(events) if event.startswith("rename"))
    assert set(events[:first_rename]) == {f"fsync {draft}", f"fsync {good}", "fsync history.jsonl"}
    assert events[first_rename:] == [
        f"rename {draft} registry.yaml",
        f"rename {good} registry.yaml.good",
        "fsync state",
    ]
    assert sizes[draft] == sizes[good] == registry.path.stat().st_size, "everything was written before the fsync"
    assert sizes["history.jsonl"] == registry.history.path.stat().st_size


def test_a_short_write_is_continued(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel may take less than it is given, as on a disk that is nearly full."""
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, content: write(descriptor, bytes(content)[:7]))
    store(registry, entry("rtp1"), entry("rtp2"))
    assert registry.load().entries.keys() == {"rtp1", "rtp2"}
    assert len(registry.history.changes()) == 2


@pytest.fixture
def owned(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int, int]]:
    """What root would hand over to whom; works for any user."""
    handed: list[tuple[str, int, int]] = []
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "chown", lambda path, uid, gid: handed.append((Path(path).name, uid, gid)))
    return handed


def test_files_that_root_writes_belong_to_the_owner_of_the_folder(
    registry: Registry, owned: list[tuple[str, int, int]]
) -> None:
    store(registry, entry("rtp1"))
    folder = registry.directory.stat()
    expected = {"registry.lock", "history.jsonl", ".registry.yaml.draft", ".registry.yaml.good.draft"}
    assert set(owned) == {(name, folder.st_uid, folder.st_gid) for name in expected}


def test_an_unprivileged_user_hands_nothing_over(
    registry: Registry, owned: list[tuple[str, int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    store(registry, entry("rtp1"))
    assert owned == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_what_root_writes_stays_kamailios_to_change(registry: Registry) -> None:
    registry.directory.mkdir()
    os.chown(registry.directory, 12345, 23456)
    store(registry, entry("rtp1"))
    edit(registry, "why", "edited")
    with registry.exclusive() as transaction:
        transaction.adopt_edits(NOW)
    for name in names(registry):
        found = (registry.directory / name).stat()
        assert (name, found.st_uid, found.st_gid) == (name, 12345, 23456)


# --- the lock --------------------------------------------------------------------------------------------------------


def test_two_changes_exclude_each_other(registry: Registry) -> None:
    second = Registry(registry.directory)
    with (
        registry.exclusive(),
        pytest.raises(RegistryBusyError, match="is held by another change; try again"),
        second.exclusive(timeout=0),
    ):
        pass
    with second.exclusive(timeout=0):
        pass


def test_a_change_that_raises_gives_the_lock_back(registry: Registry) -> None:
    with pytest.raises(KeyError), registry.exclusive():
        raise KeyError
    with registry.exclusive(timeout=0):
        pass


def test_a_change_waits_for_the_one_before_and_then_sees_it(registry: Registry) -> None:
    seen: list[Mapping[str, Entry]] = []
    waiting = threading.Event()

    def second() -> None:
        waiting.set()
        with Registry(registry.directory).exclusive(timeout=20) as transaction:
            seen.append(transaction.entries)

    with registry.exclusive() as transaction:
        thread = threading.Thread(target=second)
        thread.start()
        assert waiting.wait(10)
        thread.join(0.05)
        assert thread.is_alive()
        transaction.write({"rtp1": entry("rtp1")}, [change_for(entry("rtp1"))])
    thread.join(10)
    assert seen == [{"rtp1": entry("rtp1")}]


def test_reading_needs_no_lock(registry: Registry) -> None:
    store(registry, entry("rtp1"))
    with registry.exclusive():
        assert Registry(registry.directory).load().entries == {"rtp1": entry("rtp1")}


# --- faulty edits ----------------------------------------------------------------------------------------------------


def test_a_faulty_edit_is_moved_out_of_the_way_by_the_next_change_and_kept(registry: Registry) -> None:
    store(registry, entry("rtp1"))
    break_with_text(registry.path)
    store(registry, entry("rtp2"))
    loaded = registry.load()
    assert (set(loaded.entries), loaded.problem) == ({"rtp1", "rtp2"}, "")
    assert "gone" in (registry.directory / "registry.yaml.rejected").read_text()


def test_a_registry_that_is_missing_is_written_anew_from_the_last_good_version(registry: Registry) -> None:
    store(registry, entry("rtp1"))
    registry.path.unlink()
    store(registry, entry("rtp2"))
    loaded = registry.load()
    assert (set(loaded.entries), loaded.problem) == ({"rtp1", "rtp2"}, "")
    assert "registry.yaml.rejected" not in names(registry)


def test_a_faulty_edit_is_not_adopted_and_not_touched(registry: Registry) -> None:
    store(registry, entry("rtp1"))
    break_with_text(registry.path)
    before = snapshot(registry)
    with registry.exclusive() as transaction:
        assert transaction.adopt_edits(NOW) == []
    assert snapshot(registry) == before


# --- edits by hand ---------------------------------------------------------------------------------------------------


def edit(registry: Registry, old: str, new: str) -> None:
    content = registry.path.read_text()
    assert old in content
    registry.path.write_text(content.replace(old, new))


def adopt(registry: Registry, now: datetime = NOW) -> list[Change]:
    with registry.exclusive() as transaction:
        return transaction.adopt_edits(now)


def test_an_edit_is_recorded_once_as_a_change_of_way_edit_and_becomes_the_last_good_version(registry: Registry) -> None:
    store(registry, entry("rtp1"))
    edit(registry, '"disabled"', '"draining"')
    changes = adopt(registry, NOW + HOUR)
    assert changes == [Change(NOW + HOUR, "rtp1", DISABLED, DRAINING, "why", "", "edit")]
    assert registry.history.changes()[1:] == changes
    assert adopt(registry) == []
    registry.path.unlink()
    assert registry.load().entries == {"rtp1": replace(entry("rtp1"), state=DRAINING)}


def test_an_edit_keeps_its_comments_until_the_next_change(registry: Registry) -> None:
    store(registry, entry("rtp1"))
    edit(registry, "version: 1", "version: 1 # mine")
    assert adopt(registry) == []
    assert "# mine" in registry.path.read_text()


def test_a_registry_written_by_hand_before_the_first_change_is_recorded(registry: Registry) -> None:
    registry.directory.mkdir()
    registry.path.write_text("version: 1\nnodes:\n  rtp1: {state: disabled, reason: x}\n")
    assert [(change.node, change.after, change.way) for change in adopt(registry)] == [("rtp1", DISABLED, "edit")]
    assert parse(registry.good_path.read_text(), registry.good_path).keys() == {"rtp1"}


def test_no_edit_records_nothing_and_writes_nothing(registry: Registry) -> None:
    store(registry, entry("rtp1"))
    before = snapshot(registry)
    assert adopt(registry) == []
    assert snapshot(registry) == before


# --- the end of timed decisions --------------------------------------------------------------------------------------


def expire(registry: Registry, now: datetime) -> list[Change]:
    with registry.exclusive() as transaction:
        return transaction.expire(now)


def test_the_end_of_a_timed_decision_is_stored_and_recorded_as_way_until(registry: Registry) -> None:
    store(registry, entry("rtp1", until=NOW + HOUR), entry("rtp2"))
    changes = expire(registry, NOW + HOUR)
    told = "the time set by alice@lb1 is over"
    assert changes == [Change(NOW + HOUR, "rtp1", DISABLED, ENABLED, told, "kemi_rtp", "until")]
    assert registry.history.changes()[2:] == changes
    assert registry.load().entries == {"rtp2": entry("rtp2")}


def test_what_was_decided_without_end_is_in_force_again_after_the_end_of_a_timed_decision(registry: Registry) -> None:
    store(registry, entry("rtp1"), entry("rtp1", ENABLED, NOW + HOUR))
    (change,) = expire(registry, NOW + HOUR)
    assert (change.before, change.after) == (ENABLED, DISABLED)
    assert registry.load().entries == {"rtp1": entry("rtp1")}


def test_before_its_time_nothing_ends_and_nothing_is_written(registry: Registry) -> None:
    store(registry, entry("rtp1", until=NOW + HOUR))
    before = snapshot(registry)
    assert expire(registry, NOW + HOUR - timedelta(seconds=1)) == []
    assert snapshot(registry) == before


# --- the history -----------------------------------------------------------------------------------------------------


def test_the_history_is_all_changes_the_oldest_first(registry: Registry) -> None:
    decided = [entry("rtp1"), entry("rtp2", DRAINING), entry("rtp1", ENABLED, reason="repaired")]
    store(registry, *decided)
    assert registry.history.changes() == [change_for(one) for one in decided]


def test_the_history_can_be_that_of_one_node_or_the_last_changes_only(registry: Registry) -> None:
    store(registry, entry("rtp1"), entry("rtp2"), entry("rtp1", DRAINING), entry("rtp1", ENABLED))
    assert [change.after for change in registry.history.changes("rtp1")] == [DISABLED, DRAINING, ENABLED]
    assert [change.after for change in registry.history.changes(limit=2)] == [DRAINING, ENABLED]
    assert [change.after for change in registry.history.changes("rtp1", limit=1)] == [ENABLED]


def test_there_is_no_history_before_the_first_change(registry: Registry) -> None:
    assert registry.history.changes() == []


def test_a_history_that_cannot_be_read_is_a_registry_error(registry: Registry) -> None:
    registry.history.path.mkdir(parents=True)
    with pytest.raises(RegistryError, match=r"history\.jsonl: cannot be read: Is a directory"):
        registry.history.changes()


@pytest.mark.parametrize("leftover", ['{"at": "2026-11-22T16', '{"at": "2026-11-22T16:00:00Z", "node": "caf\xc3'])
def test_a_line_that_a_crash_cut_short_does_not_swallow_the_next(registry: Registry, leftover: str) -> None:
    store(registry, entry("rtp1"))
    with registry.history.path.open("ab") as history:
        history.write(leftover.encode("latin-1"))
    store(registry, entry("rtp2"))
    assert [change.node for change in registry.history.changes()] == ["rtp1", "rtp2"]
