"""The table that the rtpengine module reads at its start and at each reload: SQLite, in the state directory."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterable
from pathlib import Path

from kemi_rtp.files.replacement import give_to_owner
from kemi_rtp.model.nodes import Node
from kemi_rtp.model.standing import Standing
from kemi_rtp.module.rows import LOADED_DISABLED, LOADED_ENABLED

Table = list[tuple[int, str, int, int]]
"""Set id, URL, weight and `disabled` of each node, sorted."""


def table_path(state_dir: Path) -> Path:
    """Where the table is; `db_url` in kamailio.cfg.d/rtpengine.cfg names the same file."""
    return state_dir / "rtpengine.sqlite"


def table(standings: Iterable[tuple[Node, Standing]]) -> Table:
    """The table that these nodes should have: one that serves no calls now is disabled there."""
    return sorted(
        (node.set_id, node.url, LOADED_ENABLED, 0) if standing.serves else (node.set_id, node.url, LOADED_DISABLED, 1)
        for node, standing in standings
    )


def write_table(state_dir: Path, standings: Iterable[tuple[Node, Standing]]) -> None:
    """Write the table that the module reads at its start and reload.

    The module never pings a node that is disabled there. Raises OSError or sqlite3.Error.
    """
    path = table_path(state_dir)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    with contextlib.closing(sqlite3.connect(draft)) as database:
        database.executescript(
            "PRAGMA synchronous=OFF; PRAGMA journal_mode=MEMORY;"
            "CREATE TABLE version (table_name VARCHAR(32) NOT NULL, table_version INTEGER DEFAULT 0 NOT NULL);"
            "INSERT INTO version VALUES ('rtpengine', 1);"
            "CREATE TABLE rtpengine (id INTEGER PRIMARY KEY NOT NULL, setid INTEGER DEFAULT 0 NOT NULL,"
            " url VARCHAR(64) NOT NULL, weight INTEGER DEFAULT 1 NOT NULL, disabled INTEGER DEFAULT 0 NOT NULL,"
            " stamp DATETIME DEFAULT '1900-01-01 00:00:01' NOT NULL);"
        )
        database.executemany(
            "INSERT INTO rtpengine (setid, url, weight, disabled) VALUES (?, ?, ?, ?)", table(standings)
        )
        database.commit()
    give_to_owner(draft)
    os.replace(draft, path)


def read_table(state_dir: Path) -> Table:
    """What the table on disk holds, as `table` returns it. Raises sqlite3.Error."""
    with contextlib.closing(sqlite3.connect(f"file:{table_path(state_dir)}?mode=ro", uri=True)) as database:
        return sorted(database.execute("SELECT setid, url, weight, disabled FROM rtpengine"))
