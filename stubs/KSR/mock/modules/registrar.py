"""KSR.registrar: save contacts from a REGISTER, look them up for a request (registrar/save.c, lookup.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from KSR.mock.engine.behaviour import kemi
from KSR.mock.modules.sl import send_local_reply
from KSR.mock.modules.usrloc import DEFAULT_EXPIRES, Contact
from KSR.mock.pv.variables import get
from KSR.mock.sip.message import Branch, SipMessage
from KSR.mock.sip.syntax import parse_name_addr, split_commas

if TYPE_CHECKING:
    from KSR.mock.engine.process import Process


NO_REPLY = 2  # flag 0x02 of save()


def _expires(message: SipMessage, params: str) -> int:
    for part in params.split(";"):
        name, _, value = part.strip().partition("=")
        if name.lower() == "expires" and value.isdigit():
            return int(value)
    header = message.get("Expires")
    return int(header) if header is not None and header.isdigit() else DEFAULT_EXPIRES


@kemi("registrar.save")
def save(process: Process, table: str, flags: int) -> int:
    """Save the contacts of a REGISTER and answer it: 1 new, 2 renewed, 3 removed, 4 nothing but a question."""
    return save_uri(process, table, flags, "")


@kemi("registrar.save_uri")
def save_uri(process: Process, table: str, flags: int, uri: str) -> int:
    message, location = process.message, process.kamailio.location
    if not location.known(table):
        return -1
    aor = location.aor(uri or message.to.uri)
    contacts = location.tables[table].setdefault(aor, [])
    variable = str(process.kamailio.params.get(("registrar", "received_avp"), ""))
    received = str(get(process, variable) or "") if variable else ""
    result = 4
    is_new = not contacts
    for header in message.all("Contact"):
        for part in split_commas(header.body):
            if part == "*":
                contacts.clear()
                result = 3
                continue
            found = parse_name_addr(part)
            seconds = _expires(message, found.params)
            count = len(contacts)
            contacts[:] = [contact for contact in contacts if contact.uri != found.uri]
            renewed = len(contacts) < count
            if seconds:
                path = message.get("Path") or ""
                contacts.append(Contact(found.uri, process.kamailio.clock.now + seconds, received, path))
                result = 2 if renewed else 1
            else:
                result = 3 if renewed else result
    if is_new and result == 4 and message.first("Contact") is not None:
        result = 1
    if not flags & NO_REPLY:
        live = location.contacts(aor, table)
        now = process.kamailio.clock.now
        lines = [f"<{contact.uri}>;expires={int(contact.expires_at - now)}" for contact in live]
        if lines:
            message.reply_headers.append(f"Contact: {', '.join(lines)}\r\n")
        send_local_reply(process, message, 200, "OK")
    return result


@kemi("registrar.lookup")
def lookup(process: Process, table: str) -> int:
    """Put the contacts of the request URI's user into the destination set: 1; -1 not found."""
    return lookup_uri(process, table, "")


@kemi("registrar.lookup_uri")
def lookup_uri(process: Process, table: str, uri: str) -> int:
    message, location = process.message, process.kamailio.location
    if not location.known(table):
        return -1
    contacts = location.contacts(location.aor(uri or message.current_uri), table)
    if not contacts:
        return -1
    first, *others = contacts
    message.new_uri = first.uri
    message.dst_uri = first.received or message.dst_uri
    if first.path:
        message.dst_uri = parse_name_addr(first.path).uri
    message.branches.extend(Branch(contact.uri, contact.received) for contact in others)
    return 1


@kemi("registrar.registered")
def registered(process: Process, table: str) -> int:
    location = process.kamailio.location
    return 1 if location.contacts(location.aor(process.message.current_uri), table) else -1


@kemi("registrar.registered_uri")
def registered_uri(process: Process, table: str, uri: str) -> int:
    location = process.kamailio.location
    return 1 if location.contacts(location.aor(uri), table) else -1


@kemi("registrar.unregister")
def unregister(process: Process, table: str, uri: str) -> int:
    location = process.kamailio.location
    if not location.known(table):
        return -1
    location.tables[table].pop(location.aor(uri), None)
    return 1
