"""Pseudo-variables that show parts of the current SIP message."""

from __future__ import annotations

from typing import TYPE_CHECKING

from KSR.mock.engine.behaviour import Result
from KSR.mock.pv.spec import ALL, Spec
from KSR.mock.pv.variables import getter, setter
from KSR.mock.sip.message import set_uri_part
from KSR.mock.sip.syntax import parse_uri, split_commas, uri_host

if TYPE_CHECKING:
    from KSR.mock.engine.process import Process

METHOD_IDS = {
    "INVITE": 1, "CANCEL": 2, "ACK": 4, "BYE": 8, "INFO": 16, "REGISTER": 32, "SUBSCRIBE": 64, "NOTIFY": 128,
    "MESSAGE": 256, "OPTIONS": 512, "PRACK": 1024, "UPDATE": 2048, "REFER": 4096, "PUBLISH": 8192,
}  # fmt: skip


def _or_null(text: str | None) -> str | None:
    return text or None


@getter("ci")
def _call_id(process: Process, spec: Spec) -> Result:
    return process.message.get("Call-ID")


@getter("ft")
def _from_tag(process: Process, spec: Spec) -> Result:
    return _or_null(process.message.from_.tag)


@getter("tt")
def _to_tag(process: Process, spec: Spec) -> Result:
    return _or_null(process.message.to.tag)


@getter("fu", "from")
def _from_uri(process: Process, spec: Spec) -> Result:
    return _or_null(process.message.from_.uri)


@getter("tu", "to")
def _to_uri(process: Process, spec: Spec) -> Result:
    return _or_null(process.message.to.uri)


@getter("fn")
def _from_name(process: Process, spec: Spec) -> Result:
    return _or_null(process.message.from_.display)


@getter("tn")
def _to_name(process: Process, spec: Spec) -> Result:
    return _or_null(process.message.to.display)


@getter("fU", "from.user")
def _from_user(process: Process, spec: Spec) -> Result:
    return _or_null(parse_uri(process.message.from_.uri).user)


@getter("fd", "from.domain")
def _from_domain(process: Process, spec: Spec) -> Result:
    return _or_null(parse_uri(process.message.from_.uri).host)


@getter("tU", "to.user")
def _to_user(process: Process, spec: Spec) -> Result:
    return _or_null(parse_uri(process.message.to.uri).user)


@getter("td", "to.domain")
def _to_domain(process: Process, spec: Spec) -> Result:
    return _or_null(parse_uri(process.message.to.uri).host)


# ---- request URI ----------------------------------------------------------------------------------------------------


@getter("ru", "ruri")
def _ruri(process: Process, spec: Spec) -> Result:
    message = process.message
    if message.is_http and not process.kamailio.line.since(6, 1):
        return None
    return message.current_uri if message.is_request else None


@getter("rU", "ruri.user", "rd", "ruri.domain", "rz")
def _ruri_part(process: Process, spec: Spec) -> Result:
    if not process.message.is_request:
        return None
    uri = parse_uri(process.message.current_uri)
    return _or_null({"rU": uri.user, "ruri.user": uri.user, "rz": uri.scheme}.get(spec.name, uri.host))


@getter("rp")
def _ruri_port(process: Process, spec: Spec) -> Result:
    if not process.message.is_request:
        return None
    uri = parse_uri(process.message.current_uri)
    return uri.port or ("5061" if uri.scheme == "sips" else "5060")


@getter("rP")
def _ruri_proto(process: Process, spec: Spec) -> Result:
    if not process.message.is_request:
        return None
    return (parse_uri(process.message.current_uri).param("transport") or "udp").lower()


@getter("ou", "ouri", "oU", "od", "op", "oP")
def _original_ruri(process: Process, spec: Spec) -> Result:
    message = process.message
    if not message.is_request:
        return None
    uri = parse_uri(message.uri)
    if spec.name == "oP":
        return (uri.param("transport") or "udp").lower()
    if spec.name == "op":
        return uri.port or "5060"
    return _or_null({"oU": uri.user, "od": uri.host}.get(spec.name, message.uri))


@setter("ru", "ruri")
def _set_ruri(process: Process, spec: Spec, value: Result) -> bool:
    if not isinstance(value, str):
        return False
    process.message.new_uri = value
    return True


@setter("rU", "ruri.user", "rd", "ruri.domain", "rp")
def _set_ruri_part(process: Process, spec: Spec, value: Result) -> bool:
    part = {"rU": "user", "ruri.user": "user", "rp": "port"}.get(spec.name, "host")
    if value is None and part == "host":
        return False
    set_uri_part(process.message, part, "" if value is None else str(value))
    return True


@getter("du", "duri", "dd", "di", "dp", "dP")
def _destination(process: Process, spec: Spec) -> Result:
    if process.message.dst_uri is None:
        return None
    uri = parse_uri(process.message.dst_uri)
    if spec.name == "dP":
        transport = uri.param("transport")
        return transport.lower() if transport else "UDP"  # in capitals when it is the default
    if spec.name == "dp":
        return uri.port or "5060"
    return process.message.dst_uri if spec.name in ("du", "duri") else uri.host


@setter("du", "duri")
def _set_destination(process: Process, spec: Spec, value: Result) -> bool:
    if isinstance(value, int):
        return False
    process.message.dst_uri = value
    return True


# ---- where it came from ---------------------------------------------------------------------------------------------


@getter("si", "src_ip")
def _source_ip(process: Process, spec: Spec) -> Result:
    return process.message.source.ip


@getter("siz")
def _source_ip_bracketed(process: Process, spec: Spec) -> Result:
    return uri_host(process.message.source.ip)


@getter("sp")
def _source_port(process: Process, spec: Spec) -> Result:
    return process.message.source.port


@getter("su", "sut")
def _source_uri(process: Process, spec: Spec) -> Result:
    source = process.message.source
    transport = f";transport={source.proto}" if spec.name == "sut" or source.proto != "udp" else ""
    return f"sip:{uri_host(source.ip)}:{source.port}{transport}"


@getter("sas")
def _source_socket(process: Process, spec: Spec) -> Result:
    source = process.message.source
    return f"{source.proto}:{uri_host(source.ip)}:{source.port}"


@getter("pr", "proto")
def _protocol(process: Process, spec: Spec) -> Result:
    return process.message.source.proto


@getter("Ri", "RAi")
def _received_ip(process: Process, spec: Spec) -> Result:
    return process.message.received.ip


@getter("Rp", "RAp")
def _received_port(process: Process, spec: Spec) -> Result:
    return process.message.received.port


@getter("Ru", "Rut", "RAu", "RAut")
def _received_uri(process: Process, spec: Spec) -> Result:
    received = process.message.received
    transport = f";transport={received.proto}" if spec.name.endswith("ut") or received.proto != "udp" else ""
    return f"sip:{uri_host(received.ip)}:{received.port}{transport}"


@getter("Ras")
def _received_socket(process: Process, spec: Spec) -> Result:
    received = process.message.received
    return f"{received.proto}:{uri_host(received.ip)}:{received.port}"


# ---- first line, headers, body --------------------------------------------------------------------------------------


@getter("rm")
def _method(process: Process, spec: Spec) -> Result:
    return process.message.cseq_method


@getter("rmid")
def _method_id(process: Process, spec: Spec) -> Result:
    return METHOD_IDS.get(process.message.cseq_method, 32768)


@getter("rs")
def _status(process: Process, spec: Spec) -> Result:
    return None if process.message.is_request else process.message.status


@getter("rr")
def _reason(process: Process, spec: Spec) -> Result:
    return None if process.message.is_request else process.message.reason


@getter("rv")
def _version(process: Process, spec: Spec) -> Result:
    return process.message.version


@getter("mt")
def _message_type(process: Process, spec: Spec) -> Result:
    return 1 if process.message.is_request else 2


@getter("cs")
def _cseq_number(process: Process, spec: Spec) -> Result:
    return str(process.message.cseq[0])


@getter("csb", "ua", "cT", "ct", "rt")
def _header_body(process: Process, spec: Spec) -> Result:
    name = {"csb": "CSeq", "ua": "User-Agent", "cT": "Content-Type", "ct": "Contact", "rt": "Refer-To"}[spec.name]
    return process.message.get(name)


@getter("cl")
def _content_length(process: Process, spec: Spec) -> Result:
    return int(process.message.get("Content-Length") or 0)


@getter("rb")
def _body(process: Process, spec: Spec) -> Result:
    return process.message.body


@getter("bs")
def _body_size(process: Process, spec: Spec) -> Result:
    return len(process.message.body.encode())


@getter("mb")
def _buffer(process: Process, spec: Spec) -> Result:
    return process.message.text


@getter("ml")
def _length(process: Process, spec: Spec) -> Result:
    return len(process.message.text.encode())


@getter("mi")
def _message_number(process: Process, spec: Spec) -> Result:
    return process.message.number


@getter("hdr")
def _header(process: Process, spec: Spec) -> Result:
    bodies = [header.body for header in process.message.all(spec.inner)]
    return pick(bodies, spec, ",")


@getter("hdrc")
def _header_count(process: Process, spec: Spec) -> Result:
    return len(process.message.all(spec.inner))


@getter("hfl")
def _header_entry(process: Process, spec: Spec) -> Result:
    entries = [part for header in process.message.all(spec.inner) for part in split_commas(header.body)]
    return pick(entries, spec, ",")


@getter("hflc")
def _header_entry_count(process: Process, spec: Spec) -> Result:
    return sum(len(split_commas(header.body)) for header in process.message.all(spec.inner))


def pick(values: list[str], spec: Spec, joiner: str) -> str | None:
    """Return the value that an index such as [1], [-1] or [*] picks."""
    if not values:
        return None
    if spec.index == ALL:
        return joiner.join(values)
    place = int(spec.index)
    return values[place] if -len(values) <= place < len(values) else None


@getter("route_uri")
def _route_uri(process: Process, spec: Spec) -> Result:
    routes = process.message.routes
    return routes[0].uri if routes else None


@getter("via0", "via1", "viaZ")
def _via(process: Process, spec: Spec) -> Result:
    vias = process.message.vias
    place = {"via0": 0, "via1": 1, "viaZ": -1}[spec.name]
    if not vias or (place == 1 and len(vias) < 2):
        return None
    via = vias[place]
    if spec.inner in ("host", "port", "proto"):
        return {"host": via.host, "port": via.port or "5060", "proto": via.proto.upper()}[spec.inner]
    return _or_null(via.params.get(spec.inner))


# ---- flags ----------------------------------------------------------------------------------------------------------


@getter("mf", "bf", "sf", "mF", "bF", "sF")
def _flags(process: Process, spec: Spec) -> Result:
    value = {"m": process.message.flags, "b": process.message.branch_flags, "s": 0}[spec.name[0]]
    return f"{value:08X}" if spec.name.endswith("F") else value


@setter("mf", "bf")
def _set_flags(process: Process, spec: Spec, value: Result) -> bool:
    if not isinstance(value, int):
        return False
    if spec.name == "mf":
        process.message.flags = value
    else:
        process.message.branch_flags = value
    return True
