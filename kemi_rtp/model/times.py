"""Durations and UTC timestamps as people write them: ``250ms``, ``2h``, ``1h30m``, ``2026-11-22T16:00:00Z``."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")

DURATION_FORM = "a duration such as 250ms, 30s, 45m, 2h, 1h30m or 3d"
TIMESTAMP_FORM = "a time such as 2026-11-22T18:30:00Z, 2026-11-22T18:30:00+01:00 or 18:30 (local time, no zone)"


def parse_duration(text: str) -> float:
    """Seconds meant by `text`; a bare number is seconds. Raises ValueError when it is not a duration."""
    text = text.strip().lower()
    if _NUMBER.fullmatch(text):
        return float(text)
    seconds, end = 0.0, 0
    for part in _PART.finditer(text):
        if text[end : part.start()].strip():
            break
        seconds += float(part[1]) * _UNITS[part[2]]
        end = part.end()
    if end == 0 or text[end:].strip():
        raise ValueError(f"{text!r} is not {DURATION_FORM}")
    return seconds


def parse_timestamp(text: str, now: datetime) -> datetime:
    """The moment meant by `text`, in UTC, to the second.

    Without a zone it is local time; without a date it is the next such time of day after `now`.
    Raises ValueError when it is not a time.
    """
    text = text.strip()
    try:
        if re.fullmatch(r"\d{1,2}:\d{2}(:\d{2})?", text):
            clock = datetime.strptime(text, "%H:%M:%S" if text.count(":") == 2 else "%H:%M").time()
            # Without a zone until the end: over a change of the clocks the same wall clock is another offset.
            today = now.astimezone().replace(tzinfo=None)
            moment = datetime.combine(today, clock).astimezone()
            if moment <= now:
                moment = datetime.combine(today + timedelta(days=1), clock).astimezone()
        else:
            moment = datetime.fromisoformat(text).astimezone()
        return moment.astimezone(UTC).replace(microsecond=0)
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is not {TIMESTAMP_FORM}") from None


def format_timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC, to the second: ``2026-11-22T16:00:00Z``."""
    return moment.astimezone(UTC).replace(tzinfo=None, microsecond=0).isoformat() + "Z"


def utc_now() -> datetime:
    """The present moment in UTC, to the second."""
    return datetime.now(UTC).replace(microsecond=0)
