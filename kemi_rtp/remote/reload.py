"""Asks a running Kamailio to put an edited nodes.yaml and registry in force now."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from kemi_rtp.remote.rpc import NotReachable
from kemi_rtp.remote.state import RemoteState, wait_until
from kemi_rtp.shm import layout


def request_reload(state: RemoteState, timeout: float, progress: Callable[[str], None]) -> dict[str, Any]:
    """Ask the timer for a reload and wait for its answer: `text` says what it did, `error` why nothing was done.

    `progress` is told what is waited for. Raises NotReachable when no answer comes within `timeout` seconds.
    """
    request = layout.new_generation()
    state.put(layout.RELOAD_REQUEST, request)
    reply: dict[str, Any] = {}

    def is_answered() -> bool:
        value = state.get(layout.RELOAD_REPLY)
        found = json.loads(value) if isinstance(value, str) else {}
        if found.get("id") != request:
            return False
        reply.update(found)
        if not found["done"]:
            progress("waiting for the rtpengine module, which reads its table once in 10 s at most")
        return bool(found["done"])

    if not wait_until(is_answered, timeout):
        raise NotReachable(f"the timer of kemi_rtp has not answered within {timeout:g} s")
    return reply
