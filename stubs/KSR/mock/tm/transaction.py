"""A transaction: the request, its branches, what was armed for it, the replies that Kamailio makes for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from KSR.mock.engine.behaviour import Result
from KSR.mock.sip.message import Address, SipMessage
from KSR.mock.sip.reply import build_reply
from KSR.mock.sip.sent import SentMessage
from KSR.mock.tm.match import request_key

if TYPE_CHECKING:
    from KSR.mock.engine.process import Process
    from KSR.mock.pv.xavp import Xavps


@dataclass(eq=False)
class OutgoingBranch:
    """One relayed copy of the request; `status` is the last reply code it got, 0 for none."""

    number: int
    sent: SentMessage
    via_branch: str
    uri: str = ""
    status: int = 0
    reply: SipMessage | None = None
    replied: bool = False


@dataclass(eq=False)
class Transaction:
    """A transaction: the request, what was armed for it, its branches, the last reply that went upstream."""

    request: SipMessage
    key: str
    number: int
    armed: dict[str, str]
    avps: dict[str, list[Result]] = field(default_factory=dict)
    xavps: Xavps = field(default_factory=list)
    branches: list[OutgoingBranch] = field(default_factory=list)
    status: int = 0
    last_reply: str = ""
    canceled: bool = False
    route_failed: bool = False

    @property
    def is_final(self) -> bool:
        """Whether a final reply has gone upstream."""
        return self.status >= 200


def create(process: Process, message: SipMessage) -> Transaction:
    """Make the transaction of a request."""
    kamailio = process.kamailio
    number = len(kamailio.tm.transactions) + 1
    armed = dict(process.armed)
    transaction = Transaction(message, request_key(message), number, armed, process.avps, process.xavps)
    kamailio.tm.transactions[transaction.key] = transaction
    process.transaction = transaction
    return transaction


def retransmit_reply(process: Process, transaction: Transaction) -> int:
    """Send the last reply once more."""
    if not transaction.last_reply:
        return -1
    process.kamailio.sent.add(SentMessage(transaction.last_reply, _back(transaction.request)))
    return 1


def reply_locally(process: Process, transaction: Transaction, code: int, reason: str) -> None:
    """Send Kamailio's own reply for a transaction."""
    request = transaction.request
    if process.message.is_request and process.message is not request:
        request.reply_headers += process.message.reply_headers
    body, content_type = request.reply_body
    text = build_reply(request, code, reason, body=body, content_type=content_type)
    transaction.status, transaction.last_reply = code, text
    process.kamailio.sent.add(SentMessage(text, _back(request), local=True))


def _back(request: SipMessage) -> Address:
    return Address(request.source.ip, request.source.port, request.source.proto)


def status_now(process: Process) -> int:
    """Return the status that t_check_status() and t_get_status_code() look at; it depends on the route."""
    transaction = process.transaction
    if not process.message.is_request:
        return process.message.status
    if transaction is None:
        return 0
    if process.route_type == "failure":
        return min((branch.status for branch in transaction.branches if branch.status >= 300), default=0)
    return transaction.status
