"""KSR.sdpops: questions about the SDP of the message (sdpops/sdpops_mod.c)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from KSR.mock.engine.behaviour import kemi

if TYPE_CHECKING:
    from KSR.mock.engine.process import Process


def _matches(process: Process, regex: str) -> int:
    message = process.message
    return 1 if message.has_sdp and re.search(regex, message.body, re.MULTILINE) else -1


@kemi("sdpops.sdp_content", "sdpops.sdp_content_flags")
def sdp_content(process: Process, flags: int = 0) -> int:
    return 1 if process.message.has_sdp else -1


@kemi("sdpops.sdp_with_media")
def sdp_with_media(process: Process, media: str) -> int:
    """Return 1, 0 for an SDP without this media, -1 without SDP."""
    return max(_matches(process, rf"^m={re.escape(media)} "), 0) if process.message.has_sdp else -1


@kemi("sdpops.sdp_with_active_media")
def sdp_with_active_media(process: Process, media: str) -> int:
    return max(_matches(process, rf"^m={re.escape(media)} [1-9]"), 0) if process.message.has_sdp else -1


@kemi("sdpops.sdp_with_transport")
def sdp_with_transport(process: Process, transport: str) -> int:
    return _matches(process, rf"^m=\w+ \d+ {re.escape(transport)} ")


@kemi("sdpops.sdp_with_transport_like")
def sdp_with_transport_like(process: Process, transport: str) -> int:
    return _matches(process, rf"^m=\w+ \d+ \S*{re.escape(transport)}")


@kemi("sdpops.sdp_with_ice")
def sdp_with_ice(process: Process) -> int:
    return _matches(process, r"^a=candidate:")
