"""The laboratory without kemi_rtp: Kamailio's native routes, the rtpengine module alone, its nodes in a database.

What Kamailio does there is what kemi_rtp exists for.
"""

import contextlib
import sqlite3
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from .kamailio import Kamailio, Line
from .laboratory import Laboratory
from .process import wait_until

CONFIG = Path(__file__).with_name("stock.cfg")


def write_stock_table(path: Path, rows: Iterable[tuple[str, int, int]]) -> None:
    """Write the rtpengine module's table as a site without kemi_rtp has it: URL, weight, disabled; all in set 0."""
    with contextlib.closing(sqlite3.connect(path)) as tables:
        tables.executescript(
            "CREATE TABLE version (table_name VARCHAR(32), table_version INTEGER);"
            "INSERT INTO version VALUES ('rtpengine', 1);"
            "CREATE TABLE rtpengine (id INTEGER PRIMARY KEY, setid INTEGER, url VARCHAR(64), weight INTEGER,"
            " disabled INTEGER, stamp DATETIME DEFAULT '1900-01-01 00:00:01');"
        )
        tables.executemany("INSERT INTO rtpengine (setid, url, weight, disabled) VALUES (0, ?, ?, ?)", rows)
        tables.commit()


class Stock(Laboratory):
    """`nodes` rtpengine daemons in set 0 of the database, all enabled there, and one Kamailio of `line`."""

    def __init__(self, line: Line, nodes: int = 3) -> None:
        super().__init__(nodes, "127.0.0.1")
        database = self.folder / "stock.sqlite"
        self.kamailio = Kamailio(
            self.folder,
            CONFIG,
            [self.proxy],
            self.rpc_socket,
            {
                "STOCK_LISTEN": f"udp:{self.proxy}",
                "STOCK_RPC_SOCKET": str(self.rpc_socket),
                "STOCK_DB_URL": f"sqlite:///{database}",
            },
            line,
        )
        write_stock_table(database, [(node.url, 1, 0) for node in self.nodes.values()])

    @property
    def has_ping_timer(self) -> bool:
        """Whether this Kamailio's module pings its nodes from a timer."""
        return not self.kamailio.line.version().startswith("5.")

    def put_in_order(self) -> None:
        """All nodes up, and enabled in the module."""
        self.stop_calls()
        for name, node in self.nodes.items():
            if not node.process.is_running:
                node.start()
            self.native("enable", node.url, 1)
            wait_until(partial(self.is_active, name), f"{name} is active")
