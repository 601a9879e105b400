"""KSR.textops and KSR.textopsx: search and edit the message (textops/textops.c, textopsx/textopsx.c).

What replaces texts in it is in textops_replace.py.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from KSR.mock.engine.behaviour import kemi

if TYPE_CHECKING:
    from KSR.mock.engine.process import Process

NO_CHANGE = 2


def posix(text: str) -> re.Pattern[str] | None:
    """Compile a regular expression as regcomp(REG_EXTENDED|REG_ICASE|REG_NEWLINE) takes it, near enough."""
    try:
        return re.compile(text, re.IGNORECASE | re.MULTILINE)
    except re.error:
        return None


# ---- headers --------------------------------------------------------------------------------------------------------


@kemi("textops.is_present_hf")
def is_present_hf(process: Process, name: str) -> int:
    return 1 if name and process.message.first(name) is not None else -1


@kemi("textops.is_present_hf_re")
def is_present_hf_re(process: Process, regex: str) -> int:
    pattern = posix(regex)
    return 1 if pattern and any(pattern.search(header.name) for header in process.message.headers) else -1


@kemi("textops.remove_hf_re")
def remove_hf_re(process: Process, regex: str) -> int:
    return remove_hf_exp(process, regex, r"(?!)")


@kemi("textops.remove_hf_exp")
def remove_hf_exp(process: Process, regex: str, skip: str) -> int:
    pattern, spared = posix(regex), posix(skip)
    if pattern is None or spared is None:
        return -1
    found = [h for h in process.message.headers if pattern.search(h.name) and not spared.search(h.name)]
    for header in found:
        header.removed = True
    return 1 if found else -1


@kemi("textops.remove_hf_idx")
def remove_hf_idx(process: Process, name: str, index: int) -> int:
    headers = process.message.all(name)
    if not -len(headers) <= index < len(headers):
        return NO_CHANGE if index >= 0 else 1
    headers[index].removed = True
    return 1


# ---- body -----------------------------------------------------------------------------------------------------------


@kemi("textops.has_body")
def has_body(process: Process) -> int:
    return 1 if (process.message.get("Content-Length") or "0").strip() not in ("", "0") else -1


@kemi("textops.has_body_type")
def has_body_type(process: Process, media_type: str) -> int:
    if has_body(process) < 0:
        return -1
    # A body without Content-Type is taken as SDP.
    return 1 if not media_type or (process.message.content_type or "application/sdp") == media_type.lower() else -1


@kemi("textops.set_body")
def set_body(process: Process, body: str, content_type: str) -> int:
    if not body or not content_type:
        return -1
    message = process.message
    message.new_body = body
    if message.get("Content-Type") != content_type:
        for header in message.all("Content-Type"):
            header.removed = True
        message.insert(len(message.headers), f"Content-Type: {content_type}\r\n")
    return 1


@kemi("textops.set_reply_body")
def set_reply_body(process: Process, body: str, content_type: str) -> int:
    if not body or not content_type:
        return -1
    process.message.reply_body = (body, content_type)
    return 1


@kemi("textopsx.remove_body")
def remove_body(process: Process) -> int:
    if process.message.body:
        process.message.new_body = ""
    return 1


@kemi("textops.search_body")
def search_body(process: Process, regex: str) -> int:
    pattern = posix(regex)
    return 1 if pattern and process.message.body and pattern.search(process.message.body) else -1


# ---- message --------------------------------------------------------------------------------------------------------


@kemi("textops.search")
def search(process: Process, regex: str) -> int:
    pattern = posix(regex)
    return 1 if pattern and pattern.search(process.message.text) else -1


@kemi("textops.search_hf")
def search_hf(process: Process, name: str, regex: str, which: str) -> int:
    pattern = posix(regex)
    if pattern is None:
        return -1
    results = [bool(pattern.search(header.body)) for header in process.message.all(name)]
    if not results:
        return -1
    mode = {"f": results[0], "l": results[-1]}.get(which[:1].lower(), any(results))
    return 1 if mode else -1


@kemi("textopsx.msg_apply_changes")
def msg_apply_changes(process: Process) -> int:
    process.message.apply_changes()
    return 1


@kemi("textopsx.keep_hf")
def keep_hf(process: Process) -> int:
    return 1


# ---- strings --------------------------------------------------------------------------------------------------------


def _compare(first: str, second: str) -> int:
    return 1 if first == second else -1 if first > second else -2


@kemi("textops.cmp_str")
def cmp_str(process: Process, first: str, second: str) -> int:
    return _compare(first, second)


@kemi("textops.cmp_istr")
def cmp_istr(process: Process, first: str, second: str) -> int:
    return _compare(first.lower(), second.lower())


@kemi("textops.starts_with")
def starts_with(process: Process, text: str, prefix: str) -> int:
    return -1 if len(text) < len(prefix) else _compare(text[: len(prefix)], prefix)


@kemi("textops.ends_with")
def ends_with(process: Process, text: str, suffix: str) -> int:
    return -1 if len(text) < len(suffix) else _compare(text[len(text) - len(suffix) :], suffix)


@kemi("textops.str_find")
def str_find(process: Process, text: str, needle: str) -> int:
    found = text.find(needle)
    return found + 1 if found >= 0 else -1


@kemi("textops.str_ifind")
def str_ifind(process: Process, text: str, needle: str) -> int:
    found = text.lower().find(needle.lower())
    return found + 1 if found >= 0 else -1


@kemi("textops.str_any_in")
def str_any_in(process: Process, text: str, chars: str) -> int:
    return 1 if set(text) & set(chars) else -1


@kemi("textops.str_all_in")
def str_all_in(process: Process, text: str, chars: str) -> int:
    return 1 if text and chars and set(chars) <= set(text) else -1


@kemi("textops.in_list")
def in_list(process: Process, subject: str, items: str, separator: str) -> int:
    if not subject or not items or not separator:
        return -1
    return 1 if subject in [item.strip(" \t\r\n") for item in items.split(separator[0])] else -1


@kemi("textops.in_list_prefix")
def in_list_prefix(process: Process, subject: str, items: str, separator: str) -> int:
    if not subject or not items or not separator:
        return -1
    prefixes = [item.strip(" \t\r\n") for item in items.split(separator[0])]
    return 1 if any(prefix and subject.startswith(prefix) for prefix in prefixes) else -1


@kemi("textops.search_str")
def search_str(process: Process, text: str, regex: str) -> int:
    if not regex:
        return 2
    pattern = posix(regex)
    if not text or pattern is None:
        return -2
    return 1 if pattern.search(text) else -1
