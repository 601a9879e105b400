"""What a contract test is written in: KEMI calls as text, the message they see, and what the far end replies."""

import ast
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import pytest

REQUEST, HTTP = "ksr_request_route", "on_http"
# The SDP of the messages; another body in a scenario stands for itself.
SDP = (
    "v=0\r\no=- 1 1 IN IP4 192.168.7.7\r\ns=-\r\nc=IN IP4 192.168.7.7\r\nt=0 0\r\n"
    "m=audio 4000 RTP/AVP 0 8\r\na=rtpmap:0 PCMU/8000\r\n"
)
INVITE = """\
INVITE sip:bob@{uas};transport=udp SIP/2.0
Via: SIP/2.0/UDP {uac};branch=z9hG4bK{number};rport
From: "Alice A." <sip:alice@atlanta.example>;tag=from-tag
To: <sip:bob@biloxi.example>
Call-ID: {call_id}
CSeq: 7 INVITE
Contact: <sip:alice@{uac}>
Max-Forwards: 70
User-Agent: contract
X-Two: one
X-Two: two
x-case: Mixed
Subject: hello
Content-Type: application/sdp
"""


@dataclass(frozen=True, eq=False)
class Scenario:
    """One run of calls on one message.

    `calls` are expressions, one a line, that both sides evaluate with `KSR.` before them; `rpc(method, *params)` gives
    the decoded answer of an RPC and `sleep(seconds)` lets time pass. `routes` are the calls of other routes, by the
    name the script arms them with; "ksr_request_route:ACK" are those of a later ACK. `then` is what happens next, in
    order: a number is the status code that the far end answers the last relayed request with, a text is one more
    request of the caller.
    `sent` makes what Kamailio sends one more check. `with_table` runs it where the nodes come from a database; the
    calls must leave that as it was.
    """

    name: str
    calls: str
    message: str = INVITE
    body: str = SDP
    routes: dict[str, str] = field(default_factory=dict)
    then: Sequence[int | str] = ()
    sent: bool = False
    with_table: bool = False

    @property
    def is_http(self) -> bool:
        """Whether the message is an HTTP request."""
        return " HTTP/1.1" in self.message

    @property
    def lines(self) -> dict[str, list[str]]:
        """The calls by route."""
        texts = {HTTP if self.is_http else REQUEST: self.calls, **self.routes}
        return {route: [line.strip() for line in text.splitlines() if line.strip()] for route, text in texts.items()}


@dataclass(frozen=True)
class Check:
    """One comparison: a call of a scenario, or (`number` None) all that was sent."""

    scenario: Scenario
    route: str = ""
    number: int | None = None

    def __str__(self) -> str:
        if self.number is None:
            return f"{self.scenario.name}: what was sent"
        line = self.scenario.lines[self.route][self.number]
        where = "" if self.route in (REQUEST, HTTP) else f"{self.route} "
        return f"{self.scenario.name}: {where}{self.number + 1} {line}"


def checks(scenarios: Iterable[Scenario]) -> pytest.MarkDecorator:
    """Return the mark that runs a test once for every check of these scenarios."""
    found: list[Check] = []
    for scenario in scenarios:
        for route, lines in scenario.lines.items():
            for line in lines:
                ast.parse(line, mode="eval")
            found += [Check(scenario, route, number) for number in range(len(lines))]
        if scenario.sent:
            found.append(Check(scenario))
    return pytest.mark.parametrize("check", found, ids=str)
