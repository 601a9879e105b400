"""What the command prints, beside its result and in tables; how it ends."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import NoReturn

import click

DONE, FAILED, SAVED = 0, 1, 3
"""Exit codes: done and in force; failed, nothing changed; saved, but not in force in Kamailio. 2 is wrong usage."""


def warn(message: object, color: str | None = "yellow") -> None:
    """Tell people something beside the result."""
    click.secho(str(message), fg=color, err=True)


def fail(message: object) -> NoReturn:
    """Say why nothing was changed, and end."""
    warn(message, "red")
    raise SystemExit(FAILED)


def print_table(
    headings: Sequence[str], rows: Iterable[Sequence[str]], *, styles: Iterable[str] = (), wrapped: str = ""
) -> None:
    """Print a table; `styles` are those of the rows, `wrapped` the only column that takes more than one line."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading, no_wrap=wrapped not in ("", heading), overflow="fold")
    for row, style in zip_longest(rows, styles, fillvalue=""):
        table.add_row(*row, style=style)
    # Into a pipe or file a row stays one line, however long; on a terminal rich fits it to the window.
    width = None if sys.stdout.isatty() else 1000
    Console(width=width, highlight=False, markup=False, emoji=False).print(table)
