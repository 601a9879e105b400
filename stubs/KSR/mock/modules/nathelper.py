"""KSR.nathelper: tests and repairs for clients behind NAT (nathelper/nathelper.c)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from KSR.mock.engine.behaviour import kemi
from KSR.mock.pv.variables import write
from KSR.mock.sip.message import Header, SipMessage
from KSR.mock.sip.syntax import Uri, parse_name_addr, parse_uri, uri_host

if TYPE_CHECKING:
    from KSR.mock.engine.process import Process

NO_CHANGE = 2
PROTO_NUMBERS = {"udp": 1, "tcp": 2, "tls": 3, "sctp": 4, "ws": 5, "wss": 6}
PRIVATE_NETS = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "192.0.0.0/24")


def is_private(host: str) -> bool:
    """Tell whether a host is an address of RFC 1918 or 6598; a name is not."""
    from ipaddress import AddressValueError, IPv4Address, IPv4Network  # here, to keep `import KSR` quick

    try:
        address = IPv4Address(host)
    except AddressValueError:
        return False
    return any(address in IPv4Network(net) for net in PRIVATE_NETS)


def _contact(message: SipMessage) -> tuple[Header, Uri] | None:
    header = message.first("Contact")
    if header is None:
        return None
    uri = parse_uri(parse_name_addr(header.body).uri)
    return (header, uri) if uri.valid else None


@kemi("nathelper.is_rfc1918")
def is_rfc1918(process: Process, host: str) -> int:
    return 1 if is_private(host) else -1


@kemi("nathelper.nat_uac_test")
def nat_uac_test(process: Process, tests: int) -> int:
    message = process.message
    via = message.vias[0]
    contact = _contact(message)
    host = contact[1].host if contact else ""
    contact_port = int(contact[1].port or 5060) if contact else message.source.port
    line = re.search(r"^c=IN IP[46] (\S+)", message.body, re.MULTILINE)
    results = {
        0x01: is_private(host),
        0x02: via.host.strip("[]") != message.source.ip,
        0x04: is_private(via.host),
        0x08: line is not None and is_private(line[1]),
        0x10: message.source.port != int(via.port or 5060),
        0x20: is_private(message.source.ip),
        0x40: message.source.proto in ("ws", "wss"),
        0x80: contact_port != message.source.port,
        0x100: line is not None and line[1] != message.source.ip,
    }
    return 1 if any(found for bit, found in results.items() if tests & bit) else -1


@kemi("nathelper.fix_nated_contact")
def fix_nated_contact(process: Process) -> int:
    message = process.message
    contact = _contact(message)
    if contact is None:
        return -1
    header, uri = contact
    new = uri.with_part(host=uri_host(message.source.ip), port=str(message.source.port))
    header.sent_body = header.sent_body.replace(uri.text, new)
    return 1


@kemi("nathelper.fix_nated_register")
def fix_nated_register(process: Process) -> int:
    source = process.message.source
    variable = str(process.kamailio.params.get(("nathelper", "received_avp"), "$avp(RECEIVED)"))
    write(process, variable, f"sip:{uri_host(source.ip)}:{source.port}")
    return 1


@kemi("nathelper.add_contact_alias")
def add_contact_alias(process: Process) -> int:
    """Add ;alias=ip~port~proto to the Contact URI; 2 when it shows the source address already."""
    contact, source = _contact(process.message), process.message.source
    if contact is not None:
        uri = contact[1]
        proto = (uri.param("transport") or "udp").lower()
        if (uri.host.strip("[]"), int(uri.port or 5060), proto) == (source.ip, source.port, source.proto):
            return NO_CHANGE
    return set_contact_alias(process)


@kemi("nathelper.set_contact_alias", "nathelper.set_contact_alias_trim")
def set_contact_alias(process: Process) -> int:
    """Add ;alias=ip~port~proto to the Contact URI, whatever it shows."""
    message = process.message
    contact = _contact(message)
    if contact is None:
        return NO_CHANGE if message.first("Contact") is None else -1
    header, uri = contact
    source = message.source
    alias = f"alias={uri_host(source.ip)}~{source.port}~{PROTO_NUMBERS[source.proto]}"
    new = uri.with_part(params=f"{alias};{uri.params}" if uri.params else alias)
    if "<" in header.sent_body:
        header.sent_body = header.sent_body.replace(uri.text, new, 1)
    else:
        header.sent_body = header.sent_body.replace(uri.text, f"<{new}>", 1)
    return 1


@kemi("nathelper.handle_ruri_alias")
def handle_ruri_alias(process: Process) -> int:
    """Take the alias off the request URI and make it the destination; 2 when there is none."""
    message = process.message
    uri = parse_uri(message.current_uri)
    alias = uri.param("alias")
    if not alias:
        return NO_CHANGE
    parts = alias.split("~")
    if len(parts) != 3 or not parts[2].isdigit():
        return -1
    names = {str(number): name for name, number in PROTO_NUMBERS.items()}
    proto = names.get(parts[2])
    if proto is None:
        return -1
    message.dst_uri = f"sip:{parts[0]}:{parts[1]}" + ("" if proto == "udp" else f";transport={proto}")
    rest = ";".join(part for part in uri.params.split(";") if not part.startswith("alias="))
    message.new_uri = uri.with_part(params=rest)
    return 1


@kemi("nathelper.handle_ruri_alias_mode")
def handle_ruri_alias_mode(process: Process, mode: int) -> int:
    return handle_ruri_alias(process)


@kemi("nathelper.add_rcv_param")
def add_rcv_param(process: Process, place: int) -> int:
    contact = _contact(process.message)
    if contact is None:
        return -1
    source = process.message.source
    contact[0].sent_body += f';received="sip:{uri_host(source.ip)}:{source.port};transport={source.proto}"'
    return 1
