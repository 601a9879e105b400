"""Log lines of kemi_rtp."""

from __future__ import annotations

from collections.abc import Callable


def log(level: Callable[[str], object], text: str) -> None:
    """Write text through one of KSR.crit, KSR.err, KSR.warn, KSR.notice ..., each of its lines as one of the log's."""
    for line in text.splitlines():
        level(f"kemi_rtp: {line}\n")


def inert(text: object) -> str:
    """What a SIP message brought, for a log line: printable ASCII, all else as an escape, and of bounded length."""
    shown = ascii(str(text))[1:-1]
    return shown if len(shown) <= _MAX_SHOWN else f"{shown[:_MAX_SHOWN]}..."


_MAX_SHOWN = 200
