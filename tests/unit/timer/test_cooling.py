"""Nodes that cool down: how long, and how often."""

from pytest_mock import MockerFixture

from kemi_rtp.model.nodes import Settings
from kemi_rtp.shm.state.timer import TimerState
from kemi_rtp.timer.cooling import Cooling
from tests.unit.calls import standing
from tests.unit.site import Site


def test_a_node_that_is_full_again_at_once_cools_down_as_long_once_more(site: Site, mocker: MockerFixture) -> None:
    worker = site.start()
    site.tick()
    state = TimerState()
    cooling = Cooling(state)
    now = mocker.patch("kemi_rtp.timer.cooling.time.monotonic", return_value=100.0)
    site.state(worker).cool_down(site.node("rtp1"), "full")
    cooling.end(Settings().cool_down)
    now.return_value += Settings().cool_down
    cooling.end(Settings().cool_down)
    assert standing(site, "rtp1")[0]
    site.state(worker).cool_down(site.node("rtp1"), "full")
    now.return_value += 0.1
    cooling.end(Settings().cool_down)
    assert state.cools_down(site.node("rtp1"))
    now.return_value += Settings().cool_down
    cooling.end(Settings().cool_down)
    assert standing(site, "rtp1")[0]
