"""KSR.rtpengine: select a set, offer, answer, delete, manage, and the other commands (rtpengine/rtpengine.c).

How a command reaches a node is in the folder rtpengine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from KSR.mock.engine.behaviour import BEHAVIOURS, kemi
from KSR.mock.rtpengine.commands import find_set, offer_answer, select_sets, simple

if TYPE_CHECKING:
    from KSR.mock.engine.behaviour import Behaviour
    from KSR.mock.engine.process import Process


MANAGED = ("INVITE", "ACK", "CANCEL", "BYE", "UPDATE", "PRACK")


@kemi("rtpengine.set_rtpengine_set")
def set_rtpengine_set(process: Process, set_id: int) -> int:
    """Select the set for this message: 1; -1 for an unknown one, and the selection stays as it was."""
    found = find_set(process, set_id)
    if found is None:
        return -1
    select_sets(process, found, None)
    return 1


@kemi("rtpengine.set_rtpengine_set2")
def set_rtpengine_set2(process: Process, first: int, second: int) -> int:
    one, two = find_set(process, first), find_set(process, second)
    if one is None or two is None:
        return -1
    select_sets(process, one, two)
    return 1


# ---- offer, answer, delete ------------------------------------------------------------------------------------------


@kemi("rtpengine.rtpengine_offer")
def rtpengine_offer(process: Process, flags: str) -> int:
    return offer_answer(process, "offer", flags, 1)


@kemi("rtpengine.rtpengine_answer")
def rtpengine_answer(process: Process, flags: str) -> int:
    return offer_answer(process, "answer", flags, 2)


@kemi("rtpengine.rtpengine_delete")
def rtpengine_delete(process: Process, flags: str) -> int:
    return simple(process, "delete", flags)


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
