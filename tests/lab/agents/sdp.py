"""Session descriptions: those that user agents send, and what is said in those that they receive (RFC 8866)."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from dataclasses import dataclass

from tests.lab.ports import Address

from .message import Body

PCMU, PCMA = 0, 8
_NAMES = {PCMU: "PCMU", PCMA: "PCMA", 101: "telephone-event"}
_versions = itertools.count(1)


def sdp(
    address: Address,
    codecs: Iterable[int] = (PCMU, PCMA),
    *,
    profile: str = "RTP/AVP",
    attributes: Iterable[str] = (),
) -> Body:
    """An audio stream at this address; `attributes` are further lines without their `a=`."""
    codecs = tuple(codecs)
    family = "IP6" if address.is_v6 else "IP4"
    lines = [
        "v=0",
        f"o=- {address.port} {next(_versions)} IN {family} {address.host}",
        "s=-",
        f"c=IN {family} {address.host}",
        "t=0 0",
        f"m=audio {address.port} {profile} {' '.join(map(str, codecs))}",
        *(f"a=rtpmap:{codec} {_NAMES[codec]}/8000" for codec in codecs),
        *(f"a={attribute}" for attribute in attributes),
    ]
    return Body("application/sdp", "".join(f"{line}\r\n" for line in lines).encode())


def multipart(*parts: Body, kind: str = "mixed", boundary: str = "lab-boundary") -> Body:
    """A multipart body of these parts (RFC 2046, section 5.1; RFC 5621)."""
    encoded = b"".join(
        f"--{boundary}\r\nContent-Type: {part.kind}\r\n\r\n".encode() + part.content + b"\r\n" for part in parts
    )
    return Body(f'multipart/{kind};boundary="{boundary}"', encoded + f"--{boundary}--\r\n".encode())


@dataclass(frozen=True)
class Stream:
    """One media stream, as a session description has it."""

    address: Address
    profile: str
    codecs: tuple[int, ...]


def descriptions(body: Body | None) -> list[str]:
    """The session descriptions in a body. A part that holds two of them gives two."""
    if body is None:
        return []
    if body.kind.lower().startswith("application/sdp"):
        parts = [body.content]
    elif found := re.search(r'multipart/.*boundary="?([^";]+)', body.kind, re.IGNORECASE):
        parts = []
        for part in body.content.split(b"--" + found[1].encode())[1:-1]:
            head, _, content = part.partition(b"\r\n\r\n")
            if b"application/sdp" in head.lower():
                parts.append(content)
    else:
        return []
    return [f"v=0{text}" for part in parts for text in re.split(r"(?:\A|\n)v=0", part.decode())[1:]]


def streams(description: str) -> list[Stream]:
    """The streams of one session description; a rejected one has port 0."""
    session, *sections = re.split(r"^(?=m=)", description, flags=re.MULTILINE)
    found = []
    for section in sections:
        connection = re.search(r"^c=IN IP[46] (\S+)", section, re.MULTILINE) or re.search(
            r"^c=IN IP[46] (\S+)", session, re.MULTILINE
        )
        line = re.match(r"m=\S+ (\d+)\S* (\S+)([ \d]*)", section)
        assert connection is not None, f"no c= for {section!r}"
        assert line is not None, f"not a stream: {section!r}"
        codecs = tuple(int(number) for number in line[3].split())
        found.append(Stream(Address(connection[1], int(line[1])), line[2], codecs))
    return found
