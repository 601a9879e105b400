"""SIP user agents with RTP, told by a test what to send: for the flows that SIPp cannot play.

def test_a_plain_call(flow: Flow) -> None:
    a, b = flow.agents("A", "B")
    a.invite(b)
    accept(a, b, b.receive("INVITE"))
    flow.talk(a, b)
    flow.hang_up(a, b)
"""

from .agent import Agent, Dialog
from .flow import Flow, accept
from .forwarder import Forwarder
from .message import Body, Message
from .sdp import multipart, sdp

__all__ = ["Agent", "Body", "Dialog", "Flow", "Forwarder", "Message", "accept", "multipart", "sdp"]
