"""How a media command went, as the routes learn it."""

from __future__ import annotations

from typing import NamedTuple

from kemi_rtp.model.nodes import Node


class Outcome(NamedTuple):
    """How a media command went; true when it went well or nothing was due.

    `code` and `reason` are the SIP answer to give otherwise; `node` is the node that served.
    """

    code: int = 200
    reason: str = ""
    node: Node | None = None

    def __bool__(self) -> bool:
        return self.code < 300


NOTHING_DUE = Outcome()
NO_IDENTITY = Outcome(400, "Bad Request: a Call-ID or tag that is none")
