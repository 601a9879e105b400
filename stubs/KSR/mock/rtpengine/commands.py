"""How a command goes to a node: which set, which node, which SDP, what becomes of the answer.

Follows rtpp_function_call and rtpengine_rtpp_set_wrap in rtpengine/rtpengine.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from KSR.mock.pv.variables import get, write
from KSR.mock.rtpengine.daemons import NO_PORTS, SESSION_LIMIT
from KSR.mock.rtpengine.flags import FlagError, NgRequest, build
from KSR.mock.rtpengine.module import Node, NodeSet

if TYPE_CHECKING:
    from KSR.mock.engine.process import Process


def find_set(process: Process, set_id: int) -> NodeSet | None:
    """Return a set; an unknown one is logged."""
    found = process.kamailio.rtpengine.sets.get(set_id % 2**32)
    if found is None:
        process.kamailio.log_line("err", f"rtpengine: rtpp_proxy set {set_id} not configured")
    return found


def select_sets(process: Process, first: NodeSet, second: NodeSet | None) -> None:
    """Select the set, or two of them, for the current message."""
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


def simple(process: Process, command: str, flags: str) -> int:
    """Send a command that has no SDP."""
    for chosen in _both_sets(process, 1):
        reply = call(process, command, flags, chosen)
        if reply is None or reply["result"] != "ok":
            return -1
    return 1
