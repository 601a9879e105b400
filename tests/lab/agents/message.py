"""SIP messages, as bytes that a test may spoil at will (RFC 3261, section 7).

Text is UTF-8 in which bytes that are none stand as lone surrogates (PEP 383), so whatever is read can be written again
byte by byte.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

Headers = Iterable[tuple[str, str]]

_COMPACT = {
    "i": "Call-ID",
    "f": "From",
    "t": "To",
    "v": "Via",
    "m": "Contact",
    "c": "Content-Type",
    "l": "Content-Length",
    "k": "Supported",
}
_BREAK = b"\r\n\r\n"


def to_text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def to_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


@dataclass(frozen=True)
class Body:
    """A message's body, and what its Content-Type says."""

    kind: str
    content: bytes


@dataclass
class Message:
    """A request or a response: `start` is its first line, `headers` are in the order of the wire."""

    start: str
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: Body | None = None

    @classmethod
    def parse(cls, packet: bytes) -> Message:
        """Read a packet; header names get the spelling of RFC 3261 where it has a compact form for them."""
        head, _, content = packet.partition(_BREAK)
        start, *lines = re.sub(r"\r\n[ \t]+", " ", to_text(head)).split("\r\n")
        headers = []
        for line in lines:
            name, _, value = line.partition(":")
            headers.append((_COMPACT.get(name.strip().lower(), name.strip()), value.strip()))
        message = cls(start, headers)
        if content:
            message.body = Body(message.header("Content-Type") or "", content)
        return message

    def encode(self) -> bytes:
        """The packet; Content-Type and Content-Length are those of the body, unless the headers name them."""
        names = {name.lower() for name, _ in self.headers}
        headers = list(self.headers)
        if self.body is not None and "content-type" not in names:
            headers.append(("Content-Type", self.body.kind))
        if "content-length" not in names:
            headers.append(("Content-Length", str(len(self.body.content) if self.body else 0)))
        head = "\r\n".join([self.start, *(f"{name}: {value}" for name, value in headers)])
        return to_bytes(head) + _BREAK + (self.body.content if self.body else b"")

    # --- what it says -------------------------------------------------------------------------------------------------

    def header(self, name: str) -> str | None:
        """The first header of a name."""
        return next((value for other, value in self.headers if other.lower() == name.lower()), None)

    def all(self, name: str) -> list[str]:
        """All values of a header that may hold several, each for itself; commas within <> do not part them."""
        values = [value for other, value in self.headers if other.lower() == name.lower()]
        return [part.strip() for value in values for part in re.split(r",(?![^<]*>)", value)]

    def want(self, name: str) -> str:
        """A header that must be there."""
        value = self.header(name)
        assert value is not None, f"no {name} in {self}"
        return value

    @property
    def status(self) -> int:
        """The status code; 0 in a request."""
        return int(self.start.split()[1]) if self.start.startswith("SIP/2.0 ") else 0

    @property
    def method(self) -> str:
        """The method: a request's own, or of the request that a response answers."""
        return self.cseq[1] if self.status else self.start.split(" ", 1)[0]

    @property
    def uri(self) -> str:
        return self.start.split(" ")[1]

    @property
    def cseq(self) -> tuple[int, str]:
        number, method = self.want("CSeq").split()
        return int(number), method

    @property
    def call_id(self) -> str:
        return self.header("Call-ID") or ""

    @property
    def from_tag(self) -> str:
        return parameter(self.want("From"), "tag")

    @property
    def to_tag(self) -> str:
        """Empty when there is none: a request that begins something."""
        return parameter(self.want("To"), "tag")

    @property
    def branch(self) -> str:
        """The branch of the topmost Via: the transaction (RFC 3261, section 17)."""
        return parameter(self.all("Via")[0], "branch")

    def __str__(self) -> str:
        words = self.start if self.status else f"{self.method} {self.uri}"
        tag = parameter(self.header("To") or "", "tag")
        dialog = f"CSeq {self.header('CSeq')}, Call-ID {self.call_id!r}, To tag {tag!r}"
        return f"{words} ({dialog}){f' with {self.body.kind}' if self.body else ''}"


def parameter(value: str, name: str) -> str:
    """A header parameter, of what stands after <URI>; empty when it is not there."""
    found = re.search(rf";\s*{name}=([^;\s,>]*)", value.rpartition(">")[2])
    return found[1] if found else ""


def uri_of(value: str) -> str:
    """The URI of a name-addr: `<sip:a@b;lr>;tag=1` has sip:a@b;lr."""
    found = re.search(r"<([^>]*)>", value)
    return found[1] if found else value.split(";")[0].strip()


def host_port(uri: str) -> tuple[str, int]:
    """Where a SIP URI points to, 5060 when it names no port."""
    found = re.match(r"sips?:(?:[^@]*@)?(\[[^\]]*\]|[^;:?>]+)(?::(\d+))?", uri)
    assert found is not None, f"not a SIP URI: {uri}"
    return found[1].strip("[]"), int(found[2] or 5060)
