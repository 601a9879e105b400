"""SIP user agents with RTP, told by a test what to send: for the flows that SIPp cannot play.

def test_a_plain_call(flow: Flow) -> None:
    a, b = flow.agents("A", "B")
    a.invite(b)
    b.answer(b.receive("INVITE"), 200, b.sdp())
    a.ack(a.receive(200))
    flow.talk(a, b)
    a.bye()
    b.answer(b.receive("BYE"), 200)
    a.receive(200)
"""

from .agent import Agent, Dialog
from .flow import Flow
from .forwarder import Forwarder
from .message import Body, Message
from .sdp import multipart, sdp

__all__ = ["Agent", "Body", "Dialog", "Flow", "Forwarder", "Message", "multipart", "sdp"]
