"""How tm sends a request on: a copy for each branch, after the branch route has run on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from KSR.mock.engine.worker import run_branch_route, run_onsend
from KSR.mock.sip.message import Address, Branch, SipMessage
from KSR.mock.sip.reply import local_tag, relayed_via
from KSR.mock.sip.sent import SentMessage
from KSR.mock.sip.syntax import parse_uri, uri_host
from KSR.mock.tm.match import cancel_key
from KSR.mock.tm.transaction import OutgoingBranch, Transaction, create, reply_locally

if TYPE_CHECKING:
    from KSR.mock.engine.process import Process

E_BAD_ADDRESS = -478


BRANCH_COOKIE = "z9hG4bK"


def destination(message: SipMessage, uri: str, dst_uri: str | None) -> Address | None:
    """Return where a request goes; None when the URI leads nowhere."""
    target = parse_uri(dst_uri or uri)
    if not target.valid or target.host.endswith(".invalid"):
        return None
    proto = (target.param("transport") or "udp").lower()
    return Address(target.host.strip("[]"), int(target.port or 5060), proto)


def forward_request(process: Process) -> int:
    """Send one copy per branch, after the branch route has run on it."""
    transaction, message = process.transaction, process.message
    assert transaction is not None
    targets = [Branch(message.current_uri, message.dst_uri or "", message.path or ""), *message.branches]
    message.branches = []
    added = 0
    for target in targets:
        if _send_branch(process, transaction, message, target):
            added += 1
    transaction.armed.pop("branch", None)  # a branch route serves one relay; it has to be armed for the next
    if process.route_type != "failure":
        transaction.request = message
    return 1 if added else E_BAD_ADDRESS


def _send_branch(process: Process, transaction: Transaction, message: SipMessage, target: Branch) -> bool:
    number = len(transaction.branches)
    copy = message.branch_copy(target)
    process.branch_index = number
    if "branch" in transaction.armed and not run_branch_route(process, transaction.armed["branch"], copy):
        return False
    where = destination(copy, copy.current_uri, copy.dst_uri)
    if where is None:
        process.kamailio.log_line("err", f"tm: no destination for {copy.current_uri}")
        return False
    via_branch = f"{BRANCH_COOKIE}{transaction.number:04x}.{local_tag(message)[:32]}.{number}"
    sent = SentMessage(render_relayed(copy, via_branch), where, branch=number)
    process.kamailio.sent.add(sent)
    branch = OutgoingBranch(number, sent, via_branch, copy.current_uri)
    transaction.branches.append(branch)
    process.kamailio.tm.branches[via_branch] = (transaction, branch)
    run_onsend(process, copy)
    return True


def render_relayed(message: SipMessage, via_branch: str) -> str:
    """Return the text that leaves: with edits, received/rport in the Via below, and our own Via above it."""
    received = message.received
    place = message.place_of("Via") or 0
    top = message.first("Via")
    if top is not None and not top.removed:
        top.sent_body = relayed_via(message)
    proto = received.proto.upper()
    host = f"{uri_host(received.ip)}:{received.port}"
    rport = ";rport" if message.local_rport else ""
    message.insert(place, f"Via: SIP/2.0/{proto} {host};branch={via_branch}{rport}\r\n")
    return message.render()


def relay_ack(process: Process) -> int:
    """An ACK of a 2xx has no transaction and is forwarded statelessly."""
    message = process.message
    where = destination(message, message.current_uri, message.dst_uri)
    if where is None:
        return E_BAD_ADDRESS
    via_branch = f"{BRANCH_COOKIE}0000.{local_tag(message)[:32]}.0"
    copy = message.branch_copy(Branch(message.current_uri, message.dst_uri or ""))
    process.kamailio.sent.add(SentMessage(render_relayed(copy, via_branch), where))
    run_onsend(process, message)
    return 1


def relay_cancel(process: Process) -> int:
    """Answer the CANCEL with 200 and send one to each branch of the INVITE that has no final reply."""
    message = process.message
    invite = process.kamailio.tm.transactions.get(cancel_key(message))
    if invite is None:
        created = create(process, message)
        result = forward_request(process)
        return result if result > 0 or created.is_final else E_BAD_ADDRESS
    invite.canceled = True
    transaction = create(process, message)
    reply_locally(process, transaction, 200, "canceling")
    for branch in invite.branches:
        if branch.status < 200:
            text = branch.sent.message.cancel_text()
            process.kamailio.sent.add(SentMessage(text, branch.sent.destination, branch=branch.number))
    return 1
