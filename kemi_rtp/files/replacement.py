"""Files of the state directory, written through to the disk and put in place together."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


class Replacement:
    """Files of one directory that change together: either all of it is on disk, or nothing was done.

    Leaving the `with` block by an exception takes back what was done. A crash leaves drafts; the next one removes them.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._drafts: dict[Path, Path] = {}
        self._undo = contextlib.ExitStack()

    def __enter__(self) -> Replacement:
        for left_over in self._directory.glob(".*.draft"):
            left_over.unlink()
        self._descriptor = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is None or not issubclass(kind, Exception):  # not for what stands for a crash, nor when all is well
            self._undo.pop_all()
        else:
            self._undo.close()
        for name in ("draft", "before"):
            for path in self._drafts:
                with contextlib.suppress(OSError):
                    _beside(path, name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            os.close(self._descriptor)

    def draft(self, path: Path, content: bytes) -> None:
        """Write the new content of a file beside it, through to the disk."""
        self._drafts[path] = _beside(path, "draft")
        write_through(self._drafts[path], content, os.O_CREAT | os.O_TRUNC)

    def append(self, path: Path, content: bytes) -> None:
        """Append to a file, through to the disk."""
        size = path.stat().st_size if path.exists() else None
        self._undo.callback(_shorten, path, size)
        write_through(path, content, os.O_CREAT | os.O_APPEND)

    def keep(self, path: Path, name: Path) -> None:
        """Keep what a file holds now under another name."""
        name.unlink(missing_ok=True)
        os.link(path, name)

    def put_in_place(self) -> None:
        """Rename the drafts into place, through to the disk."""
        for path, draft in self._drafts.items():
            before = _beside(path, "before")
            if path.exists():
                before.unlink(missing_ok=True)
                os.link(path, before)
                self._undo.callback(os.replace, before, path)
            else:
                self._undo.callback(path.unlink, missing_ok=True)
            os.replace(draft, path)
        os.fsync(self._descriptor)


def _beside(path: Path, name: str) -> Path:
    return path.with_name(f".{path.name}.{name}")


def _shorten(path: Path, size: int | None) -> None:
    if size is None:
        path.unlink(missing_ok=True)
    else:
        os.truncate(path, size)


def give_to_owner(path: Path) -> None:
    """When root writes into a state directory that Kamailio's user owns, the file must stay Kamailio's to change."""
    if os.geteuid() == 0:
        directory = path.parent.stat()
        os.chown(path, directory.st_uid, directory.st_gid)


def write_through(path: Path, content: bytes, flags: int) -> None:
    """Write to a file of the state directory, opened with these `flags` too, through to the disk. Raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC | flags, 0o644)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    give_to_owner(path)
