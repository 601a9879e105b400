"""The rtpengine C module: its table, its commands for one node, its view of the nodes in either dialect."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Callable, Iterable
from enum import Enum
from pathlib import Path
from typing import Any

import KSR
from kemi_rtp.nodes import Node
from kemi_rtp.registry import give_to_owner
from kemi_rtp.rows import LOADED_DISABLED, LOADED_ENABLED, Row, parse_rows
from kemi_rtp.view import Standing

SERVED_BY = "$avp(kemi_rtp_node)"
"""The module's `rtp_inst_pvar`: the URL of the node that answered the last command."""

TABLE_FILE = "rtpengine.sqlite"


class Reply(Enum):
    """What became of a command."""

    DONE = "done"
    REFUSED = "refused"  # the node answered, with an error
    SILENT = "silent"  # the node did not answer, or the module takes it for dead and did not ask it
    LOST = "lost"  # not sent: the module was reloading its table, or does not have the node


class ModuleError(Exception):
    """The module's RPC answered with an error."""


def offer(node: Node, flags: str) -> Reply:
    """Send an offer for the current message to exactly this node."""
    return _command(KSR.rtpengine.rtpengine_offer, node, flags)


def answer(node: Node, flags: str) -> Reply:
    """Send an answer for the current message to exactly this node."""
    return _command(KSR.rtpengine.rtpengine_answer, node, flags)


def delete(node: Node, flags: str) -> Reply:
    """Send a delete for the current message to exactly this node."""
    return _command(KSR.rtpengine.rtpengine_delete, node, flags)


def refresh(node: Node) -> None:
    """Make this process's list of the module's nodes anew, by a delete for a call that does not exist.

    The module's RPCs would do it by pinging every node first.
    """
    KSR.rtpengine.set_rtpengine_set(node.set_id)
    KSR.rtpengine.rtpengine_delete("call-id=kemi_rtp-no-call")


def _command(function: Callable[[str], int], node: Node, flags: str) -> Reply:
    # A set that the module does not have leaves an earlier selection in force: then nothing may be sent.
    if KSR.rtpengine.set_rtpengine_set(node.set_id) < 0:
        return Reply.LOST
    KSR.pv.unset(SERVED_BY)
    done = function(flags) > 0
    served_by = KSR.pv.get(SERVED_BY)
    if served_by is not None and served_by != node.url:
        KSR.err(f"kemi_rtp: set {node.set_id} was served by {served_by} instead of {node.name} ({node.url})\n")
    if done:
        return Reply.DONE
    if served_by is not None:
        return Reply.REFUSED
    # Nobody answered. The module marks a node that it waited for in vain; one that it still takes for active was
    # hidden by a reload of the table for a moment.
    try:
        return Reply.LOST if rows(node.url)[node.url].active else Reply.SILENT
    except ModuleError:
        return Reply.LOST


def rows(url: str = "all") -> dict[str, Row]:
    """The module's nodes, or one of them, by URL. Raises ModuleError, also for a URL that it does not have."""
    return parse_rows(rpc("rtpengine.show", url))


def disable(url: str) -> None:
    """Mark a node permanently disabled in the module; sends nothing. Raises ModuleError."""
    rpc("rtpengine.enable", url, 0)


def enable(url: str) -> None:
    """Make a node active in the module, which pings it while it holds its locks: only for a node that just answered.

    Raises ModuleError.
    """
    rpc("rtpengine.enable", url, 1)


def reload() -> None:
    """Make the module read its table again. Raises ModuleError, as for the second time within 10 s."""
    rpc("rtpengine.reload")


def rpc(method: str, *parameters: str | int) -> Any:
    """Call an RPC of this Kamailio from within. Raises ModuleError with what it answered."""
    KSR.jsonrpcs.exec(json.dumps({"jsonrpc": "2.0", "method": method, "params": parameters, "id": 1}))
    body = KSR.pv.get("$jsonrpl(body)")
    try:
        reply = json.loads(str(body))
    except ValueError:
        raise ModuleError(f"{method}: no answer") from None
    if "error" in reply:
        raise ModuleError(f"{method}: {reply['error'].get('message', reply['error'])}")
    return reply.get("result")


def table(standings: Iterable[tuple[Node, Standing]]) -> list[tuple[int, str, int, int]]:
    """Set id, URL, weight and `disabled` of each node: one that serves no calls now is disabled."""
    return sorted(
        (node.set_id, node.url, LOADED_ENABLED, 0) if standing.serves else (node.set_id, node.url, LOADED_DISABLED, 1)
        for node, standing in standings
    )


def write_table(state_dir: Path, standings: Iterable[tuple[Node, Standing]]) -> None:
    """Write the table that the module reads at its start and reload.

    The module never pings a node that is disabled there. Raises OSError or sqlite3.Error.
    """
    path = state_dir / TABLE_FILE
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


def read_table(state_dir: Path) -> list[tuple[int, str, int, int]]:
    """What the table on disk holds, as `table` returns it. Raises sqlite3.Error."""
    with contextlib.closing(sqlite3.connect(f"file:{state_dir / TABLE_FILE}?mode=ro", uri=True)) as database:
        return sorted(database.execute("SELECT setid, url, weight, disabled FROM rtpengine"))
