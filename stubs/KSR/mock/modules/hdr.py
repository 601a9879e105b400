"""KSR.hdr: read headers of the received message, add and remove them in the sent one.

Follows the hdr functions of core/kemi.c. An appended header is not there for `get` before the message is sent or
textopsx.msg_apply_changes() is called, and a removed one still is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from KSR.mock.engine.behaviour import Result, kemi, null_value

if TYPE_CHECKING:
    from KSR.mock.engine.process import Process

MAX_NAME = 252


def _get(process: Process, name: str, index: int, mode: str) -> Result:
    headers = process.message.all(name)
    if -len(headers) <= index < len(headers):
        return headers[index].body
    return null_value(mode)


@kemi("hdr.get")
def hdr_get(process: Process, name: str) -> Result:
    return _get(process, name, 0, "")


@kemi("hdr.gete")
def hdr_gete(process: Process, name: str) -> Result:
    return _get(process, name, 0, "e")


@kemi("hdr.getw")
def hdr_getw(process: Process, name: str) -> Result:
    return _get(process, name, 0, "w")


@kemi("hdr.get_idx")
def hdr_get_idx(process: Process, name: str, index: int) -> Result:
    return _get(process, name, index, "")


@kemi("hdr.gete_idx")
def hdr_gete_idx(process: Process, name: str, index: int) -> Result:
    return _get(process, name, index, "e")


@kemi("hdr.getw_idx")
def hdr_getw_idx(process: Process, name: str, index: int) -> Result:
    return _get(process, name, index, "w")


@kemi("hdr.is_present")
def hdr_is_present(process: Process, name: str) -> int:
    return 1 if process.message.first(name) is not None else -1


@kemi("hdr.append")
def hdr_append(process: Process, text: str) -> int:
    check_header_text(process, text)
    process.message.insert(len(process.message.headers), text)
    return 1


@kemi("hdr.append_after")
def hdr_append_after(process: Process, text: str, name: str) -> int:
    check_header_text(process, text)
    place = process.message.place_of(name)
    process.message.insert(len(process.message.headers) if place is None else place + 1, text)
    return 1


@kemi("hdr.insert")
def hdr_insert(process: Process, text: str) -> int:
    check_header_text(process, text)
    process.message.insert(0, text)
    return 1


@kemi("hdr.insert_before")
def hdr_insert_before(process: Process, text: str, name: str) -> int:
    check_header_text(process, text)
    process.message.insert(process.message.place_of(name) or 0, text)
    return 1


@kemi("hdr.remove")
def hdr_remove(process: Process, name: str) -> int:
    if len(name) > MAX_NAME:
        return -1
    for header in process.message.all(name):
        header.removed = True
    return 1


@kemi("hdr.rmappend")
def hdr_rmappend(process: Process, name: str, text: str) -> int:
    removed = hdr_remove(process, name)
    return hdr_append(process, text) if removed > 0 else removed


@kemi("hdr.rminsert")
def hdr_rminsert(process: Process, name: str, text: str) -> int:
    removed = hdr_remove(process, name)
    return hdr_insert(process, text) if removed > 0 else removed


@kemi("hdr.append_to_reply")
def hdr_append_to_reply(process: Process, text: str) -> int:
    check_header_text(process, text)
    process.message.reply_headers.append(text)
    return 1


@kemi("hdr.match_content")
def hdr_match_content(process: Process, name: str, operator: str, wanted: str, which: str) -> bool:
    tests: dict[str, Callable[[str], bool]] = {
        "eq": lambda body: body == wanted.lower(),
        "ne": lambda body: body != wanted.lower(),
        "sw": lambda body: body.startswith(wanted.lower()),
        "in": lambda body: wanted.lower() in body,
    }
    test = tests.get(operator.lower())
    mode = which[:1].lower()
    if test is None or mode not in ("f", "l", "a", "o") or not which:
        return False
    results = [test(header.body.strip().lower()) for header in process.message.all(name)]
    if not results:
        return False
    return {"f": results[0], "l": results[-1], "a": all(results), "o": any(results)}[mode]


def check_header_text(process: Process, text: str) -> None:
    """Fail for a text that makes a broken message: Kamailio sends it as it is."""
    if not text.endswith("\r\n") or ":" not in text:
        process.kamailio.fault(
            f"{text!r} is not a header line that ends with \\r\\n", "Kamailio would put it into the message as it is"
        )
