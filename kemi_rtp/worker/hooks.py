"""What a script decides about the media of the current message; asked only when it matters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class Hooks(Protocol):
    """The hooks of Routes that concern media: see there."""

    def flags(self) -> str:
        """The rtpengine module's flags for the current message."""
        ...

    def pool(self) -> str:
        """The pool that the call of the current message is placed in."""
        ...

    def keeps_lost_calls(self) -> bool:
        """Whether a call that has lost its node goes on with another one."""
        ...

    def offers_per_branch(self) -> bool:
        """Whether each branch gets an offer of its own."""
        ...

    def relays_once(self) -> bool:
        """Whether media is relayed once only, where a call passes this proxy more than once."""
        ...


@dataclass(frozen=True)
class Fixed:
    """The same, decided beforehand."""

    its_flags: str
    its_pool: str
    reanchor: bool = True

    def flags(self) -> str:
        """As given."""
        return self.its_flags

    def pool(self) -> str:
        """As given."""
        return self.its_pool

    def keeps_lost_calls(self) -> bool:
        """As given."""
        return self.reanchor

    def offers_per_branch(self) -> bool:
        """What a script offers in a branch route, it offers itself."""
        return False

    def relays_once(self) -> bool:
        """As is usual."""
        return True
