"""The rtpengine module's answer to its RPC rtpengine.show, in either dialect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ACTIVE, INACTIVE, DISABLED = "active", "inactive", "disabled"
"""What a row says of its node, in one word: it takes commands, it is taken for dead, it is disabled permanently."""

LOADED_ENABLED = 1
LOADED_DISABLED = 2
"""Weights in the module's table. One node in a set needs no weight, so it tells how the node's row was loaded."""


@dataclass(frozen=True, slots=True)
class Row:
    """One node as the module holds it: `permanent` disables do not end by themselves; `active` takes commands."""

    url: str
    set_id: int
    active: bool
    permanent: bool
    weight: int

    def __str__(self) -> str:
        return DISABLED if self.permanent else ACTIVE if self.active else INACTIVE


def parse_rows(result: Any) -> dict[str, Row]:
    """The rows by URL; one node's answer is a mapping, that of several a list of them."""
    items = result if isinstance(result, list) else [result]
    return {item["url"]: _row(item) for item in items}


def _row(item: Mapping[str, Any]) -> Row:
    # 5.x: disabled is 0, 1 or "1(permanent)". 6.x: disabled is the permanent mark alone, active the rest.
    disabled = item["disabled"]
    if "active" in item:
        return Row(item["url"], item["set"], bool(item["active"]) and not disabled, bool(disabled), item["weight"])
    return Row(item["url"], item["set"], disabled == 0, disabled == "1(permanent)", item["weight"])
