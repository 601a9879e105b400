"""`manage` in every route does what the module's rtpengine_manage does there: in a branch-failure route, nothing."""

from tests.lab.agents import Flow

from .steps import one_refuses

SCRIPT = "managed.py"


def test_the_refusal_of_one_branch_leaves_the_other(flow: Flow) -> None:
    one_refuses(flow)


def test_a_refused_call_leaves_nothing(flow: Flow) -> None:
    a, b = flow.agents("A", "B")
    a.invite(b)
    b.answer(b.receive("INVITE"), 486)
    a.receive(486)


def test_a_refused_re_invite_leaves_the_call(flow: Flow) -> None:
    a, b = flow.agents("A", "B")
    flow.established(a, b)
    a.reinvite()
    b.answer(b.receive("INVITE"), 488)
    a.receive(488)
    flow.talk(a, b)
    flow.hang_up(a, b)


def test_a_cancelled_re_invite_leaves_the_call(flow: Flow) -> None:
    a, b = flow.agents("A", "B")
    flow.established(a, b)
    sent = a.reinvite()
    again = b.receive("INVITE")
    b.answer(again, 180)
    a.receive(180)
    a.cancel(sent)
    a.receive(200)
    b.answer(b.receive("CANCEL"), 200)
    b.answer(again, 487)
    a.receive(487)
    flow.talk(a, b)
    flow.hang_up(a, b)
