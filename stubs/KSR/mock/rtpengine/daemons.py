"""Fake rtpengine daemons: they answer NG commands, or do not, and keep a log of what reached them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from KSR.mock.rtpengine.flags import NgRequest


class State(Enum):
    """What a daemon does with a command."""

    ALIVE = "alive"
    DEAD = "dead"  # receives and is silent: a command costs rtpengine_tout_ms x rtpengine_retr
    CLOSED = "closed"  # nobody listens on the port: a command fails at once, nothing is received
    REFUSING = "refusing"  # answers offers and answers with an error, as to an SDP it does not understand
    FULL = "full"  # answers new calls with "Parallel session limit reached"
    OUT_OF_PORTS = "out of ports"  # answers new calls with "Ran out of ports"
    LOAD_LIMIT = "load limit"  # answers new calls with the result "load limit"


SESSION_LIMIT = "Parallel session limit reached"
NO_PORTS = "Ran out of ports"


@dataclass(frozen=True, slots=True)
class NgCommand:
    """One NG command that reached a daemon."""

    command: str
    call_id: str = ""
    from_tag: str = ""
    to_tag: str = ""
    flags: str = ""
    sdp: str = ""
    at: float = 0.0


@dataclass
class Daemon:
    """One fake rtpengine. `log` has every command that reached it, each retry counted."""

    url: str
    state: State = State.ALIVE
    log: list[NgCommand] = field(default_factory=list)
    calls: dict[str, list[str]] = field(default_factory=dict)
    next_port: int = 30000

    def commands(self, *names: str) -> list[NgCommand]:
        """Return the commands of these names ("offer", "delete" ...), or all."""
        return [command for command in self.log if not names or command.command in names]

    @property
    def answers(self) -> bool:
        """Whether a command gets any answer."""
        return self.state not in (State.DEAD, State.CLOSED)

    def answer(self, request: NgRequest) -> dict[str, str]:
        """Return the NG reply to one command."""
        command = request.command
        if command == "ping":
            return {"result": "pong"}
        if command in ("offer", "answer"):
            return self._offer_or_answer(request)
        known = self.calls.pop(request.call_id, None) if command == "delete" else self.calls.get(request.call_id)
        if known is not None:
            return {"result": "ok"}
        if command == "delete":
            return {"result": "ok", "warning": "Call-ID not found or tags didn't match"}
        return {"result": "error", "error-reason": "Unknown call-id"}

    def _offer_or_answer(self, request: NgRequest) -> dict[str, str]:
        new = request.call_id not in self.calls
        if self.state is State.REFUSING or not re.search(r"^m=", request.sdp, re.MULTILINE):
            return {"result": "error", "error-reason": "Failed to parse SDP"}
        if self.state is State.FULL and new:
            return {"result": "error", "error-reason": SESSION_LIMIT}
        if self.state is State.OUT_OF_PORTS and new:
            return {"result": "error", "error-reason": NO_PORTS}
        if self.state is State.LOAD_LIMIT and new:
            return {"result": "load limit", "message": "Parallel session limit reached"}
        if request.command == "answer" and new:
            return {"result": "error", "error-reason": "Unknown call-id"}
        self.calls.setdefault(request.call_id, []).append(request.command)
        return {"result": "ok", "sdp": self._rewrite(request.sdp)}

    def _rewrite(self, sdp: str) -> str:
        """Put this daemon's address and fresh ports into an SDP."""
        host = self.url.partition(":")[2].rpartition(":")[0].strip("[]") or "127.0.0.1"
        family = "IP6" if ":" in host else "IP4"
        sdp = re.sub(r"^c=IN IP[46] \S+", f"c=IN {family} {host}", sdp, flags=re.MULTILINE)

        def port(found: re.Match[str]) -> str:
            self.next_port += 2
            return f"{found[1]}{self.next_port}{found[3]}"

        return re.sub(r"^(m=\w+ )([1-9]\d*)( )", port, sdp, flags=re.MULTILINE)
