"""The table of what stock Kamailio does and what kemi_rtp does, on each line, built from what tests have seen."""

from collections.abc import Sequence
from typing import NamedTuple

from . import situations

SIDES = ("stock", "kemi_rtp")


class Observation(NamedTuple):
    """What a test saw: in which situation, on which version, of `stock` or `kemi_rtp`, in words (none: only begun)."""

    situation: str
    version: str
    side: str
    words: str


def rows(observations: Sequence[Observation]) -> list[tuple[str, ...]]:
    """One row for each situation, one cell for each version and side; what several tests saw alike is said once."""
    cells: dict[tuple[str, str, str], dict[str, None]] = {}
    for one in observations:
        cells.setdefault((one.situation, one.version, one.side), {}).update({one.words: None} if one.words else {})
    versions = sorted({version for _, version, _ in cells})
    columns = [(version, side) for version in versions for side in SIDES]
    seen = {situation for situation, _, _ in cells}
    return [
        ("what happens", *(f"{version} {side}" for version, side in columns)),
        *(
            (situation, *("; ".join(cells.get((situation, *column), ())) or "-" for column in columns))
            for situation in situations.ORDER
            if situation in seen
        ),
    ]


def render(observations: Sequence[Observation]) -> str:
    """The table as Markdown, which the README takes as it is."""
    headings, *table = rows(observations)
    widths = [max(map(len, column)) for column in zip(headings, *table, strict=True)]

    def line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))} |"

    return "\n".join([line(headings), line(["-" * width for width in widths]), *map(line, table)])
