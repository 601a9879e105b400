"""The fixture `site`: kemi_rtp on the stub's Kamailio."""

from pathlib import Path

import pytest
from pytest_mock import MockerFixture

from KSR.testing import Ksr

from .site import FakeClient, Site, StubRpc, StubTime


@pytest.fixture
def site(ksr: Ksr, tmp_path: Path, mocker: MockerFixture) -> Site:
    site = Site(ksr, tmp_path)
    mocker.patch("kemi_rtp.timer.prober.Client", side_effect=lambda: FakeClient(site))
    mocker.patch("kemi_rtp.timer.deferred_deletes.ng.Client", side_effect=lambda: FakeClient(site))
    mocker.patch.object(StubRpc, "site", site, create=True)
    mocker.patch.object(StubRpc, "reachable", True)
    mocker.patch("kemi_rtp.timer.supervisor.LINGER", 0.0)
    mocker.patch("kemi_rtp.shm.places._is_alive", side_effect=site.is_alive)
    mocker.patch("kemi_rtp.shm.state.getpid", side_effect=site.getpid)
    mocker.patch("kemi_rtp.command.main.Rpc", StubRpc)
    mocker.patch("kemi_rtp.command.main.time", StubTime(site))
    mocker.patch("kemi_rtp.remote.rpc.time", StubTime(site))
    return site
