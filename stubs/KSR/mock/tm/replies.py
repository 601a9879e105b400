"""What tm does with a reply: the reply route, forwarding, the failure route, the end of the transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from KSR.mock.engine.worker import run_failure_route, run_reply_route
from KSR.mock.sip.message import Address, SipMessage
from KSR.mock.sip.reply import render_forwarded
from KSR.mock.sip.sent import SentMessage
from KSR.mock.tm.transaction import OutgoingBranch, Transaction, reply_locally

if TYPE_CHECKING:
    from KSR.mock.engine.process import Process


def handle_reply(process: Process, message: SipMessage, transaction: Transaction, branch: OutgoingBranch) -> None:
    """Run a reply that belongs to a transaction through tm."""
    if message.status < 200 and branch.status >= 200:
        return
    branch.status = message.status
    branch.reply = message
    if message.status >= 300 and message.cseq_method == "INVITE":
        ack = branch.sent.message.ack_text(message)
        process.kamailio.sent.add(SentMessage(ack, branch.sent.destination, local=True, branch=branch.number))
    try:
        _handle(process, message, transaction)
    finally:
        branch.replied = True


def _handle(process: Process, message: SipMessage, transaction: Transaction) -> None:
    found = process.kamailio.tm.branch_of(message)
    if found is None or not run_reply_route(process, transaction, message, found[1]):
        return
    if transaction.is_final and not (message.status < 300 and message.cseq_method == "INVITE"):
        return
    if message.status < 300:
        if message.status > 100:
            forward_reply(process, message, transaction)
        return
    finish(process, transaction)


def finish(process: Process, transaction: Transaction) -> None:
    """Once all branches have failed: the failure route, then the best reply upstream."""
    if any(branch.status < 200 for branch in transaction.branches) or transaction.is_final:
        return
    best = min(transaction.branches, key=lambda branch: branch.status, default=None)
    if best is None:
        return
    count = len(transaction.branches)
    if run_failure_route(process, transaction, best) and transaction.is_final:
        return
    if len(transaction.branches) > count or transaction.is_final:
        return  # the failure route has added a branch, or replied
    if best.reply is None:
        reply_locally(process, transaction, best.status, "Request Timeout")
    else:
        forward_reply(process, best.reply, transaction)


def forward_reply(process: Process, message: SipMessage, transaction: Transaction) -> None:
    """Send a reply upstream without our Via, with the edits made to it."""
    text = render_forwarded(message)
    transaction.status, transaction.last_reply = message.status, text
    source = transaction.request.source
    process.kamailio.sent.add(SentMessage(text, Address(source.ip, source.port, source.proto)))
