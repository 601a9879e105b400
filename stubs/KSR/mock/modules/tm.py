"""KSR.tm: transactions, branches, and the routes that a script arms for them.

What arrives for a transaction later is in tm_replies.py, what a script asks about it in tm_status.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from KSR.mock.engine.behaviour import Result, kemi
from KSR.mock.pv.message import uri_host
from KSR.mock.sip.message import Address, Branch, SipMessage
from KSR.mock.sip.reply import build_reply, local_tag, relayed_via
from KSR.mock.sip.sent import SentMessage
from KSR.mock.sip.syntax import parse_uri
from KSR.mock.tm.match import cancel_key, request_key

if TYPE_CHECKING:
    from KSR.mock.engine.process import Process
    from KSR.mock.pv.xavp import Xavps

BRANCH_COOKIE = "z9hG4bK"
E_SCRIPT, E_BAD_ADDRESS = -10, -478
ARMED_BY = {"b": "branch", "f": "failure", "o": "reply"}


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


# ---- arming ---------------------------------------------------------------------------------------------------------


def _arm(process: Process, kind: str, route: str) -> int:
    armed = process.transaction.armed if process.transaction is not None else process.armed
    if route:
        armed[kind] = route
    else:
        armed.pop(kind, None)
    return 1


@kemi("tm.t_on_failure")
def t_on_failure(process: Process, route: str) -> int:
    return _arm(process, "failure", route)


@kemi("tm.t_on_branch")
def t_on_branch(process: Process, route: str) -> int:
    return _arm(process, "branch", route)


@kemi("tm.t_on_reply")
def t_on_reply(process: Process, route: str) -> int:
    return _arm(process, "reply", route)


@kemi("tm.t_on_branch_failure")
def t_on_branch_failure(process: Process, route: str) -> int:
    return _arm(process, "branch_failure", route)


@kemi("tm.t_is_set")
def t_is_set(process: Process, target: str) -> int:
    armed = process.transaction.armed if process.transaction is not None else process.armed
    return 1 if ARMED_BY.get(target[:1], "") in armed else -1


# ---- creating and finding -------------------------------------------------------------------------------------------


@kemi("tm.t_newtran")
def t_newtran(process: Process) -> int:
    """Make a transaction: 1; 0 for a retransmission, -10 when this message has one already."""
    if process.transaction is not None:
        return E_SCRIPT
    message = process.message
    known = process.kamailio.transactions.get(request_key(message))
    if known is not None and message.method != "ACK":
        process.transaction = known
        retransmit_reply(process, known)
        return 0
    if message.method != "ACK":
        create(process, message)
    return 1


def create(process: Process, message: SipMessage) -> Transaction:
    """Make the transaction of a request."""
    kamailio = process.kamailio
    number = len(kamailio.transactions) + 1
    armed = dict(process.armed)
    transaction = Transaction(message, request_key(message), number, armed, process.avps, process.xavps)
    kamailio.transactions[transaction.key] = transaction
    process.transaction = transaction
    return transaction


def retransmit_reply(process: Process, transaction: Transaction) -> int:
    """Send the last reply once more."""
    if not transaction.last_reply:
        return -1
    process.kamailio.sent.add(SentMessage(transaction.last_reply, _back(transaction.request)))
    return 1


@kemi("tm.t_retransmit_reply")
def t_retransmit_reply(process: Process) -> int:
    found = process.transaction or process.kamailio.transactions.get(request_key(process.message))
    return -1 if found is None else retransmit_reply(process, found)


@kemi("tm.t_check_trans")
def t_check_trans(process: Process) -> int:
    """Return 0 for a retransmission or the ACK of a negative reply (both are dealt with here), else -1 or 1."""
    message = process.message
    if process.route_type in ("failure", "branch", "reply") and process.transaction is not None:
        return 1
    if not message.is_request:
        return 1 if process.kamailio.branch_of(message) is not None else -1
    if message.method == "CANCEL":
        return t_lookup_cancel(process)
    known = process.kamailio.transactions.get(request_key(message))
    if known is None or (message.method == "ACK" and 200 <= known.status < 300):
        return -1  # also for the ACK of a 2xx, which is for the callee
    process.transaction = known
    if message.method != "ACK":
        retransmit_reply(process, known)
    return 0


@kemi("tm.t_lookup_request")
def t_lookup_request(process: Process) -> int:
    known = process.kamailio.transactions.get(request_key(process.message))
    if known is None:
        return -1
    process.transaction = known
    return 1


@kemi("tm.t_exists")
def t_exists(process: Process) -> int:
    return 1 if process.transaction is not None else -1


@kemi("tm.t_lookup_cancel", "tm.t_lookup_cancel_flags")
def t_lookup_cancel(process: Process, flags: int = 0) -> int:
    if process.message.method != "CANCEL":
        process.kamailio.log_line("warn", "tm: t_lookup_cancel() called for non-CANCEL request")
        return -1
    known = process.kamailio.transactions.get(cancel_key(process.message))
    if known is not None and flags:
        process.message.flags = known.request.flags
    return 1 if known is not None else -1


@kemi("tmx.t_precheck_trans")
def t_precheck_trans(process: Process) -> int:
    return -1  # 1 only while another worker handles the same request at this moment


# ---- replying -------------------------------------------------------------------------------------------------------


@kemi("tm.t_reply")
def t_reply(process: Process, code: int, reason: str) -> int:
    transaction = process.transaction
    if process.message.method == "ACK" or transaction is None:
        if transaction is None:
            process.kamailio.log_line(
                "err", "tm: cannot send a t_reply to a message for which no T-state has been established"
            )
        return -1
    if transaction.is_final:
        return -1
    reply_locally(process, transaction, code, reason)
    return 1


@kemi("tm.t_send_reply")
def t_send_reply(process: Process, code: int, reason: str) -> int:
    if process.transaction is None:
        t_newtran(process)
    return t_reply(process, code, reason)


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


@kemi("tm.t_release")
def t_release(process: Process) -> int:
    return 1


# ---- relaying -------------------------------------------------------------------------------------------------------


@kemi("tm.t_relay")
def t_relay(process: Process) -> int:
    """Relay the request to its URI (or destination URI) and the added branches; a failure is answered, too."""
    message = process.message
    if not message.is_request:
        return -1
    if message.method == "CANCEL":
        return _relay_cancel(process)
    if process.route_type == "failure":
        return _forward(process)
    if process.transaction is None and t_newtran(process) == 0:
        return 1
    if message.method == "ACK":
        return _relay_ack(process)
    transaction = process.transaction
    assert transaction is not None
    if message.method == "INVITE" and transaction.status < 100 and process.kamailio.auto_trying:
        reply_locally(process, transaction, 100, "trying -- your call is important to us")
    result = _forward(process)
    if result < 0 and not transaction.is_final:
        reply_locally(process, transaction, 478, "Unresolvable destination (478/TM)")
    return result


@kemi("tm.t_relay_to_flags")
def t_relay_to_flags(process: Process, flags: int) -> int:
    return t_relay(process)


@kemi("tm.t_relay_to_proto")
def t_relay_to_proto(process: Process, proto: str) -> int:
    return t_relay(process)


@kemi("tm.t_relay_to_proxy", "tm.t_relay_to_proxy_flags")
def t_relay_to_proxy(process: Process, proxy: str, flags: int = 0) -> int:
    process.message.dst_uri = f"sip:{proxy.partition(':')[2] if proxy.startswith(('udp:', 'tcp:')) else proxy}"
    return t_relay(process)


@kemi("tm.t_relay_to_proto_addr")
def t_relay_to_proto_addr(process: Process, proto: str, host: str, port: int) -> int:
    process.message.dst_uri = f"sip:{host}:{port};transport={proto.lower()}"
    return t_relay(process)


def destination(message: SipMessage, uri: str, dst_uri: str | None) -> Address | None:
    """Return where a request goes; None when the URI leads nowhere."""
    target = parse_uri(dst_uri or uri)
    if not target.valid or target.host.endswith(".invalid"):
        return None
    proto = (target.param("transport") or "udp").lower()
    return Address(target.host.strip("[]"), int(target.port or 5060), proto)


def _forward(process: Process) -> int:
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
    from KSR.mock.engine.worker import run_branch_route, run_onsend

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
    process.kamailio.branches[via_branch] = (transaction, branch)
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


def _relay_ack(process: Process) -> int:
    """An ACK of a 2xx has no transaction and is forwarded statelessly."""
    from KSR.mock.engine.worker import run_onsend

    message = process.message
    where = destination(message, message.current_uri, message.dst_uri)
    if where is None:
        return E_BAD_ADDRESS
    via_branch = f"{BRANCH_COOKIE}0000.{local_tag(message)[:32]}.0"
    copy = message.branch_copy(Branch(message.current_uri, message.dst_uri or ""))
    process.kamailio.sent.add(SentMessage(render_relayed(copy, via_branch), where))
    run_onsend(process, message)
    return 1


def _relay_cancel(process: Process) -> int:
    """Answer the CANCEL with 200 and send one to each branch of the INVITE that has no final reply."""
    message = process.message
    invite = process.kamailio.transactions.get(cancel_key(message))
    if invite is None:
        created = create(process, message)
        result = _forward(process)
        return result if result > 0 or created.is_final else E_BAD_ADDRESS
    invite.canceled = True
    transaction = create(process, message)
    reply_locally(process, transaction, 200, "canceling")
    for branch in invite.branches:
        if branch.status < 200:
            text = branch.sent.message.cancel_text()
            process.kamailio.sent.add(SentMessage(text, branch.sent.destination, branch=branch.number))
    return 1
