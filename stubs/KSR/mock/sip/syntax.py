"""Pieces of SIP syntax: URIs, name-addr, Via (RFC 3261 section 25)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import lru_cache

_URI = re.compile(
    r"(?P<scheme>sips?|tel|urn):"
    r"(?:(?P<user>[^@;?:]*)(?::(?P<password>[^@]*))?@)?"
    r"(?P<host>\[[0-9a-fA-F:.]+\]|[^:;?>\s]*)"
    r"(?::(?P<port>\d+))?"
    r"(?P<params>;[^?]*)?"
    r"(?:\?(?P<headers>.*))?$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Uri:
    """A SIP URI in its parts; `params` is the text after the first semicolon."""

    text: str
    scheme: str = ""
    user: str = ""
    password: str = ""
    host: str = ""
    port: str = ""
    params: str = ""
    headers: str = ""

    @property
    def valid(self) -> bool:
        """Whether the text was a URI at all."""
        return bool(self.scheme) and bool(self.host)

    def param(self, name: str) -> str | None:
        """Return a parameter's value, "" when it has none, None when it is not there."""
        return find_param(self.params, name)

    def with_part(self, **parts: str) -> str:
        """Return the URI's text with some parts replaced."""
        new = replace(self, **parts)
        user = new.user + (f":{new.password}" if new.password else "")
        return (
            f"{new.scheme}:"
            + (f"{user}@" if user else "")
            + new.host
            + (f":{new.port}" if new.port else "")
            + (f";{new.params}" if new.params else "")
            + (f"?{new.headers}" if new.headers else "")
        )


@dataclass(frozen=True, slots=True)
class NameAddr:
    """A From, To, Contact, Route or Record-Route entry."""

    display: str
    uri: str
    params: str

    def param(self, name: str) -> str | None:
        """Return a header parameter (not one of the URI)."""
        return find_param(self.params, name)

    @property
    def tag(self) -> str | None:
        """The tag parameter of From and To."""
        return self.param("tag")


@dataclass(slots=True)
class Via:
    """One Via entry."""

    text: str
    proto: str
    host: str
    port: str
    params: dict[str, str | None] = field(default_factory=dict)

    @property
    def branch(self) -> str:
        """The branch parameter, empty when there is none."""
        return self.params.get("branch") or ""


@lru_cache(maxsize=1024)
def parse_uri(text: str) -> Uri:
    """Parse a URI; the result is not `valid` when the text is none."""
    found = _URI.match(text)
    if not found or (not found["host"] and found["scheme"].lower() not in ("tel", "urn")):
        return Uri(text)
    get = {name: value or "" for name, value in found.groupdict().items()}
    return Uri(
        text,
        scheme=get["scheme"],
        user=get["user"],
        password=get["password"],
        host=get["host"],
        port=get["port"],
        params=get["params"][1:],
        headers=get["headers"],
    )


@lru_cache(maxsize=1024)
def parse_name_addr(text: str) -> NameAddr:
    """Parse `"Name" <uri>;params` or `uri;params`."""
    text = text.strip()
    start = _open_bracket(text)
    if start < 0:
        uri, _, params = text.partition(";")
        return NameAddr("", uri.strip(), params)
    display = text[:start].strip()
    uri, _, rest = text[start + 1 :].partition(">")
    return NameAddr(display, uri, rest.strip().removeprefix(";"))


def _open_bracket(text: str) -> int:
    quoted = False
    for place, char in enumerate(text):
        if char == '"' and text[place - 1 : place] != "\\":
            quoted = not quoted
        elif char == "<" and not quoted:
            return place
    return -1


def parse_via(text: str) -> Via:
    """Parse one Via entry: `SIP/2.0/UDP host:port;branch=...`."""
    sent, *rest = text.strip().split(";")
    protocol, _, sent_by = sent.strip().partition(" ")
    host, colon, port = sent_by.strip().rpartition(":")
    if not colon or host.endswith(":") or port.endswith("]"):
        host, port = sent_by.strip(), ""
    params: dict[str, str | None] = {}
    for param in rest:
        name, equals, value = param.strip().partition("=")
        params[name.lower()] = value if equals else None
    return Via(text.strip(), protocol.rpartition("/")[2].lower(), host, port, params)


def find_param(params: str, name: str) -> str | None:
    """Find `name` in `a=1;b;c=2`; names compare in any case."""
    wanted = name.lower()
    for part in split_outside_quotes(params, ";"):
        key, equals, value = part.partition("=")
        if key.strip().lower() == wanted:
            return value.strip().strip('"') if equals else ""
    return None


def split_commas(text: str) -> list[str]:
    """Split a header body at the commas that are outside quotes and angle brackets."""
    return [part.strip() for part in split_outside_quotes(text, ",") if part.strip()]


def split_outside_quotes(text: str, separator: str) -> list[str]:
    """Split at a separator that is neither quoted nor inside angle brackets."""
    if '"' not in text and "<" not in text:
        return text.split(separator)
    parts: list[str] = []
    quoted = False
    depth = start = 0
    for place, char in enumerate(text):
        if char == '"' and text[place - 1 : place] != "\\":
            quoted = not quoted
        elif quoted:
            continue
        elif char == "<":
            depth += 1
        elif char == ">":
            depth -= 1
        elif char == separator and depth <= 0:
            parts.append(text[start:place])
            start = place + 1
    parts.append(text[start:])
    return parts


def uri_host(ip: str) -> str:
    """Return an address as a URI holds it: IPv6 in brackets."""
    return f"[{ip}]" if ":" in ip and not ip.startswith("[") else ip
