"""KSR.rtpengine: offer, answer, delete, manage and the other commands of the current message.

Follows rtpp_function_call, rtpengine_manage and rtpengine_rtpp_set_wrap in rtpengine/rtpengine.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from KSR.mock.engine.behaviour import BEHAVIOURS, kemi
from KSR.mock.pv.variables import get, write
from KSR.mock.rtpengine.daemons import NO_PORTS, SESSION_LIMIT
from KSR.mock.rtpengine.flags import FlagError, NgRequest, build
from KSR.mock.rtpengine.module import Node, NodeSet

if TYPE_CHECKING:
    from KSR.mock.engine.behaviour import Behaviour
    from KSR.mock.engine.process import Process

MANAGED = ("INVITE", "ACK", "CANCEL", "BYE", "UPDATE", "PRACK")


@kemi("rtpengine.set_rtpengine_set")
def set_rtpengine_set(process: Process, set_id: int) -> int:
    """Select the set for this message: 1; -1 for an unknown one, and the selection stays as it was."""
    found = _find_set(process, set_id)
    if found is None:
        return -1
    _select(process, found, None)
    return 1


@kemi("rtpengine.set_rtpengine_set2")
def set_rtpengine_set2(process: Process, first: int, second: int) -> int:
    one, two = _find_set(process, first), _find_set(process, second)
    if one is None or two is None:
        return -1
    _select(process, one, two)
    return 1


def _find_set(process: Process, set_id: int) -> NodeSet | None:
    found = process.kamailio.rtpengine.sets.get(set_id % 2**32)
    if found is None:
        process.kamailio.log_line("err", f"rtpengine: rtpp_proxy set {set_id} not configured")
    return found


def _select(process: Process, first: NodeSet, second: NodeSet | None) -> None:
    selection = process.rtpengine
    selection.first, selection.second = first, second
    selection.message_number = process.message.number


def _active_set(process: Process, chosen: NodeSet | None) -> NodeSet | None:
    """Return the selected set; one that was selected for another message does not count."""
    module = process.kamailio.rtpengine
    default = module.sets.get(module.setid_default)
    if process.rtpengine.message_number != process.message.number:
        return default
    return chosen or default


def call(process: Process, command: str, flags: str, chosen: NodeSet | None, sdp: str = "") -> dict[str, str] | None:
    """Send a command for the current message to a node of the set, to the next one as long as none answers."""
    module, kamailio = process.kamailio.rtpengine, process.kamailio
    try:
        request = build(process, process.message, command, flags)
    except FlagError as error:
        kamailio.log_line("err", f"rtpengine: {error}")
        return None
    request.sdp = sdp
    module.build_sockets(process.rtpengine, test=False)  # before it looks for a set
    active = _active_set(process, chosen)
    if active is None:
        kamailio.log_line("err", "rtpengine: script error - no valid set selected")
        return None
    tried: list[Node] = []
    while True:
        node, reply = _send_to_some_node(process, active, request, tried)
        if node is None or reply is None:
            return None
        if module.rtp_inst_pvar:
            write(process, module.rtp_inst_pvar, node.url)
        if reply["result"] == "load limit" or reply.get("error-reason") in (SESSION_LIMIT, NO_PORTS):
            kamailio.log_line("warn", f"rtpengine: proxy {node.url}: {reply.get('error-reason', 'load limit')}")
            continue
        if reply["result"] == "error":
            kamailio.log_line("err", f"rtpengine: proxy replied with error: {reply['error-reason']}")
            return None
        if module.remembered(request.call_id, request.via_branch, request.command) is None:
            module.remember(request.call_id, request.via_branch, node)
        if request.command == "delete":
            module.forget(request.call_id, request.via_branch)
        return reply


def _send_to_some_node(
    process: Process, active: NodeSet, request: NgRequest, tried: list[Node]
) -> tuple[Node | None, dict[str, str] | None]:
    module, kamailio = process.kamailio.rtpengine, process.kamailio
    while True:
        if len(tried) >= module.queried_nodes_limit:
            kamailio.log_line("err", "rtpengine: queried nodes limit reached")
            return None, None
        node = module.select(process, active, request, tried)
        if node is None:
            kamailio.log_line("err", "rtpengine: no available proxies")
            return None, None
        reply = module.send(node, request)
        if reply is None and not node.permanent:
            module.disable_for_a_while(node)
        tried.append(node)
        if reply is not None:
            return node, reply


# ---- offer and answer -----------------------------------------------------------------------------------------------


def _both_sets(process: Process, direction: int) -> list[NodeSet | None]:
    """Return the sets that a command goes through, one after the other; an answer takes them in reverse."""
    selection = process.rtpengine
    if selection.second is None or selection.second is selection.first:
        return [selection.first]
    return [selection.first, selection.second] if direction == 1 else [selection.second, selection.first]


def _read_sdp(process: Process) -> str | None:
    variable = process.kamailio.rtpengine.read_sdp_pv
    if variable:
        value = get(process, variable)
        return None if value is None else str(value)
    message = process.message
    return message.body if message.has_sdp else None


def _write_sdp(process: Process, sdp: str) -> None:
    variable = process.kamailio.rtpengine.write_sdp_pv
    if variable:
        write(process, variable, sdp)
    else:
        process.message.new_body = sdp


def offer_answer(process: Process, command: str, flags: str, direction: int) -> int:
    """Send the message's SDP, put the returned one in its place: 1, else -1."""
    sdp = _read_sdp(process)
    if sdp is None:
        process.kamailio.log_line("err", "rtpengine: can't extract body from the message")
        return -1
    for chosen in _both_sets(process, direction):
        reply = call(process, command, flags, chosen, sdp)
        if reply is None or reply["result"] != "ok":
            return -1
        sdp = reply["sdp"]
    _write_sdp(process, sdp)
    return 1


@kemi("rtpengine.rtpengine_offer")
def rtpengine_offer(process: Process, flags: str) -> int:
    return offer_answer(process, "offer", flags, 1)


@kemi("rtpengine.rtpengine_answer")
def rtpengine_answer(process: Process, flags: str) -> int:
    return offer_answer(process, "answer", flags, 2)


@kemi("rtpengine.rtpengine_delete")
def rtpengine_delete(process: Process, flags: str) -> int:
    return simple(process, "delete", flags)


def simple(process: Process, command: str, flags: str) -> int:
    """Send a command that has no SDP."""
    for chosen in _both_sets(process, 1):
        reply = call(process, command, flags, chosen)
        if reply is None or reply["result"] != "ok":
            return -1
    return 1


@kemi("rtpengine.rtpengine_manage")
def rtpengine_manage(process: Process, flags: str) -> int:
    """Offer, answer or delete, as the message asks for."""
    message = process.message
    method = message.cseq_method
    if process.route_type == "branch_failure":
        return 1
    if method not in MANAGED:
        return -1
    if method in ("CANCEL", "BYE"):
        return simple(process, "delete", flags)
    if message.is_request:
        return _manage_request(process, method, flags)
    if message.status >= 300:
        return simple(process, "delete", flags)
    if not message.has_sdp:
        return -1
    transaction = process.transaction
    offered = method == "UPDATE" or transaction is None or transaction.request.sdp_offered
    return offer_answer(process, "answer" if offered else "offer", flags, 1)


def _manage_request(process: Process, method: str, flags: str) -> int:
    message = process.message
    if not message.has_sdp:
        return -1
    if method in ("ACK", "PRACK"):
        return offer_answer(process, "answer", flags, 1)
    if method == "UPDATE":
        return offer_answer(process, "offer", flags, 1)
    message.sdp_offered = True
    if process.transaction is not None:
        process.transaction.request.sdp_offered = True
    if process.route_type == "failure":
        return simple(process, "delete", flags)
    return offer_answer(process, "offer", flags, 1)


# ---- the others -----------------------------------------------------------------------------------------------------

SIMPLE = {
    "rtpengine_query": "query", "block_media": "block media", "unblock_media": "unblock media",
    "block_dtmf": "block DTMF", "unblock_dtmf": "unblock DTMF",
    "silence_media": "silence media", "unsilence_media": "unsilence media",
    "play_media": "play media", "stop_media": "stop media", "play_dtmf": "play DTMF",
    "start_recording": "start recording", "stop_recording": "stop recording",
    "start_forwarding": "start forwarding", "stop_forwarding": "stop forwarding",
}  # fmt: skip


def _simple(command: str) -> Behaviour:
    return lambda process, flags="": simple(process, command, flags)


for _name, _command in SIMPLE.items():
    BEHAVIOURS[f"rtpengine.{_name}"] = _simple(_command)


def _variants(name: str) -> None:
    """Register the forms without flags, and with flags and via-branch (6.x)."""
    with_flags = BEHAVIOURS[f"rtpengine.{name}"]
    BEHAVIOURS[f"rtpengine.{name}0"] = lambda process: with_flags(process, "")
    BEHAVIOURS[f"rtpengine.{name}2"] = lambda process, flags, via: with_flags(process, f"{flags} via-branch={via}")


WITHOUT_VARIANTS = ("play_dtmf", "start_recording", "stop_recording")
for _name in ("rtpengine_offer", "rtpengine_answer", "rtpengine_delete", "rtpengine_manage", *SIMPLE):
    if _name not in WITHOUT_VARIANTS:
        _variants(_name)
del BEHAVIOURS["rtpengine.play_media0"]  # there is none
