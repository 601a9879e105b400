"""Programs that a person watches: Ctrl-C and SIGTERM end them by way of their clean-up, which is not interrupted."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def foreground() -> Iterator[None]:
    """Turn SIGINT and SIGTERM into an orderly exit (130, 143) with one line instead of a traceback."""

    def leave(number: int, _frame: FrameType | None) -> None:
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, signal.SIG_IGN)  # a second Ctrl-C must not leave daemons behind
        print("stopping ...", file=sys.stderr)
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, leave) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
