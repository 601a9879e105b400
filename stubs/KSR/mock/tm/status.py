"""KSR.tm: the questions that a route asks about its transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from KSR.mock.engine.behaviour import kemi

if TYPE_CHECKING:
    from KSR.mock.engine.process import Process


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


@kemi("tm.t_check_status")
def t_check_status(process: Process, regex: str) -> int:
    from KSR.mock.modules.textops import posix

    pattern = posix(regex)
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


for _name, _route in {
    "request": "request", "failure": "failure", "branch": "branch", "reply": "reply",
}.items():  # fmt: skip

    def _is_route(process: Process, wanted: str = _route) -> int:
        return 1 if process.route_type == wanted else -1

    kemi(f"tmx.t_is_{_name}_route")(_is_route)
