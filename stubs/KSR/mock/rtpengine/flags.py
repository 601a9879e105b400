"""From a SIP message and a flag string to an NG request (rtpengine.c, parse_flags and rtpp_function_call)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from KSR.mock.sip.message import SipMessage

if TYPE_CHECKING:
    from KSR.mock.engine.process import Process

LISTS = ("replace", "SDES", "T38", "T.38", "rtcp-mux", "direction")
VIA_BRANCHES = ("1", "2", "auto", "extra", "next", "auto-next", "next-auto", "auto-extra", "extra-auto")
# These commands carry tags only when the flags ask for it.
DIRECTIONAL = frozenset(
    {
        "block DTMF", "block media", "unblock DTMF", "unblock media", "start forwarding", "stop forwarding",
        "silence media", "unsilence media",
    }
)  # fmt: skip


@dataclass
class NgRequest:
    """A command on its way to a daemon."""

    command: str
    call_id: str = ""
    from_tag: str = ""
    to_tag: str = ""
    via_branch: str = ""
    sdp: str = ""
    flags_text: str = ""
    flags: list[str] = field(default_factory=list)
    lists: dict[str, list[str]] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)


class FlagError(ValueError):
    """A flag string that the module refuses."""


def build(process: Process, message: SipMessage, command: str, flags_text: str) -> NgRequest:
    """Return the request for a message; raises FlagError with the line that the module logs."""
    call_id, from_tag, to_tag = message.call_id, message.from_.tag or "", message.to.tag or ""
    if not call_id:
        raise FlagError("can't get Call-Id field")
    if not from_tag:
        raise FlagError("can't get From tag")
    request = NgRequest(command, call_id, flags_text=flags_text)
    via_wanted, with_to_tag, manual = "", command != "delete", False
    for key, value in split_flags(flags_text):
        if key == "call-id":
            request.call_id = needed(key, value)
        elif key == "from-tag":
            from_tag, manual = needed(key, value), True
        elif key == "to-tag":
            to_tag, with_to_tag = value if value is not None else to_tag, True
        elif key == "directional":
            manual = True
        elif key == "via-branch":
            via_wanted = needed(key, value)
            if via_wanted not in VIA_BRANCHES and via_wanted[:1] not in ("1", "2"):
                raise FlagError(f"error processing flag `{key}' (value '{value}'): invalid value")
        elif key == "force-answer":
            if request.command != "offer":
                raise FlagError("error processing flag `force-answer': cannot force answer in non-offer command")
            request.command = "answer"
        elif key == "repacketize":
            if not needed(key, value)[:1].isdigit():
                raise FlagError(f"error processing flag `{key}' (value '{value}'): invalid value")
            request.values[key] = value or ""
        elif _sub_list(request, key, value):
            continue
        elif value is None:
            request.flags.append(key)
        else:
            request.values[key] = value
    request.via_branch = _via_branch(message, via_wanted) if via_wanted else ""
    _set_tags(request, message, from_tag, to_tag if with_to_tag or command != "delete" else "", manual=manual)
    if command == "delete" and not with_to_tag:
        request.to_tag = ""
    return request


def split_flags(text: str) -> list[tuple[str, str | None]]:
    """Split `a b=c` into pairs; a flag without "=" has the value None."""
    pairs: list[tuple[str, str | None]] = []
    for word in filter(None, text.split(" ")):
        key, equals, value = word.partition("=")
        if not key:
            break
        pairs.append((key, value if equals else None))
    return pairs


def needed(key: str, value: str | None) -> str:
    """Return a value that must be there."""
    if value is None:
        raise FlagError(f"error processing flag `{key}': missing value")
    return value


def _sub_list(request: NgRequest, key: str, value: str | None) -> bool:
    """Put `replace=origin` and `replace-origin` into a list of their own."""
    if key in ("internal", "external"):
        request.lists.setdefault("direction", []).append(key)
        return True
    for name in LISTS:
        if key == name and value:
            request.lists.setdefault(name, []).append(value)
            return True
        if name != "direction" and key.startswith(f"{name}-") and len(key) > len(name) + 1:
            request.lists.setdefault(name, []).append(key[len(name) + 1 :])
            return True
    return False


def _set_tags(request: NgRequest, message: SipMessage, from_tag: str, to_tag: str, *, manual: bool) -> None:
    if request.command in DIRECTIONAL:
        request.from_tag = from_tag if manual else ""
        return
    forward = (message.is_request and request.command != "answer") or (
        not message.is_request and request.command in ("delete", "answer")
    )
    if forward or manual:
        request.from_tag, request.to_tag = from_tag, to_tag
        return
    if not to_tag:
        raise FlagError("No to-tag present")
    request.from_tag, request.to_tag = to_tag, from_tag


def _via_branch(message: SipMessage, wanted: str) -> str:
    number = {"auto": 1 if message.is_request else 2}.get(wanted) or (int(wanted[0]) if wanted[0].isdigit() else 1)
    vias = message.vias
    branch = vias[number - 1].branch if len(vias) >= number else ""
    if not branch:
        raise FlagError("can't get Via branch/extra ID")
    return branch
