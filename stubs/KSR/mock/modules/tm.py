"""KSR.tm: create and find transactions, arm routes for them, reply, relay (tm/tm.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from KSR.mock.engine.behaviour import kemi
from KSR.mock.engine.regex import posix_regex
from KSR.mock.tm.match import cancel_key, request_key
from KSR.mock.tm.relay import forward_request, relay_ack, relay_cancel
from KSR.mock.tm.transaction import create, reply_locally, retransmit_reply, status_now

if TYPE_CHECKING:
    from KSR.mock.engine.process import Process

E_SCRIPT = -10
ARMED_BY = {"b": "branch", "f": "failure", "o": "reply"}


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
    known = process.kamailio.tm.transactions.get(request_key(message))
    if known is not None and message.method != "ACK":
        process.transaction = known
        retransmit_reply(process, known)
        return 0
    if message.method != "ACK":
        create(process, message)
    return 1


@kemi("tm.t_retransmit_reply")
def t_retransmit_reply(process: Process) -> int:
    found = process.transaction or process.kamailio.tm.transactions.get(request_key(process.message))
    return -1 if found is None else retransmit_reply(process, found)


@kemi("tm.t_check_trans")
def t_check_trans(process: Process) -> int:
    """Return 0 for a retransmission or the ACK of a negative reply (both are dealt with here), else -1 or 1."""
    message = process.message
    if process.route_type in ("failure", "branch", "reply") and process.transaction is not None:
        return 1
    if not message.is_request:
        return 1 if process.kamailio.tm.branch_of(message) is not None else -1
    if message.method == "CANCEL":
        return t_lookup_cancel(process)
    known = process.kamailio.tm.transactions.get(request_key(message))
    if known is None or (message.method == "ACK" and 200 <= known.status < 300):
        return -1  # also for the ACK of a 2xx, which is for the callee
    process.transaction = known
    if message.method != "ACK":
        retransmit_reply(process, known)
    return 0


@kemi("tm.t_lookup_request")
def t_lookup_request(process: Process) -> int:
    known = process.kamailio.tm.transactions.get(request_key(process.message))
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
    known = process.kamailio.tm.transactions.get(cancel_key(process.message))
    if known is not None and flags:
        process.message.flags = known.request.flags
    return 1 if known is not None else -1


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
        return relay_cancel(process)
    if process.route_type == "failure":
        return forward_request(process)
    if process.transaction is None and t_newtran(process) == 0:
        return 1
    if message.method == "ACK":
        return relay_ack(process)
    transaction = process.transaction
    assert transaction is not None
    if message.method == "INVITE" and transaction.status < 100 and process.kamailio.tm.auto_trying:
        reply_locally(process, transaction, 100, "trying -- your call is important to us")
    result = forward_request(process)
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


# ---- asking about the transaction -----------------------------------------------------------------------------------


@kemi("tm.t_is_canceled")
def t_is_canceled(process: Process) -> int:
    return 1 if process.transaction is not None and process.transaction.canceled else -1


@kemi("tm.t_any_replied")
def t_any_replied(process: Process) -> int:
    """Tell whether a branch had a reply before the one that is handled now."""
    transaction = process.transaction
    return 1 if transaction is not None and any(branch.replied for branch in transaction.branches) else -1


@kemi("tm.t_branch_replied")
def t_branch_replied(process: Process) -> int:
    return t_any_replied(process) if process.route_type == "failure" else -1


@kemi("tm.t_any_timeout")
def t_any_timeout(process: Process) -> int:
    transaction = process.transaction
    timed_out = transaction is not None and any(b.status == 408 and b.reply is None for b in transaction.branches)
    return 1 if timed_out else -1


@kemi("tm.t_branch_timeout")
def t_branch_timeout(process: Process) -> int:
    return t_any_timeout(process) if process.route_type == "failure" else -1


@kemi("tm.t_get_branch_index")
def t_get_branch_index(process: Process) -> int:
    return process.branch_index


@kemi("tm.t_check_status")
def t_check_status(process: Process, regex: str) -> int:
    pattern = posix_regex(regex)
    if pattern is None or (process.transaction is None and process.message.is_request):
        return -1
    return 1 if pattern.search(str(status_now(process))) else -1


@kemi("tm.t_get_status_code")
def t_get_status_code(process: Process) -> int:
    return status_now(process) or -1


@kemi("tm.t_grep_status")
def t_grep_status(process: Process, code: int) -> int:
    transaction = process.transaction
    found = transaction is not None and any(b.status == code and b.replied for b in transaction.branches)
    return 1 if found else -1
