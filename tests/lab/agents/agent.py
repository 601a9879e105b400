"""A SIP user agent with its media: it sends what a test tells it to, and keeps what a test has not asked for yet.

    invite = a.invite(b)
    b.answer(b.receive("INVITE"), 200, b.sdp())
    a.ack(a.receive(200))
    a.bye()

By itself it absorbs retransmissions (`absorbs`), acknowledges refused INVITEs (RFC 3261, section 17.1.1.3), and keeps
for each dialog its route set and where the other's media goes.
"""

from __future__ import annotations

import contextlib
import random
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tests.lab.ports import Address, free_address

from .message import Body, Headers, Message, host_port, parameter, uri_of
from .rtp import Rtp
from .sdp import PCMA, PCMU, Stream, descriptions, sdp, streams
from .stage import Stage

REASONS = {
    100: "Trying",
    180: "Ringing",
    183: "Session Progress",
    200: "OK",
    302: "Moved Temporarily",
    401: "Unauthorized",
    407: "Proxy Authentication Required",
    408: "Request Timeout",
    480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist",
    486: "Busy Here",
    487: "Request Terminated",
    488: "Not Acceptable Here",
    491: "Request Pending",
    603: "Decline",
}


@dataclass
class Dialog:
    """One end of a call between two agents, established or early (RFC 3261, section 12)."""

    call_id: str
    local: str
    """From of the requests that this end sends, with its tag."""
    remote: str
    """To of the requests that this end sends, with the other's tag."""
    target: str
    routes: list[str]
    cseq: int
    media: Stream | None = None
    """Where the other's session description wants this end's media."""

    @property
    def key(self) -> tuple[str, str, str]:
        return self.call_id, parameter(self.local, "tag"), parameter(self.remote, "tag")


@dataclass
class Received:
    """One session description that an agent received, and in what."""

    message: Message
    text: str
    streams: list[Stream] = field(default_factory=list)


class Agent:
    """One user agent at a SIP address and an RTP address of its own, both of the proxy's family."""

    def __init__(self, name: str, stage: Stage) -> None:
        self.name = name
        self.stage = stage
        self.tag = f"{name}-{random.getrandbits(32):08x}"
        """Its tag in every dialog, unless a test gives another."""
        self.absorbs = True
        """Whether it takes a message that comes once more for a retransmission."""
        self.address: Address = free_address(stage.proxy.host)
        self.rtp = Rtp(name, stage.proxy.host)
        self.dialogs: dict[tuple[str, str, str], Dialog] = {}
        """By Call-ID, own tag and the other's tag; the last one is that of the call at hand."""
        self.descriptions: list[Received] = []
        self.inbox: list[Message] = []
        self._socket = socket.socket(socket.AF_INET6 if self.address.is_v6 else socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(self.address)
        self._socket.setblocking(False)
        self._invites: dict[str, tuple[Message, Address]] = {}  # what was sent where, by branch
        self._acks: dict[tuple[str, str, int], bytes] = {}  # of 2xx, by Call-ID, To tag and CSeq
        self._answers: dict[tuple[str, int, str], bytes | None] = {}  # by branch, CSeq and method of the request
        self._seen: set[bytes] = set()  # responses
        stage.enter(self)

    # --- how it is called ---------------------------------------------------------------------------------------------

    @property
    def uri(self) -> str:
        return f"sip:{self.name}@{self.address}"

    @property
    def contact(self) -> str:
        return f"<{self.uri}>"

    @property
    def dialog(self) -> Dialog:
        """The dialog that was touched last."""
        assert self.dialogs, f"{self.name} has no dialog"
        return next(reversed(self.dialogs.values()))

    def dialog_with(self, other: Agent) -> Dialog:
        """The latest dialog with another agent."""
        found = [one for one in self.dialogs.values() if parameter(one.remote, "tag") == other.tag]
        assert found, f"{self.name} has no dialog with {other.name}"
        return found[-1]

    def sdp(self, *codecs: int, profile: str = "RTP/AVP", attributes: Iterable[str] = ()) -> Body:
        """A session description of its own media."""
        return sdp(self.rtp.address, codecs or (PCMU, PCMA), profile=profile, attributes=attributes)

    # --- requests -----------------------------------------------------------------------------------------------------

    def register(self, user: str, expires: int = 60) -> None:
        """Register as a user of the proxy, and wait until it is done."""
        to = f"<sip:{user}@{self.stage.proxy}>"
        call_id = f"register-{self.tag}-{next(self.stage.numbers)}"
        request = self._begin("REGISTER", f"sip:{self.stage.proxy}", to, call_id)
        request.headers += [("Contact", self.contact), ("Expires", str(expires))]
        self.send(request)
        self.receive(200)

    def invite(
        self,
        to: Agent | str,
        body: Body | str | None = "own",
        *,
        call_id: str | None = None,
        again: Message | None = None,
        headers: Headers = (),
    ) -> Message:
        """Begin a call with an agent, with a user of the proxy, or with a `sip:` URI; with its own offer unless told.

        `again` is an earlier INVITE that was refused or sent elsewhere: the same Call-ID and From tag, the next CSeq
        (RFC 3261, sections 8.1.3.4 and 22.2).
        """
        request = self.unsent_invite(to, body, call_id=call_id, again=again, headers=headers)
        self.send(request)
        return request

    def unsent_invite(
        self,
        to: Agent | str,
        body: Body | str | None = "own",
        *,
        call_id: str | None = None,
        again: Message | None = None,
        headers: Headers = (),
    ) -> Message:
        """The same, for a test that changes it before it sends it."""
        uri = to.uri if isinstance(to, Agent) else to if to.startswith("sip:") else f"sip:{to}@{self.stage.proxy}"
        if again is not None:
            request = self._begin("INVITE", uri, again.want("To"), again.call_id, again.cseq[0] + 1)
        else:
            request = self._begin("INVITE", uri, f"<{uri}>", call_id or f"{self.tag}-{next(self.stage.numbers)}")
        request.headers += [("Contact", self.contact), ("Supported", "100rel"), *headers]
        request.body = self.sdp() if isinstance(body, str) else body
        return request

    def ack(self, response: Message, body: Body | None = None) -> Dialog:
        """Acknowledge a 2xx; returns its dialog."""
        dialog = self._dialog_of_response(response)
        dialog.cseq = max(dialog.cseq, response.cseq[0])
        request = self._within(dialog, "ACK", body, cseq=response.cseq[0])
        self._touch(dialog)
        self._acks[response.call_id, response.to_tag, response.cseq[0]] = self.send(request)
        return dialog

    def cancel(self, invite: Message) -> Message:
        """Cancel an INVITE that it sent (RFC 3261, section 9.1)."""
        request = Message(invite.start.replace("INVITE", "CANCEL", 1))
        request.headers = [
            (name, f"{invite.cseq[0]} CANCEL" if name == "CSeq" else value)
            for name, value in invite.headers
            if name in ("Via", "Max-Forwards", "From", "To", "Call-ID", "CSeq", "Route")
        ]
        self.send(request, self._invites[invite.branch][1])
        return request

    def prack(self, response: Message, body: Body | None = None) -> Message:
        """Acknowledge a reliable provisional response (RFC 3262)."""
        number, method = response.cseq
        rack = f"{response.want('RSeq')} {number} {method}"
        return self.within("PRACK", body, self._dialog_of_response(response), headers=[("RAck", rack)])

    def bye(self, dialog: Dialog | None = None) -> Message:
        return self.within("BYE", None, dialog)

    def reinvite(self, body: Body | str | None = "own", dialog: Dialog | None = None) -> Message:
        return self.within("INVITE", self.sdp() if isinstance(body, str) else body, dialog)

    def update(self, body: Body | str | None = "own", dialog: Dialog | None = None) -> Message:
        return self.within("UPDATE", self.sdp() if isinstance(body, str) else body, dialog)

    def within(
        self, method: str, body: Body | None = None, dialog: Dialog | None = None, *, headers: Headers = ()
    ) -> Message:
        """Send a request within a dialog: the one that was touched last, or another."""
        request = self.unsent(method, body, dialog, headers=headers)
        self.send(request)
        return request

    def unsent(
        self, method: str, body: Body | None = None, dialog: Dialog | None = None, *, headers: Headers = ()
    ) -> Message:
        """The same, for a test that changes it before it sends it."""
        dialog = dialog or self.dialog
        dialog.cseq += 1
        return self._within(dialog, method, body, headers=headers)

    # --- responses ----------------------------------------------------------------------------------------------------

    def answer(
        self,
        request: Message,
        code: int,
        body: Body | None = None,
        *,
        tag: str | None = None,
        reliable: int = 0,
        headers: Headers = (),
    ) -> Message:
        """Answer a request; `reliable` is the RSeq of a provisional response that is to be acknowledged (RFC 3262)."""
        response = Message(f"SIP/2.0 {code} {REASONS.get(code, 'Whatever')}")
        copied = [(name, value) for name, value in request.headers if name in ("Via", "From", "Call-ID", "CSeq")]
        to = request.want("To")
        if not request.to_tag and code > 100:
            to += f";tag={tag or self.tag}"
        response.headers = [*copied, ("To", to), *headers]
        response.headers += [("Record-Route", route) for route in request.all("Record-Route")]
        if code < 400 and code != 302:
            response.headers.append(("Contact", self.contact))
        if reliable:
            response.headers += [("Require", "100rel"), ("RSeq", str(reliable))]
        response.body = body
        if request.method == "INVITE" and 100 < code < 300:
            dialog = self._dialog_of_request(request, to)
            self._touch(dialog)
            if body is not None or code >= 200:
                self._take_media(dialog, request.body)
        elif request.method in ("UPDATE", "PRACK") and 200 <= code < 300 and request.body:
            self._take_media(self._dialog_of_request(request, to), request.body)
        packet = self.send_raw(response.encode(), Address(*_sent_by(request)))
        self.stage.note(self.name, f"--> {response}")
        self._answers[request.branch, request.cseq[0], request.method] = packet
        return response

    # --- what comes ---------------------------------------------------------------------------------------------------

    def receive(
        self, what: str | int, by: Agent | None = None, *, timeout: float = 3.0, to_tag: str | None = None
    ) -> Message:
        """The next request of a method, or the next response of a status code, that has not been asked for yet.

        `by` is the agent at the other end: who answered, by its tag, or who asked.
        """
        found: list[Message] = []

        def has_come() -> bool:
            for message in self.inbox:
                tag = message.to_tag if message.status else message.from_tag
                if (
                    (message.status or message.method) == what
                    and (by is None or tag == by.tag)
                    and (to_tag is None or tag == to_tag)
                ):
                    self.inbox.remove(message)
                    found.append(message)
                    return True
            return False

        self.stage.until(has_come, f"{self.name} receives {what}{f' of {by.name}' if by else ''}", timeout)
        return found[0]

    def has_received(self, what: str | int) -> bool:
        """Whether such a message is there that has not been asked for yet."""
        self.stage.poll()
        return any((message.status or message.method) == what for message in self.inbox)

    def sockets(self) -> list[tuple[socket.socket, Callable[[], None]]]:
        return [(self._socket, self._read), (self.rtp.socket, self.rtp.read)]

    def close(self) -> None:
        self._socket.close()
        self.rtp.close()

    # --- sending ------------------------------------------------------------------------------------------------------

    def send(self, request: Message, to: Address | None = None) -> bytes:
        """Send a request where its topmost Route points to; to the proxy, when it begins something."""
        if to is None:
            routes = request.all("Route")
            to = self.stage.proxy
            if routes or request.to_tag:
                to = Address(*host_port(uri_of(routes[0]) if routes else request.uri))
        if request.method == "INVITE":
            self._invites[request.branch] = request, to
        self.stage.note(self.name, f"--> {request}")
        return self.send_raw(request.encode(), to)

    def send_raw(self, packet: bytes, to: Address | None = None) -> bytes:
        """Send bytes, to the proxy unless told where."""
        self._socket.sendto(packet, to or self.stage.proxy)
        return packet

    def via(self) -> tuple[str, str]:
        """A Via header of a transaction of its own."""
        return "Via", f"SIP/2.0/UDP {self.address};rport;branch=z9hG4bK{random.getrandbits(64):016x}"

    def _begin(self, method: str, uri: str, to: str, call_id: str, cseq: int = 1) -> Message:
        return Message(
            f"{method} {uri} SIP/2.0",
            [
                self.via(),
                ("Max-Forwards", "70"),
                ("From", f"<{self.uri}>;tag={self.tag}"),
                ("To", to),
                ("Call-ID", call_id),
                ("CSeq", f"{cseq} {method}"),
            ],
        )

    def _within(
        self, dialog: Dialog, method: str, body: Body | None, *, cseq: int | None = None, headers: Headers = ()
    ) -> Message:
        request = Message(
            f"{method} {dialog.target} SIP/2.0",
            [
                self.via(),
                ("Max-Forwards", "70"),
                *(("Route", route) for route in dialog.routes),
                ("From", dialog.local),
                ("To", dialog.remote),
                ("Call-ID", dialog.call_id),
                ("CSeq", f"{cseq or dialog.cseq} {method}"),
                *headers,
            ],
            body,
        )
        if method in ("INVITE", "UPDATE"):
            request.headers.append(("Contact", self.contact))
        return request

    # --- reading ------------------------------------------------------------------------------------------------------

    def _read(self) -> None:
        while True:
            try:
                packet = self._socket.recv(65_536)
            except BlockingIOError:
                return
            except ConnectionError:
                continue  # what it sent found nobody
            self._take(Message.parse(packet), packet)

    def _take(self, message: Message, packet: bytes) -> None:
        if self.absorbs and self._is_again(message, packet):
            self.stage.note(self.name, f"<-- {message} (again)")
            return
        self.stage.note(self.name, f"<-- {message}")
        self.descriptions += [Received(message, text, streams(text)) for text in descriptions(message.body)]
        if message.status:
            if message.method == "INVITE" and message.status >= 300:
                self._acknowledge(message)
            elif message.to_tag and message.body:
                self._take_media(self._dialog_of_response(message), message.body)
        elif message.method == "ACK" and message.body and message.to_tag:
            self._take_media(self._dialog_of_request(message, message.want("To")), message.body)
        self.inbox.append(message)

    def _is_again(self, message: Message, packet: bytes) -> bool:
        if message.status:
            if message.method == "INVITE" and 200 <= message.status < 300:
                ack = self._acks.get((message.call_id, message.to_tag, message.cseq[0]))
                if ack is not None:
                    self.send_raw(ack)
            again = packet in self._seen
            self._seen.add(packet)
            return again
        key = (message.branch, message.cseq[0], message.method)
        again = key in self._answers
        if answer := self._answers.setdefault(key, None):
            self.send_raw(answer, Address(*_sent_by(message)))
        return again

    def _acknowledge(self, refusal: Message) -> None:
        """The ACK of a refusal belongs to the INVITE's transaction."""
        if refusal.branch not in self._invites:
            return
        invite, to = self._invites[refusal.branch]
        ack = Message(invite.start.replace("INVITE", "ACK", 1))
        ack.headers = [(name, value) for name, value in invite.headers if name in ("Via", "Max-Forwards", "Route")]
        ack.headers += [
            ("From", refusal.want("From")),
            ("To", refusal.want("To")),
            ("Call-ID", refusal.call_id),
            ("CSeq", f"{refusal.cseq[0]} ACK"),
        ]
        self.send(ack, to)

    # --- dialogs ------------------------------------------------------------------------------------------------------

    def _touch(self, dialog: Dialog) -> None:
        self.dialogs[dialog.key] = self.dialogs.pop(dialog.key)

    def _dialog_of_response(self, response: Message) -> Dialog:
        """The dialog at the caller's end, of a response with a To tag."""
        key = (response.call_id, response.from_tag, response.to_tag)
        if key not in self.dialogs:
            self.dialogs[key] = Dialog(
                response.call_id,
                response.want("From"),
                response.want("To"),
                uri_of(response.header("Contact") or response.want("To")),
                response.all("Record-Route")[::-1],
                response.cseq[0],
            )
        elif not self.dialogs[key].routes:
            self.dialogs[key].routes = response.all("Record-Route")[::-1]
        return self.dialogs[key]

    def _dialog_of_request(self, request: Message, to: str) -> Dialog:
        """The dialog at the callee's end, of a request that came; `to` is its To with the tag of this end."""
        key = (request.call_id, parameter(to, "tag"), request.from_tag)
        if key not in self.dialogs:
            self.dialogs[key] = Dialog(
                request.call_id,
                to,
                request.want("From"),
                uri_of(request.want("Contact")),
                request.all("Record-Route"),
                100,
            )
        return self.dialogs[key]

    def _take_media(self, dialog: Dialog, body: Body | None) -> None:
        for text in descriptions(body):
            with contextlib.suppress(IndexError):
                dialog.media = streams(text)[0]


def _sent_by(request: Message) -> tuple[str, int]:
    """Where a response goes to: what the topmost Via of its request says (RFC 3261, section 18.2.2; RFC 3581)."""
    via = request.all("Via")[0]
    host, port = host_port("sip:" + via.split()[1].split(";")[0])
    return parameter(via, "received") or host, int(parameter(via, "rport") or port)
