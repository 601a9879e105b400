"""A minute of the long walk: `make soak LINE=6.0 SEED=110 SECONDS=60` takes the same steps again."""

import pytest

from tests.lab.kamailio import Line
from tests.lab.soak import walk

SEED = 110  # of many: it makes calls, re-INVITEs, reloads, commands, restarts and crashes within a minute
SECONDS = 60.0


@pytest.mark.long
@pytest.mark.xdist_group("soak")
@pytest.mark.only_on("6.0")
def test_a_walk_finds_no_violation(kamailio_line: Line) -> None:
    """On the line whose module forgets most. The steps are printed, and shown when an invariant is hurt."""
    print(f"soak on Kamailio {kamailio_line.version()}, seed {SEED}")
    walk(kamailio_line, SEED, SECONDS)
