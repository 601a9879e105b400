"""Calls one step at a time: a message is sent when Kamailio has dealt with the one before.

Caller and callee are two sockets. Addresses and Call-IDs are as long in every run, so that the same is parsed.
"""

import re
import socket
import time
from collections.abc import Sequence
from typing import Self

from tests.lab.ports import Address, free_address

MESSAGES = ("INVITE", "100", "180", "200", "ACK", "BYE", "200 (BYE)")
"""Of a usual call, as they come to Kamailio."""

_SDP = (
    "v=0\r\no=%s 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=audio %d RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
)
_HEADER = re.compile(r"^([\w-]+):[ \t]*(.*?)\r$", re.MULTILINE)
_COPIED = ("Via", "Record-Route", "From", "To", "Call-ID", "CSeq")


class Exchange:
    """A caller and a callee with a proxy between them."""

    def __init__(self, proxy: Address, timeout: float = 30.0) -> None:
        self._proxy = proxy
        self._timeout = timeout
        self._sockets: dict[str, socket.socket] = {}
        self._addresses: dict[str, Address] = {}
        for name in ("caller", "callee"):
            self._addresses[name] = free_address("127.0.0.1")
            self._sockets[name] = one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            one.bind(self._addresses[name])
        self._invites: dict[str, str] = {}
        """By Call-ID, as the callee got it."""
        self._byes: dict[str, str] = {}
        self._answers: dict[str, str] = {}
        """By Call-ID: the 200 that the caller got."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        for one in self._sockets.values():
            one.close()

    def step(self, message: str, call_ids: Sequence[str]) -> None:
        """Have so many calls go on by one of MESSAGES."""
        for call_id in call_ids:
            match message:
                case "INVITE":
                    self._send("caller", self._invite(call_id))
                    self._invites[call_id] = self._wait("callee", call_id, "INVITE ")
                case "100":
                    self._send("callee", self._reply(self._invites[call_id], "100 Trying"))
                case "180":
                    self._send("callee", self._reply(self._invites[call_id], "180 Ringing"))
                    self._wait("caller", call_id, "SIP/2.0 180")
                case "200":
                    self._send("callee", self._reply(self._invites.pop(call_id), "200 OK", _SDP % ("callee", 9000)))
                    self._answers[call_id] = answer = self._wait("caller", call_id, "SIP/2.0 200")
                    if not re.search(r"^c=IN IP4 127\.0\.1\.\d", answer, re.MULTILINE):
                        raise RuntimeError(f"the answer to {call_id} names no relay:\n{answer}")
                case "ACK":
                    self._send("caller", self._in_dialog("ACK", 1, self._answers[call_id]))
                    self._wait("callee", call_id, "ACK ")
                case "BYE":
                    self._send("caller", self._in_dialog("BYE", 2, self._answers.pop(call_id)))
                    self._byes[call_id] = self._wait("callee", call_id, "BYE ")
                case "200 (BYE)":
                    self._send("callee", self._reply(self._byes.pop(call_id), "200 OK"))
                    self._wait("caller", call_id, "SIP/2.0 200")
                case _:
                    raise ValueError(message)

    def _send(self, name: str, text: str) -> None:
        self._sockets[name].sendto(text.encode(), self._proxy)

    def _wait(self, name: str, call_id: str, start: str) -> str:
        """The message that begins so; what was sent again meanwhile, and provisional replies, are passed over."""
        one = self._sockets[name]
        deadline = time.monotonic() + self._timeout
        while (left := deadline - time.monotonic()) > 0:
            one.settimeout(left)
            try:
                text = one.recv(65_536).decode()
            except TimeoutError:
                break
            if _headers(text)["Call-ID"] != [call_id]:
                continue
            if text.startswith(start):
                return text
            if re.match(r"SIP/2\.0 [3-6]", text):
                raise RuntimeError(f"{call_id} was refused:\n{text}")
        raise RuntimeError(f"{call_id}: no {start.strip()!r} came to the {name}")

    def _invite(self, call_id: str) -> str:
        caller, callee = self._addresses["caller"], self._addresses["callee"]
        return _message(
            [
                f"INVITE sip:callee@{callee} SIP/2.0",
                f"Via: SIP/2.0/UDP {caller};branch=z9hG4bK-{call_id}-1",
                "Max-Forwards: 70",
                f"From: <sip:caller@{caller}>;tag=caller-{_tag(call_id)}",
                f"To: <sip:callee@{callee}>",
                f"Call-ID: {call_id}",
                "CSeq: 1 INVITE",
                f"Contact: <sip:caller@{caller}>",
            ],
            _SDP % ("caller", 7000),
        )

    def _in_dialog(self, method: str, number: int, answer: str) -> str:
        caller, callee = self._addresses["caller"], self._addresses["callee"]
        headers = _headers(answer)
        return _message(
            [
                f"{method} sip:callee@{callee} SIP/2.0",
                f"Via: SIP/2.0/UDP {caller};branch=z9hG4bK-{headers['Call-ID'][0]}-{method}",
                *(f"Route: {route}" for route in reversed(headers["Record-Route"])),
                *(f"{name}: {headers[name][0]}" for name in ("From", "To", "Call-ID")),
                f"CSeq: {number} {method}",
                "Max-Forwards: 70",
            ]
        )

    def _reply(self, request: str, status: str, body: str = "") -> str:
        headers = _headers(request)
        if ";tag=" not in headers["To"][0] and not status.startswith("100"):
            headers["To"][0] += f";tag=callee-{_tag(headers['Call-ID'][0])}"
        lines = [f"{name}: {value}" for name in _COPIED for value in headers.get(name, ())]
        return _message([f"SIP/2.0 {status}", *lines, f"Contact: <sip:callee@{self._addresses['callee']}>"], body)


def _tag(call_id: str) -> str:
    return call_id.partition("@")[0]  # an @ is no part of a tag


def _headers(text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in _HEADER.findall(text.partition("\r\n\r\n")[0] + "\r\n"):
        found.setdefault(name, []).append(value)
    return found


def _message(lines: list[str], body: str = "") -> str:
    head = [*lines, *(["Content-Type: application/sdp"] if body else []), f"Content-Length: {len(body)}"]
    return "\r\n".join(head) + "\r\n\r\n" + body
