"""Regular expressions as Kamailio's modules compile them (POSIX extended, by regcomp)."""

from __future__ import annotations

import re


def posix_regex(text: str) -> re.Pattern[str] | None:
    """Compile what regcomp(REG_EXTENDED|REG_ICASE|REG_NEWLINE) takes, as far as Python's syntax agrees with it."""
    try:
        return re.compile(text, re.IGNORECASE | re.MULTILINE)
    except re.error:
        return None
