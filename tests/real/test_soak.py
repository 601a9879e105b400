"""A minute of the long random walk that `make soak` takes for longer, on real Kamailio."""

import os

import pytest

from tests.lab import lines
from tests.lab.soak import walk

LINE = "6.0"
SECONDS = 60


@pytest.mark.xdist_group(f"kamailio-{LINE}")
def test_the_invariants_hold_for_a_minute(request: pytest.FixtureRequest) -> None:
    """KEMI_RTP_SOAK_SEED=N in the environment repeats the walk whose output says `seed N`."""
    if LINE not in (request.config.getoption("--line", default=None) or [LINE]):
        pytest.skip("another line was asked for")
    seed = int(os.environ.get("KEMI_RTP_SOAK_SEED") or 1)
    print(f"seed {seed}")
    print(walk(lines.get(LINE), seed, SECONDS))
