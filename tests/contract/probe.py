"""The script that both sides run: it evaluates the calls of the current scenario and tells what it saw.

Real Kamailio loads it with app_python3, the stub with `ksr.start(probe)`. A scenario is found by the Call-ID of the
message: FOLDER/<Call-ID>.json holds the calls by route, and the results are appended to FOLDER/<Call-ID>.results.
"""

import builtins
import json
import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import KSR

FOLDER = Path(os.environ.get("CONTRACT_FOLDER", "."))
RELOAD_DELAY = 10.2
reloaded = time.time()
DATABASE = os.environ.get("CONTRACT_DATABASE", "")


def rpc(method: str, *params: object) -> object:
    """Execute an RPC and return its result, or its error."""
    KSR.jsonrpcs.exec(json.dumps({"jsonrpc": "2.0", "method": method, "params": params, "id": 1}))
    answer = json.loads(str(KSR.jsonrpcs.response()))
    return answer.get("result", answer.get("error"))


def until_reload() -> None:
    """Let the time pass within which the module refuses another reload, counted from the start or the last call."""
    global reloaded
    sleep(max(0.0, reloaded + RELOAD_DELAY - time.time()))
    reloaded = time.time()


def table(*rows: tuple[int, str, int, int]) -> int:
    """Write the rtpengine table: set, URL, weight, disabled; other tables if the version is to be wrong."""
    with closing(sqlite3.connect(DATABASE)) as database:
        database.executescript(
            "DROP TABLE IF EXISTS version; DROP TABLE IF EXISTS rtpengine;"
            "CREATE TABLE version (table_name VARCHAR(32) NOT NULL, table_version INTEGER DEFAULT 0 NOT NULL);"
            "CREATE TABLE rtpengine (id INTEGER PRIMARY KEY NOT NULL, setid INTEGER DEFAULT 0 NOT NULL,"
            " url VARCHAR(64) NOT NULL, weight INTEGER DEFAULT 1 NOT NULL, disabled INTEGER DEFAULT 0 NOT NULL,"
            " stamp DATETIME DEFAULT '1900-01-01 00:00:01' NOT NULL);"
        )
        database.execute("INSERT INTO version VALUES ('rtpengine', ?)", [1 if rows else 99])
        database.executemany("INSERT INTO rtpengine (setid, url, weight, disabled) VALUES (?, ?, ?, ?)", rows)
        database.commit()
    return len(rows)


class Names(dict[str, object]):
    """The names that a call begins with: KSR modules, functions of the core, and the two helpers."""

    def __missing__(self, name: str) -> object:
        if name in ("rpc", "sleep", "table", "until_reload"):
            return globals()[name]
        if hasattr(builtins, name):
            raise KeyError(name)
        return getattr(KSR, name)


def sleep(seconds: float) -> None:
    """Let time pass; the stub's runner puts its clock here."""
    time.sleep(seconds)


def evaluate(line: str) -> object:
    """Evaluate one call and return its value, or what it raised, in a form that JSON keeps."""
    try:
        value: object = eval(line, Names())
    except Exception as error:
        return describe(error)
    return value


def describe(error: BaseException) -> dict[str, Any]:
    """An exception with the one that caused it."""
    cause = error.__cause__
    return {
        "raises": type(error).__name__,
        "text": str(error),
        "cause": None if cause is None else f"{type(cause).__name__}: {cause}",
    }


class Probe:
    """Every route evaluates its calls."""

    def child_init(self, rank: int) -> int:
        return 0

    def run(self, route: str) -> int:
        call_id = str(KSR.hdr.get("X-Call") or KSR.pv.get("$ci"))
        path = FOLDER / f"{call_id}.json"
        if not path.exists():
            return 1
        routes: dict[str, list[str]] = json.loads(path.read_text())
        special = f"{route}:{KSR.pv.get('$rm')}"
        route = special if special in routes else route
        lines = routes.get(route, [])
        results = [evaluate(line) for line in lines]
        with (FOLDER / f"{call_id}.results").open("a") as out:
            out.write(json.dumps({"route": route, "results": results}) + "\n")
        return 1

    def ksr_request_route(self, msg: object) -> int:
        return self.run("ksr_request_route")

    def ksr_reply_route(self, msg: object) -> int:
        return self.run("ksr_reply_route")

    def ksr_onsend_route(self, msg: object) -> int:
        return 1

    def on_reply(self, msg: object) -> int:
        return self.run("on_reply")

    def on_failure(self, msg: object) -> int:
        return self.run("on_failure")

    def on_branch(self, msg: object) -> int:
        return self.run("on_branch")

    def on_table_event(self, msg: object, event: str) -> int:
        return 1

    def on_http(self, msg: object, event: str) -> int:
        return self.run("on_http")


def mod_init() -> Probe:
    return Probe()
