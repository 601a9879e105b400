"""`keeps_lost_calls` says no: a call that has lost its node ends with its next offer, wherever that offer is."""

import pytest

from tests.lab.agents import Flow

SCRIPT = "ending.py"
pytestmark = pytest.mark.faults(r"\brtpengine \[rtpengine")


@pytest.mark.parametrize("delayed", [False, True], ids=["offer", "delayed offer"])
def test_a_re_invite_of_a_lost_call_is_answered_with_481(flow: Flow, delayed: bool) -> None:
    a, b = flow.agents("A", "B")
    flow.established(a, b)
    node = flow.node_of(a.dialog.call_id)
    flow.disable(node)
    a.reinvite(None if delayed else a.sdp())
    a.receive(481)
    assert not b.has_received("INVITE")
    flow.enable(node)
