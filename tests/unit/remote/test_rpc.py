"""The socket to Kamailio."""

import pytest

from kemi_rtp.remote.rpc import Rpc
from kemi_rtp.remote.state import RemoteState
from kemi_rtp.shm import layout
from tests.unit.site import Site


def test_a_missing_socket_is_not_reachable(site: Site) -> None:
    from kemi_rtp.remote.rpc import NotReachable

    with Rpc(str(site.rpc_socket)) as rpc, pytest.raises(NotReachable, match="No such file"):
        RemoteState(rpc).get(layout.GENERATION)
