"""The table of what stock Kamailio does and what kemi_rtp does, line by line, built from what tests have seen."""

from collections.abc import Sequence
from typing import NamedTuple

from . import situations

HEADINGS = ("situation", "Kamailio", "stock", "with kemi_rtp")
SIDES = ("stock", "kemi_rtp")


class Observation(NamedTuple):
    """What a test saw: in which situation, on which version, of `stock` or `kemi_rtp`, in words (none: only begun)."""

    situation: str
    version: str
    side: str
    words: str


def rows(observations: Sequence[Observation]) -> list[tuple[str, ...]]:
    """One row for each situation and version; what several tests saw alike is said once."""
    cells: dict[tuple[str, str], dict[str, dict[str, None]]] = {}
    for one in observations:
        cell = cells.setdefault((one.situation, one.version), {side: {} for side in SIDES})
        if one.words:
            cell[one.side][one.words] = None
    return [
        (*key, *("; ".join(cells[key][side]) or "-" for side in SIDES))
        for key in sorted(cells, key=lambda key: (situations.ORDER.index(key[0]), key[1]))
    ]


def render(observations: Sequence[Observation]) -> str:
    """The table as Markdown, which the README takes as it is."""
    table = [HEADINGS, *rows(observations)]
    widths = [max(len(row[column]) for row in table) for column in range(len(HEADINGS))]

    def line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))} |"

    return "\n".join([line(HEADINGS), line(["-" * width for width in widths]), *map(line, table[1:])])
