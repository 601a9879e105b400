"""Log lines of kemi_rtp."""

from __future__ import annotations

from collections.abc import Callable


def log(level: Callable[[str], object], text: str) -> None:
    """Write text through one of KSR.crit, KSR.err, KSR.warn, KSR.notice ..., each of its lines as one of the log's."""
    for line in text.splitlines():
        level(f"kemi_rtp: {line}\n")
