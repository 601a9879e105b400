"""KSR.siputils: questions about the message, its URIs and texts (siputils/checks.c)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from KSR.mock.engine.behaviour import kemi
from KSR.mock.modules.sl import send_local_reply
from KSR.mock.sip.message import set_uri_part
from KSR.mock.sip.syntax import parse_uri

if TYPE_CHECKING:
    from KSR.mock.engine.process import Process


@kemi("siputils.has_totag")
def has_totag(process: Process) -> int:
    return 1 if process.message.to.tag else -1


@kemi("siputils.is_request", "siputils.is_sip")
def is_request(process: Process) -> int:
    return 1 if process.message.is_request else -1


@kemi("siputils.is_reply")
def is_reply(process: Process) -> int:
    return -1 if process.message.is_request else 1


@kemi("siputils.is_first_hop")
def is_first_hop(process: Process) -> int:
    message = process.message
    return -1 if message.is_request and (len(message.vias) > 1 or message.first("Record-Route")) else 1


@kemi("siputils.is_numeric")
def is_numeric(process: Process, text: str) -> int:
    return 1 if re.fullmatch(r"[0-9]+", text) else -2


@kemi("siputils.is_alphanum")
def is_alphanum(process: Process, text: str) -> int:
    return is_alphanumex(process, text, "")


@kemi("siputils.is_alphanumex")
def is_alphanumex(process: Process, text: str, extra: str) -> int:
    if not text:
        return -2
    return 1 if all((char.isascii() and char.isalnum()) or char in extra for char in text) else -3


@kemi("siputils.is_uri")
def is_uri(process: Process, text: str) -> int:
    return 1 if parse_uri(text).valid else -1


@kemi("siputils.is_tel_number")
def is_tel_number(process: Process, text: str) -> int:
    return 1 if re.fullmatch(r"\+[1-9][0-9]*|[0-9]+", text) else -2


@kemi("siputils.cmp_uri")
def cmp_uri(process: Process, first: str, second: str) -> int:
    one, two = parse_uri(first), parse_uri(second)
    same = (one.user, one.host.lower(), one.port) == (two.user, two.host.lower(), two.port)
    return 1 if same and sorted(one.params.lower().split(";")) == sorted(two.params.lower().split(";")) else -1


@kemi("siputils.cmp_aor")
def cmp_aor(process: Process, first: str, second: str) -> int:
    one, two = parse_uri(first), parse_uri(second)
    return 1 if (one.user, one.host.lower(), one.port) == (two.user, two.host.lower(), two.port) else -1


@kemi("siputils.uri_param")
def uri_param(process: Process, name: str) -> int:
    """Return 1 for a parameter without value only: that is what the function looks for."""
    return 1 if parse_uri(process.message.current_uri).param(name) == "" else -1


@kemi("siputils.uri_param_value")
def uri_param_value(process: Process, name: str, value: str) -> int:
    return 1 if parse_uri(process.message.current_uri).param(name) == value else -1


@kemi("siputils.add_uri_param")
def add_uri_param(process: Process, param: str) -> int:
    uri = parse_uri(process.message.current_uri)
    set_uri_part(process.message, "params", f"{uri.params};{param}" if uri.params else param)
    return 1


@kemi("siputils.options_reply")
def options_reply(process: Process) -> int:
    message = process.message
    if message.method != "OPTIONS" or parse_uri(message.current_uri).user:
        return -1
    message.reply_headers += ["Accept: */*", "Accept-Encoding: ", "Accept-Language: en", "Supported: "]
    send_local_reply(process, message, 200, "OK")
    return 1
