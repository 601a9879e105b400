"""KSR.corex: branches of the destination set, and questions about the message (corex/corex_mod.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from KSR.mock.engine.behaviour import kemi
from KSR.mock.sip.message import Branch
from KSR.mock.sip.syntax import parse_uri

if TYPE_CHECKING:
    from KSR.mock.engine.process import Process


@kemi("corex.append_branch")
def append_branch(process: Process) -> int:
    message = process.message
    message.branches.append(Branch(message.current_uri, message.dst_uri or ""))
    return 1


@kemi("corex.append_branch_uri")
def append_branch_uri(process: Process, uri: str) -> int:
    process.message.branches.append(Branch(uri))
    return 1


@kemi("corex.append_branch_uri_q")
def append_branch_uri_q(process: Process, uri: str, q: str) -> int:
    process.message.branches.append(Branch(uri, q=q))
    return 1


@kemi("corex.has_ruri_user")
def has_ruri_user(process: Process) -> int:
    return 1 if parse_uri(process.message.current_uri).user else -1


@kemi("corex.has_user_agent")
def has_user_agent(process: Process) -> int:
    return 1 if process.message.get("User-Agent") else -1


@kemi("corex.is_faked_msg")
def is_faked_msg(process: Process) -> int:
    return 1 if process.message is process.faked else -1
