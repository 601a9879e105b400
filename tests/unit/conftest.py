"""The fixture `site`: kemi_rtp on the stub's Kamailio."""

from pathlib import Path

import pytest
from pytest_mock import MockerFixture

from KSR.testing import Ksr

from .site import FakeClient, Site, StubRpc, StubTime


@pytest.fixture
def site(ksr: Ksr, tmp_path: Path, mocker: MockerFixture) -> Site:
    site = Site(ksr, tmp_path)
    mocker.patch("kemi_rtp.prober.Client", side_effect=lambda: FakeClient(site))
    mocker.patch("kemi_rtp.deletes.ng.Client", side_effect=lambda: FakeClient(site))
    mocker.patch.object(StubRpc, "site", site, create=True)
    mocker.patch.object(StubRpc, "reachable", True)
    mocker.patch("kemi_rtp.supervisor.LINGER", 0.0)
    mocker.patch("kemi_rtp.memory._is_alive", side_effect=site.is_alive)
    mocker.patch("kemi_rtp.state.getpid", side_effect=site.getpid)
    mocker.patch("kemi_rtp.cli.Rpc", StubRpc)
    mocker.patch("kemi_rtp.cli.time", StubTime(site))
    mocker.patch("kemi_rtp.rpc.time", StubTime(site))
    return site
