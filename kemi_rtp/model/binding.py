"""Bindings: on which node the media of a call is, and which of its dialogs it serves.

A session is what rtpengine holds under one call-id. A usual call has one: its call-id is the SIP Call-ID, and its
binding is the set id of its node while nobody has accepted it (a plain number, which costs least), and the text form of
a Binding afterwards, or where the INVITE came without SDP. Only a call that is unusual has more, with numbers: then its
Call-ID holds the list of the numbers, and each session has a binding of its own. See the functions below for the keys
and values.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """How far the exchange of offer and answer has come (RFC 3264), and what a session is there for."""

    OFFERED = "o"
    """Offered; no 2xx yet."""
    RESERVED = "r"
    """The INVITE came without SDP, and nothing was offered yet: its node has nothing of it."""
    DELAYED = "d"
    """The INVITE came without SDP: the offer is in its replies, the answer in the ACK or a PRACK."""
    ANSWERED = "="
    """A dialog with its media."""
    LEANING = "~"
    """A second 2xx to the offer of session 0: its callee sends to the ports of that one."""
    KEPT = "-"
    """The dialog of session 0 is over; kept for those that lean on it."""


@dataclass(frozen=True, slots=True)
class Binding:
    """One session: the set id of its node, and the tags of its dialog, caller's and callee's, once it has one."""

    kind: Kind
    set_id: int
    from_tag: str = ""
    to_tag: str = ""
    settled: tuple[str, ...] = ()
    """Tags of callees whose offer in a provisional reply has had its answer, while there is no 2xx."""

    @property
    def is_dialog(self) -> bool:
        """Whether a 2xx has made it a dialog, which is not over."""
        return bool(self.to_tag) and self.kind is not Kind.KEPT

    def has_tags(self, one: str, other: str) -> bool:
        """Whether a request with these From and To tags, from either side, belongs to this dialog."""
        return {one, other} == {self.from_tag, self.to_tag}

    def __str__(self) -> str:
        return " ".join((f"{self.kind}{self.set_id}", self.from_tag, self.to_tag, *self.settled))


ENDED = "x"
"""Value of a Call-ID whose call is over, but for a delete that was put off."""
_LIST = "+"
ROOT = "0"
"""Number of the session that a call had before it had others: its call-id is the SIP Call-ID."""


def is_call_id(text: str) -> bool:
    """Whether a Call-ID is one: printable ASCII without blanks, and without the # that makes a session's own call-id.

    RFC 3261, section 25.1: word has neither. (A regular expression costs three times as much, on each call's way.)
    """
    return text.isascii() and text.isprintable() and " " not in text and "#" not in text and text != ""


def is_tag(text: str) -> bool:
    """Whether a tag is one, or none: it has neither blanks nor control characters (section 25.1: token)."""
    return text.isprintable() and " " not in text


def parse(value: str | int | None) -> Binding | None:
    """The binding that a value tells of; None when it tells of none."""
    if isinstance(value, int):
        return Binding(Kind.OFFERED, value)
    if not value or value[0] not in _KINDS:
        return None
    try:
        set_id, from_tag, to_tag, *settled = value[1:].split(" ")
        return Binding(_KINDS[value[0]], int(set_id), from_tag, to_tag, tuple(settled))
    except ValueError:  # nothing that this package wrote
        return None


_KINDS = {str(kind): kind for kind in Kind}


def key_of(call_id: str, number: str) -> str:
    """Key of the binding of a numbered session."""
    return f"{call_id}#{number}"


def call_id_at_node(call_id: str, number: str) -> str:
    """The call-id that rtpengine knows a session by."""
    return call_id if number in ("", ROOT) else f"{call_id}#{number}"


def list_of(numbers: Iterable[str]) -> str:
    """The value of a Call-ID with numbered sessions, in the order in which they were made."""
    return _LIST + " ".join(numbers)


def parse_numbers(value: str | int | None) -> tuple[str, ...] | None:
    """The numbers that a value lists; None when it is no list."""
    return tuple(value[1:].split()) if isinstance(value, str) and value.startswith(_LIST) else None


def set_of(value: str | int | None) -> int | None:
    """The set id of the node that a value binds a session to; None when it binds none."""
    found = parse(value)
    return found.set_id if found is not None else None
