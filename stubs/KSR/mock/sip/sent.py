"""What Kamailio sent: replies and relayed requests, in order, as text and as parsed messages."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from KSR.mock.sip.message import Address, SipMessage


@dataclass(eq=False)
class SentMessage:
    """A message that left Kamailio. `local` is true for a reply that Kamailio made itself."""

    text: str
    destination: Address
    local: bool = False
    branch: int = 0

    @cached_property
    def message(self) -> SipMessage:
        """The parsed message."""
        return SipMessage(self.text)

    @property
    def is_reply(self) -> bool:
        """Whether it is a reply."""
        return self.text.startswith("SIP/2.0 ")

    @property
    def code(self) -> int:
        """Status code of a reply."""
        return self.message.status

    @property
    def reason(self) -> str:
        """Reason phrase of a reply."""
        return self.message.reason

    @property
    def method(self) -> str:
        """Method of a request, or of the request a reply answers."""
        return self.message.cseq_method

    @property
    def uri(self) -> str:
        """Request URI."""
        return self.message.uri

    @property
    def body(self) -> str:
        """Body, after the edits."""
        return self.message.body

    def header(self, name: str) -> str | None:
        """Body of the first header with this name."""
        return self.message.get(name)

    def headers(self, name: str) -> list[str]:
        """Bodies of all headers with this name."""
        return [header.body for header in self.message.all(name)]


@dataclass
class Sent:
    """All that was sent so far."""

    messages: list[SentMessage] = field(default_factory=list)

    def add(self, message: SentMessage) -> None:
        """Note one more."""
        self.messages.append(message)

    @property
    def replies(self) -> list[SentMessage]:
        """The replies, forwarded and own ones."""
        return [message for message in self.messages if message.is_reply]

    @property
    def requests(self) -> list[SentMessage]:
        """The requests."""
        return [message for message in self.messages if not message.is_reply]
