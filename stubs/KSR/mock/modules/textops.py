"""KSR.textops: search and edit the message, compare texts (textops/textops.c).

replace* take a regular expression or a text, subst* /regex/replacement/flags.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from KSR.mock.engine.behaviour import kemi
from KSR.mock.engine.regex import posix_regex
from KSR.mock.modules.hdr import hdr_remove
from KSR.mock.pv.variables import get, write
from KSR.mock.textops.edits import Replacement, apply, body_start, edit, header_places, headers_start
from KSR.mock.textops.substitution import parse_substitution

if TYPE_CHECKING:
    from KSR.mock.engine.process import Process

NO_CHANGE = 2


# ---- headers --------------------------------------------------------------------------------------------------------


@kemi("textops.is_present_hf")
def is_present_hf(process: Process, name: str) -> int:
    return 1 if name and process.message.first(name) is not None else -1


@kemi("textops.is_present_hf_re")
def is_present_hf_re(process: Process, regex: str) -> int:
    pattern = posix_regex(regex)
    return 1 if pattern and any(pattern.search(header.name) for header in process.message.headers) else -1


@kemi("textops.remove_hf")
def remove_hf(process: Process, name: str) -> int:
    return hdr_remove(process, name)


@kemi("textops.remove_hf_re")
def remove_hf_re(process: Process, regex: str) -> int:
    return remove_hf_exp(process, regex, r"(?!)")


@kemi("textops.remove_hf_exp")
def remove_hf_exp(process: Process, regex: str, skip: str) -> int:
    pattern, spared = posix_regex(regex), posix_regex(skip)
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


@kemi("textops.search_body")
def search_body(process: Process, regex: str) -> int:
    pattern = posix_regex(regex)
    return 1 if pattern and process.message.body and pattern.search(process.message.body) else -1


@kemi("textops.is_audio_on_hold")
def is_audio_on_hold(process: Process) -> int:
    message = process.message
    held = r"^(a=(sendonly|inactive)|c=IN IP4 0\.0\.0\.0)"
    return 1 if message.has_sdp and re.search(held, message.body, re.MULTILINE) else -1


# ---- message --------------------------------------------------------------------------------------------------------


@kemi("textops.search")
def search(process: Process, regex: str) -> int:
    pattern = posix_regex(regex)
    return 1 if pattern and pattern.search(process.message.text) else -1


@kemi("textops.search_hf")
def search_hf(process: Process, name: str, regex: str, which: str) -> int:
    pattern = posix_regex(regex)
    if pattern is None:
        return -1
    results = [bool(pattern.search(header.body)) for header in process.message.all(name)]
    if not results:
        return -1
    mode = {"f": results[0], "l": results[-1]}.get(which[:1].lower(), any(results))
    return 1 if mode else -1


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
    pattern = posix_regex(regex)
    if not text or pattern is None:
        return -2
    return 1 if pattern.search(text) else -1


# ---- replace ---------------------------------------------------------------------------------------------------------


def _replace(process: Process, regex: str, value: str, start: int, end: int | None, *, every: bool) -> int:
    pattern = posix_regex(regex)
    if pattern is None:
        return -1
    found: list[Replacement] = []
    for match in pattern.finditer(process.message.text[start:end]):
        if every and not match[0]:
            return -1
        found.append((match.start(), match.end(), value))
        if not every:
            break
    return apply(process, found, start)


@kemi("textops.replace")
def replace(process: Process, regex: str, value: str) -> int:
    return _replace(process, regex, value, headers_start(process.message), None, every=False)


@kemi("textops.replace_all")
def replace_all(process: Process, regex: str, value: str) -> int:
    return _replace(process, regex, value, headers_start(process.message), None, every=True)


@kemi("textops.replace_hdrs")
def replace_hdrs(process: Process, regex: str, value: str) -> int:
    message = process.message
    return _replace(process, regex, value, headers_start(message), body_start(message), every=False)


@kemi("textops.replace_body")
def replace_body(process: Process, regex: str, value: str) -> int:
    return _replace(process, regex, value, body_start(process.message), None, every=False)


@kemi("textops.replace_body_all", "textops.replace_body_atonce")
def replace_body_all(process: Process, regex: str, value: str) -> int:
    return _replace(process, regex, value, body_start(process.message), None, every=True)


def _replace_text(process: Process, start: int, end: int, old: str, new: str, mode: str) -> int:
    text = process.message.text
    if not old:
        return 1
    place = text.find(old, start, end)
    while place >= 0:
        edit(process, place, place + len(old), new)
        if mode[:1] in ("f", "F", ""):
            break
        # From here on Kamailio searches to the end of the message, also where only headers were asked for.
        place = text.find(old, place + len(old))
    return 1


@kemi("textops.replace_str")
def replace_str(process: Process, old: str, new: str, mode: str) -> int:
    return _replace_text(process, headers_start(process.message), len(process.message.text), old, new, mode)


@kemi("textops.replace_hdrs_str")
def replace_hdrs_str(process: Process, old: str, new: str, mode: str) -> int:
    return _replace_text(process, headers_start(process.message), body_start(process.message), old, new, mode)


@kemi("textops.replace_body_str")
def replace_body_str(process: Process, old: str, new: str, mode: str) -> int:
    if not process.message.body:
        return -1
    return _replace_text(process, body_start(process.message), len(process.message.text), old, new, mode)


# ---- subst ----------------------------------------------------------------------------------------------------------


def _subst(process: Process, expression: str, start: int) -> int:
    parsed = parse_substitution(process, expression)
    return -1 if parsed is None else apply(process, parsed.run(process.message.text[start:]), start)


@kemi("textops.subst")
def subst(process: Process, expression: str) -> int:
    return _subst(process, expression, headers_start(process.message))


@kemi("textops.subst_body")
def subst_body(process: Process, expression: str) -> int:
    return _subst(process, expression, body_start(process.message))


@kemi("textops.subst_uri")
def subst_uri(process: Process, expression: str) -> int:
    parsed = parse_substitution(process, expression)
    new = None if parsed is None else parsed.text(process.message.current_uri)
    if new is None:
        return -1
    process.message.new_uri = new
    return 1


@kemi("textops.subst_user")
def subst_user(process: Process, expression: str) -> int:
    parsed = parse_substitution(process, expression)
    new = None if parsed is None else parsed.text(str(get(process, "$rU") or ""))
    return -1 if new is None or not write(process, "$rU", new) else 1


@kemi("textops.subst_v")
def subst_v(process: Process, text: str, expression: str, variable: str) -> int:
    parsed = parse_substitution(process, expression)
    new = None if parsed is None else parsed.text(text)
    return -1 if new is None or not write(process, variable, new) else 1


@kemi("textops.subst_hf")
def subst_hf(process: Process, name: str, expression: str, which: str) -> int:
    """Replace in the first header of the name ("f"), the last ("l"), or all of them."""
    parsed = parse_substitution(process, expression)
    places = [(header, place) for header, place in header_places(process.message) if header.is_called(name)]
    if parsed is None or not places:
        return -1
    chosen = {"f": places[:1], "l": places[-1:]}.get(which[:1], places)
    return max(apply(process, parsed.run(header.body), place) for header, place in chosen)
