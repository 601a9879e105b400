"""KSR.rr: Record-Route and Route (rr/record.c, rr/loose.c)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from KSR.mock.engine.behaviour import kemi
from KSR.mock.engine.myself import uri_is_self
from KSR.mock.sip.message import Header, SipMessage
from KSR.mock.sip.syntax import NameAddr, find_param, parse_name_addr, parse_uri, split_commas, uri_host

if TYPE_CHECKING:
    from KSR.mock.engine.process import Process

DRIVEN, PRELOADED = 1, -3
E_CFG = -6


@kemi("rr.record_route")
def record_route(process: Process) -> int:
    return record_route_params(process, "")


@kemi("rr.record_route_params")
def record_route_params(process: Process, params: str) -> int:
    message = process.message
    if message.record_routed:
        process.kamailio.log_line("err", "rr: Double attempt to record-route")
        return -1
    tag = (message.to.tag if is_upstream(process) else message.from_.tag) or ""
    ftag = f";ftag={tag}" if tag and process.kamailio.params.get(("rr", "append_fromtag"), 1) else ""
    lr = ";lr=on" if process.kamailio.params.get(("rr", "enable_full_lr"), 0) else ";lr"
    host = f"{uri_host(message.received.ip)}:{message.received.port}"
    _insert(message, f"sip:{host}{transport_param(message)}{lr}{ftag}{params}")
    return 1


@kemi("rr.record_route_preset_one", "rr.record_route_advertised_address")
def record_route_preset(process: Process, address: str) -> int:
    message = process.message
    if message.record_routed:
        return -1
    tag = message.from_.tag or ""
    _insert(message, f"sip:{address};lr" + (f";ftag={tag}" if tag else ""))
    return 1


def _insert(message: SipMessage, uri: str) -> None:
    """Put the header above all others; parameters may be added to it until the request is sent."""
    params = message.rr_params
    message.record_routed = True
    message.insert(0, lambda: f"Record-Route: <{uri}{''.join(params)}>\r\n")


def transport_param(message: SipMessage) -> str:
    """Return the URI parameter of the transport that the message came over; UDP goes without."""
    return "" if message.received.proto == "udp" else f";transport={message.received.proto}"


@kemi("rr.add_rr_param")
def add_rr_param(process: Process, param: str) -> int:
    """Add to the Record-Route header, whether record_route() is already done or comes later."""
    process.message.rr_params.append(param)
    return 1


# ---- Route ----------------------------------------------------------------------------------------------------------


@kemi("rr.loose_route")
def loose_route(process: Process) -> int:
    return loose_route_mode(process, 0)


@kemi("rr.loose_route_preloaded")
def loose_route_preloaded(process: Process) -> int:
    return 1 if loose_route_mode(process, 0) == PRELOADED else -1


@kemi("rr.loose_route_mode")
def loose_route_mode(process: Process, mode: int) -> int:
    message = process.message
    if not message.is_request or not message.routes:
        return -1
    if message.to.tag:
        if mode == 0 and uri_is_self(process, message.current_uri):
            return _after_strict(process)
        return _after_loose(process, preloaded=False)
    return _after_loose(process, preloaded=True)


def _after_loose(process: Process, *, preloaded: bool) -> int:
    message = process.message
    entries = _entries(message)
    message.loose_routed = None
    if uri_is_self(process, entries[0][1].uri):
        top = entries.pop(0)
        message.loose_routed = parse_uri(top[1].uri).params
        removed = [top]
        if entries and "r2" in top[1].uri and find_param(message.loose_routed, "r2") is not None:
            removed.append(entries.pop(0))
        _remove_entries(message, removed)
        if not entries:
            return PRELOADED if preloaded else DRIVEN
        message.next_hop_route = True
    uri = entries[0][1].uri
    if find_param(parse_uri(uri).params, "lr") is not None:
        message.dst_uri = uri
        return DRIVEN
    # The next hop is a strict router: its URI becomes the request URI, and the one before goes to the Route's end.
    old = message.current_uri
    _remove_entries(message, [entries[0]])
    message.insert(len(message.headers), f"Route: <{old}>\r\n")
    message.new_uri = uri
    return DRIVEN


def _after_strict(process: Process) -> int:
    """The request URI is ours: a strict router before us put it there, and the last Route entry is the target."""
    message = process.message
    entries = _entries(message)
    message.loose_routed = parse_uri(message.current_uri).params
    top = entries[0][1].uri
    if len(entries) > 1 and find_param(parse_uri(top).params, "r2") is not None and uri_is_self(process, top):
        _remove_entries(message, [entries.pop(0)])
    if find_param(parse_uri(entries[0][1].uri).params, "lr") is None:
        message.new_uri = entries[0][1].uri
        _remove_entries(message, [entries[0]])
    else:
        message.dst_uri = entries[0][1].uri
        message.new_uri = entries[-1][1].uri
        _remove_entries(message, [entries[-1]])
    return DRIVEN


def _entries(message: SipMessage) -> list[tuple[Header, NameAddr, str]]:
    return [
        (header, parse_name_addr(part), part) for header in message.all("Route") for part in split_commas(header.body)
    ]


def _remove_entries(message: SipMessage, entries: list[tuple[Header, NameAddr, str]]) -> None:
    for header, _, part in entries:
        rest = split_commas(header.sent_body)
        rest.remove(part)
        header.sent_body = ",".join(rest)
        header.removed = not rest


def own_route_params(process: Process) -> str | None:
    """Return the parameters of our own topmost Route, also before loose_route(); None when there is none."""
    message = process.message
    if message.loose_routed:
        return message.loose_routed
    if not message.is_request or not message.routes or not uri_is_self(process, message.routes[0].uri):
        return None
    return parse_uri(message.routes[0].uri).params or None


@kemi("rr.check_route_param")
def check_route_param(process: Process, regex: str) -> int:
    params = own_route_params(process)
    try:
        pattern = re.compile(regex, re.IGNORECASE | re.MULTILINE)
    except re.error:
        return -1
    return 1 if params is not None and pattern.search(";" + params) else -1


def is_upstream(process: Process) -> bool:
    """Tell whether the request goes from callee to caller, by the ftag in our Route."""
    params = own_route_params(process)
    ftag = find_param(params, "ftag") if params else None
    tag = process.message.from_.tag
    return bool(ftag) and bool(tag) and ftag != tag


@kemi("rr.is_direction")
def is_direction(process: Process, direction: str) -> int:
    wanted = direction.lower()
    if wanted not in ("downstream", "upstream"):
        return E_CFG
    return 1 if is_upstream(process) == (wanted == "upstream") else -1


@kemi("rr.next_hop_route")
def next_hop_route(process: Process) -> int:
    return 1 if process.message.next_hop_route else -1


@kemi("rr.remove_record_route")
def remove_record_route(process: Process) -> int:
    for header in process.message.all("Record-Route"):
        header.removed = True
    return 1
