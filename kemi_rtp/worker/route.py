"""The opaque Record-Route parameter that names a call's node: in-dialog requests find it even after a restart."""

from __future__ import annotations

import KSR
from kemi_rtp.model.nodes import Node

PARAMETER = "kr"
"""Its value is the set id of the node in hexadecimal."""

_VALUE = f"$(route_uri{{uri.param,{PARAMETER}}})"


def name_node(node: Node) -> None:
    """Let the Record-Route of the request name its call's node."""
    KSR.rr.add_rr_param(f";{PARAMETER}={node.set_id:x}")


def named_set() -> int | None:
    """The set id in the topmost Route of an in-dialog request (RFC 3261, section 12.2); None when there is none."""
    if KSR.siputils.is_request() < 0 or KSR.siputils.has_totag() < 0:
        return None
    value = KSR.pv.get(_VALUE)
    try:
        return int(str(value), 16) if value else None
    except ValueError:
        return None
