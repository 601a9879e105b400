"""The fixture `site`: kemi_rtp on the stub's Kamailio."""

from pathlib import Path

import pytest
from pytest_mock import MockerFixture

from KSR.testing import Ksr
from tests.unit.site import Site, StubRpc, StubTime


@pytest.fixture
def site(ksr: Ksr, tmp_path: Path, mocker: MockerFixture) -> Site:
    site = Site(ksr, tmp_path)
    for room in ("prober", "counts"):
        mocker.patch(f"kemi_rtp.timer.{room}.Client", side_effect=site.client)
    mocker.patch("kemi_rtp.timer.deferred_deletes.ng.Client", side_effect=site.client)
    mocker.patch.object(StubRpc, "site", site, create=True)
    mocker.patch.object(StubRpc, "reachable", True)
    mocker.patch("kemi_rtp.timer.nodes_file.LINGER", 0.0)
    mocker.patch("kemi_rtp.shm.places._is_alive", side_effect=site.is_alive)
    for room in ("process", "worker"):
        mocker.patch(f"kemi_rtp.shm.state.{room}.getpid", side_effect=site.getpid)
    mocker.patch("kemi_rtp.remote.instance.Rpc", StubRpc)
    for room in ("command.verify", "remote.state"):
        mocker.patch(f"kemi_rtp.{room}.time", StubTime(site))
    return site
