"""A SIP message as Kamailio sees it: what arrived, and the edits that show only in what is sent.

Kamailio keeps the received text and notes edits beside it ("lumps"): a header that a script appends is not there for
`KSR.hdr.get` until the message is sent or `KSR.textopsx.msg_apply_changes()` is called. This class does the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from KSR.mock.sip.syntax import NameAddr, Via, parse_name_addr, parse_uri, parse_via, split_commas

# RFC 3261 section 20 and the RFCs of the later headers.
COMPACT = {
    "a": "accept-contact", "b": "referred-by", "c": "content-type", "d": "request-disposition", "e": "content-encoding",
    "f": "from", "i": "call-id", "k": "supported", "l": "content-length", "m": "contact", "o": "event", "r": "refer-to",
    "s": "subject", "t": "to", "u": "allow-events", "v": "via", "x": "session-expires", "y": "identity",
}  # fmt: skip
COMPACT_OF = {name: letter for letter, name in COMPACT.items()}


class SipError(ValueError):
    """Text that Kamailio would refuse as a SIP message."""


@dataclass(eq=False, slots=True)
class Header:
    """One header line as it arrived; `sent_body` and `removed` say what becomes of it in what is sent."""

    name: str
    body: str
    sent_body: str = ""
    removed: bool = False

    def is_called(self, name: str) -> bool:
        """Compare names as SIP does: any case, long or compact form."""
        return canonical(self.name) == canonical(name)

    def __str__(self) -> str:
        return f"{self.name}: {self.sent_body}\r\n"


@dataclass(slots=True)
class Address:
    """Where a message came from or goes to."""

    ip: str = "127.0.0.1"
    port: int = 5060
    proto: str = "udp"

    def __str__(self) -> str:
        return f"{self.proto}:{self.ip}:{self.port}"


@dataclass(eq=False, slots=True)
class Insertion:
    """A text that goes into the sent message: before the header number `place` of the received one, or at the end.

    `text` may still grow until the message is sent, as a Record-Route header does.
    """

    place: int
    text: Callable[[], str]


@dataclass(eq=False)
class Branch:
    """One entry of the destination set beside the request URI."""

    uri: str
    dst_uri: str = ""
    path: str = ""
    q: str = ""
    flags: int = 0


def canonical(name: str) -> str:
    """Return a header name in lower case and in its long form."""
    lower = name.lower()
    return COMPACT.get(lower, lower)


@dataclass(eq=False)
class SipMessage:
    """A received message with the edits made to it so far."""

    text: str
    source: Address = field(default_factory=Address)
    received: Address = field(default_factory=Address)
    number: int = 0

    def __post_init__(self) -> None:
        """Parse the text, and set what a message begins with."""
        self.new_uri: str | None = None
        self.dst_uri: str | None = None
        self.path: str | None = None
        self.flags = 0
        self.branch_flags = 0
        self.branches: list[Branch] = []
        self.reply_headers: list[str] = []
        self.reply_body = ("", "")
        self.next_hop_route = False
        self.insertions: list[Insertion] = []
        self.new_body: str | None = None
        self.edits: list[tuple[int, int, str]] = []  # from, to, new text: see textops/edits.py
        self.force_rport = self.local_rport = False
        self.record_routed = False
        self.rr_params: list[str] = []
        self.loose_routed: str | None = None
        self.drop = False
        self.sdp_offered = False
        self._parse(self.text)

    # ---- reading ----------------------------------------------------------------------------------------------------

    def _parse(self, text: str) -> None:
        head, separator, body = text.partition("\r\n\r\n")
        if not separator:
            raise SipError(f"no empty line after the headers; lines end with CRLF: {text[:80]!r}")
        self.body = body
        lines = head.split("\r\n")
        self._parse_first_line(lines[0])
        self.headers: list[Header] = []
        for line in lines[1:]:
            if line[:1] in (" ", "\t") and self.headers:
                self.headers[-1].body += "\r\n" + line
                continue
            name, colon, value = line.partition(":")
            if not colon or not name.strip():
                raise SipError(f"not a header: {line!r}")
            self.headers.append(Header(name.rstrip(), value.strip()))
        for header in self.headers:
            header.sent_body = header.body
        self._vias: list[Via] | None = None

    def _parse_first_line(self, line: str) -> None:
        self.first_line = line
        parts = line.split(" ", 2)
        if len(parts) < 3:
            raise SipError(f"not a first line: {line!r}")
        self.is_request = not parts[0].startswith("SIP/2.0")
        if self.is_request:
            self.method, self.uri, self.version = parts
            self.status, self.reason = 0, ""
        else:
            self.version, code, self.reason = parts
            self.status, self.uri = int(code), ""
            self.method = ""

    def all(self, name: str) -> list[Header]:
        """Return the headers of that name in their order."""
        wanted = canonical(name)
        return [header for header in self.headers if canonical(header.name) == wanted]

    def first(self, name: str) -> Header | None:
        """Return the first header of that name."""
        wanted = canonical(name)
        for header in self.headers:
            if canonical(header.name) == wanted:
                return header
        return None

    def get(self, name: str) -> str | None:
        """Return the body of the first header of that name."""
        header = self.first(name)
        return None if header is None else header.body

    @property
    def vias(self) -> list[Via]:
        """The Via entries, topmost first."""
        if self._vias is None:
            self._vias = [parse_via(part) for header in self.all("Via") for part in split_commas(header.body)]
        return self._vias

    @property
    def from_(self) -> NameAddr:
        """The parsed From header."""
        return parse_name_addr(self.get("From") or "")

    @property
    def to(self) -> NameAddr:
        """The parsed To header."""
        return parse_name_addr(self.get("To") or "")

    @property
    def call_id(self) -> str:
        """The Call-ID, empty when there is none."""
        return self.get("Call-ID") or ""

    @property
    def cseq(self) -> tuple[int, str]:
        """Number and method of the CSeq header."""
        number, _, method = (self.get("CSeq") or "0 ").partition(" ")
        return int(number), method.strip()

    @property
    def cseq_method(self) -> str:
        """The method a request has, or a reply answers."""
        return self.method or self.cseq[1]

    @property
    def current_uri(self) -> str:
        """The request URI with the script's changes."""
        return self.uri if self.new_uri is None else self.new_uri

    @property
    def routes(self) -> list[NameAddr]:
        """The entries of the Route headers that arrived, topmost first."""
        return [parse_name_addr(part) for header in self.all("Route") for part in split_commas(header.body)]

    @property
    def content_type(self) -> str:
        """Media type of the body in lower case, without parameters."""
        return (self.get("Content-Type") or "").partition(";")[0].strip().lower()

    @property
    def is_http(self) -> bool:
        """Whether it is an HTTP request, as KSR.xhttp gets them."""
        return self.is_request and self.version.startswith("HTTP/")

    @property
    def has_sdp(self) -> bool:
        """Whether the body is an SDP (or holds one)."""
        return bool(self.body) and (
            self.content_type == "application/sdp"
            or (self.content_type.startswith("multipart/") and "application/sdp" in self.body.lower())
        )

    # ---- editing ----------------------------------------------------------------------------------------------------

    def insert(self, place: int, text: str | Callable[[], str]) -> None:
        """Note a text for the sent message, before header number `place`; texts at one place keep their order."""
        self.insertions.append(Insertion(place, text if callable(text) else lambda: text))

    def place_of(self, name: str) -> int | None:
        """Return the number of the first header with that name."""
        header = self.first(name)
        return None if header is None else self.headers.index(header)

    def render_headers(self) -> str:
        """Return the header block with all edits."""
        texts: dict[int, list[str]] = {}
        for insertion in self.insertions:
            texts.setdefault(insertion.place, []).append(insertion.text())
        parts: list[str] = []
        for number, header in enumerate(self.headers):
            parts.extend(texts.get(number, ()))
            if not header.removed:
                parts.append(str(header))
        parts.extend(texts.get(len(self.headers), ()))
        return "".join(parts)

    def render(self) -> str:
        """Return the whole message with all edits: what msg_apply_changes makes of it, and what is sent."""
        first = f"{self.method} {self.current_uri} {self.version}" if self.is_request else self.first_line
        body = self.body if self.new_body is None else self.new_body
        length = self.first("Content-Length")
        if length is not None:
            length.sent_body = str(len(body.encode()))
        elif self.new_body is not None:
            self.insert(len(self.headers), f"Content-Length: {len(body.encode())}\r\n")
        head = self.render_headers()
        return f"{first}\r\n{head}\r\n{body}"

    def branch_copy(self, branch: Branch) -> SipMessage:
        """Return the copy of this request that goes to one branch, with the edits made so far."""
        copy = SipMessage(self.text, self.source, self.received, self.number)
        for mine, theirs in zip(self.headers, copy.headers, strict=True):
            theirs.sent_body, theirs.removed = mine.sent_body, mine.removed
        copy.insertions = list(self.insertions)
        copy.new_uri = branch.uri
        copy.dst_uri = branch.dst_uri or None
        copy.path = branch.path or self.path
        copy.flags, copy.branch_flags = self.flags, branch.flags or self.branch_flags
        copy.new_body = self.new_body
        copy.record_routed, copy.rr_params = self.record_routed, self.rr_params
        copy.loose_routed, copy.force_rport, copy.local_rport = self.loose_routed, self.force_rport, self.local_rport
        copy.reply_headers = self.reply_headers
        return copy

    def cancel_text(self) -> str:
        """Return the CANCEL for this relayed request (RFC 3261 9.1)."""
        return self._hop_by_hop("CANCEL", self.get("To") or "")

    def ack_text(self, reply: SipMessage) -> str:
        """Return the ACK for a negative reply to this relayed INVITE (RFC 3261 17.1.1.3)."""
        return self._hop_by_hop("ACK", reply.get("To") or "")

    def _hop_by_hop(self, method: str, to: str) -> str:
        lines = [f"{method} {self.uri} SIP/2.0", f"Via: {self.get('Via')}", f"From: {self.get('From')}", f"To: {to}"]
        lines += [f"Call-ID: {self.call_id}", f"CSeq: {self.cseq[0]} {method}"]
        lines += [f"Route: {header.body}" for header in self.all("Route")]
        lines.append(f"Max-Forwards: {self.get('Max-Forwards') or 70}")
        return "\r\n".join([*lines, "Content-Length: 0", "", ""])

    def apply_changes(self) -> None:
        """Make the edits part of the received text."""
        self.text = self.render()
        self.insertions.clear()
        self.edits.clear()
        self.new_body = None
        self.new_uri = None
        self._parse(self.text)

    def __str__(self) -> str:
        return self.text


def set_uri_part(message: SipMessage, part: str, value: str) -> None:
    """Replace one part of the request URI."""
    message.new_uri = parse_uri(message.current_uri).with_part(**{part: value})
