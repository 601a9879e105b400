"""The sessions of a call: the one that a usual call has, and the numbered ones of a call that is unusual.

A usual call comes here with its re-INVITEs and failures only. Numbers are made for an INVITE whose Call-ID has media
already (a retry while an old delete waits, a call that passes an application server), for offers per branch, for a
second 2xx, and for a call that moves: each has a call-id of its own at its node, so that the end of one cannot be the
end of another.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from os import getpid

import KSR
from kemi_rtp.model.binding import (
    ROOT,
    Binding,
    Kind,
    call_id_at_node,
    is_tag,
    key_of,
    list_of,
    parse,
    parse_numbers,
)
from kemi_rtp.shm.state.worker import WorkerState
from kemi_rtp.worker import route

LEANS = "~"
"""Between the number of a session and that of one that leans on it."""


@dataclass(frozen=True, slots=True)
class Session:
    """One session of a call: its number, or none, and its binding."""

    call_id: str
    number: str
    binding: Binding
    is_bound: bool = True
    """False: shared memory knows nothing of it, only the Route of a request does."""

    @property
    def is_offered(self) -> bool:
        """Whether its node may hold something of it: not where an INVITE without SDP has only reserved a node."""
        return self.binding.kind is not Kind.RESERVED

    @property
    def is_early(self) -> bool:
        """Whether nobody has accepted yet what it is there for."""
        return self.is_bound and not self.binding.to_tag

    @property
    def key(self) -> str:
        """Key of its binding."""
        return key_of(self.call_id, self.number) if self.number else self.call_id

    @property
    def id(self) -> str:
        """Its call-id at the node."""
        return call_id_at_node(self.call_id, self.number)

    def flags(self, flags: str) -> str:
        """A command's flags, for this session."""
        return flags_of(flags, self.call_id, self.number)


def flags_of(flags: str, call_id: str, number: str) -> str:
    """A command's flags for a session with a number."""
    return flags if number in ("", ROOT) else f"{flags} call-id={call_id_at_node(call_id, number)}"


def new_number() -> str:
    """A number that no other session of the call has: of the microsecond, and of the process."""
    return f"{time.time_ns() >> 10 & 0xFFFFFFFFFF:x}{getpid() & 0xFFFF:04x}"


def tag_in(name: str) -> str:
    """A tag of the current message, `$ft` or `$tt`, as a binding can hold it; empty when it has none."""
    value = str(KSR.pv.get(name) or "")
    return value if is_tag(value) else "".join(each if is_tag(each) else "?" for each in value)


def in_dialog(binding: Binding, kind: Kind) -> Binding:
    """A binding of this kind, and of the current message's dialog, if it is of none yet."""
    if binding.to_tag:
        return replace(binding, kind=kind)
    return replace(binding, kind=kind, from_tag=tag_in("$ft"), to_tag=tag_in("$tt"), settled=())


class Sessions:
    """The sessions that shared memory knows."""

    def __init__(self, state: WorkerState) -> None:
        self._state = state

    def numbers(self, call_id: str) -> tuple[str, ...] | None:
        """The numbers of a call's sessions; None for a call that has none."""
        return parse_numbers(self._state.binding(call_id))

    def numbered(self, call_id: str, number: str) -> Session | None:
        """A session by its number."""
        binding = parse(self._state.binding(key_of(call_id, number)))
        return Session(call_id, number, binding) if binding is not None else None

    def all(self, call_id: str) -> Iterator[Session]:
        """All sessions of a call with numbers, in the order in which they were made."""
        numbers = self.numbers(call_id)
        for number in numbers or ():
            if (session := self.numbered(call_id, number)) is not None:
                yield session

    def of_callee(self, call_id: str, tag: str) -> Session | None:
        """The session of the dialog with a callee, of a call with numbers."""
        return next((each for each in self.all(call_id) if each.binding.to_tag == tag), None)

    def of_invite(self, call_id: str, number: str) -> Session | None:
        """The session of an INVITE by the number that its transaction knows, which is none for a usual call's."""
        value = self._state.binding(call_id)
        if number or parse_numbers(value) is not None:
            return self.numbered(call_id, number or ROOT)
        binding = parse(value)
        return Session(call_id, "", binding) if binding is not None else None

    def of_request(self, call_id: str) -> Session | None:
        """The session that the current in-dialog request is about: by its tags, or by what its Route names."""
        named = route.named()
        if named is None and route.is_elsewhere():
            return None
        value = self._state.binding(call_id)
        numbers = parse_numbers(value)
        if numbers is None:
            binding = parse(value)
            if binding is not None:
                is_its = not binding.to_tag or binding.has_tags(tag_in("$ft"), tag_in("$tt"))
                return Session(call_id, "", binding) if is_its else None
            if value is not None or named is None:
                return None
            return Session(call_id, named.number, _unknown(named.set_id), is_bound=False)
        if (by_tags := self._by_tags(call_id)) is not None:
            return by_tags
        early = self.numbered(call_id, named.number or ROOT) if named is not None else None
        return early if early is not None and not early.binding.to_tag else None

    def _by_tags(self, call_id: str) -> Session | None:
        one, other = tag_in("$ft"), tag_in("$tt")
        found = [session for session in self.all(call_id) if session.binding.has_tags(one, other)]
        return next((session for session in found if session.binding.is_dialog), next(iter(found), None))

    # --- changes -----------------------------------------------------------------------------------------------------

    def put(self, session: Session) -> None:
        """Note a session, with its number in the list if it has one."""
        session = self._as_listed(session)
        if session.number:
            self._list(session.call_id, session.number)
        binding = session.binding
        if binding.kind is Kind.OFFERED and not binding.to_tag:
            self._state.bind(session.key, binding.set_id)
        else:
            self._state.bind_text(session.key, str(binding))

    def remove(self, session: Session) -> None:
        """Forget a session, and the call with its last one."""
        session = self._as_listed(session)
        self._state.unbind(session.key)
        if session.number and not any(self.all(session.call_id)):
            self._state.unbind(session.call_id)

    def _as_listed(self, session: Session) -> Session:
        """A session as it is called by now: another worker may have made a second one meanwhile."""
        if not session.number and self.numbers(session.call_id) is not None:
            return replace(session, number=ROOT)
        return session

    def _list(self, call_id: str, number: str) -> None:
        numbers = self.number_root(call_id) or ()
        if number not in numbers:
            self._state.bind_text(call_id, list_of((*numbers, number)))

    def number_root(self, call_id: str) -> tuple[str, ...] | None:
        """The numbers of a call; a session that it has without a number gets ROOT's. None when it has no session."""
        value = self._state.binding(call_id)
        numbers = parse_numbers(value)
        if numbers is None and parse(value) is not None and value is not None:
            if isinstance(value, int):
                self._state.bind(key_of(call_id, ROOT), value)
            else:
                self._state.bind_text(key_of(call_id, ROOT), value)
            numbers = (ROOT,)
            self._state.bind_text(call_id, list_of(numbers))
        return numbers


def _unknown(set_id: int) -> Binding:
    """What is known of a session that only a Route names: its node, and that its dialog stands."""
    return Binding(Kind.ANSWERED, set_id)
