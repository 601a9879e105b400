"""The opaque Record-Route parameter that names a call's node: in-dialog requests find it even after a restart.

Its value is the set id of the node in hexadecimal, and the number of the session where it has one.
"""

from __future__ import annotations

from typing import NamedTuple

import KSR
from kemi_rtp.model.nodes import Node

PARAMETER = "kr"
_ELSEWHERE = "-"

_VALUE = f"$(route_uri{{uri.param,{PARAMETER}}})"
_RECORDED = "$(hdr(Record-Route)[*])"


class Named(NamedTuple):
    """What a Route names."""

    set_id: int
    number: str


def name_node(node: Node, number: str = "") -> None:
    """Let the Record-Route of the request name its call's node."""
    KSR.rr.add_rr_param(f";{PARAMETER}={node.set_id:x}{'.' + number if number else ''}")


def name_none() -> None:
    """Let the Record-Route say that the media of the dialog is relayed where its requests pass this proxy besides."""
    KSR.rr.add_rr_param(f";{PARAMETER}={_ELSEWHERE}")


def is_elsewhere() -> bool:
    """Whether the topmost Route of the current in-dialog request says so."""
    return bool(KSR.pv.get(_VALUE) == _ELSEWHERE)


def named() -> Named | None:
    """What the topmost Route of an in-dialog request names (RFC 3261, section 12.2); None when it names nothing."""
    if KSR.siputils.is_request() < 0 or KSR.siputils.has_totag() < 0:
        return None
    value = KSR.pv.get(_VALUE)
    if not value:
        return None
    set_id, _, number = str(value).partition(".")
    try:
        return Named(int(set_id, 16), number)
    except ValueError:
        return None


def passed_here() -> bool:
    """Whether the request has passed this proxy already, which has a node for its media then.

    So it is with an application server that sends a call back: caller, proxy, server, proxy, callee.
    """
    if KSR.hdr.is_present("Record-Route") < 0:
        return False
    recorded = str(KSR.pv.get(_RECORDED) or "")
    return any(f";{PARAMETER}=" in each and KSR.is_myself(_uri(each)) for each in recorded.split(","))


def _uri(recorded: str) -> str:
    """The URI of one entry of a Record-Route header, without its parameters."""
    return recorded.partition("<")[2].partition(">")[0].partition(";")[0]
