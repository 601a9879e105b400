"""One Kamailio process: what app_python3 keeps in private memory beside the script."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from KSR.mock.engine.exports import PRIVATE_MEMORY
from KSR.mock.sip.message import Address, SipMessage

if TYPE_CHECKING:
    from KSR.mock.engine.behaviour import Result
    from KSR.mock.engine.kamailio import Kamailio
    from KSR.mock.htable.iterators import Iterators
    from KSR.mock.modules.jsonrpcs import JsonRpcReply
    from KSR.mock.pv.xavp import Xavps
    from KSR.mock.rtpengine.module import Selection
    from KSR.mock.tm.transaction import Transaction

# Kamailio's core/fmsg.c: the message that KEMI calls outside a route see.
FAKED_MESSAGE = (
    "OPTIONS sip:you@kamailio.org SIP/2.0\r\n"
    "Via: SIP/2.0/UDP 127.0.0.1\r\n"
    "From: <sip:you@kamailio.org>;tag=123\r\n"
    "To: <sip:you@kamailio.org>\r\n"
    "Call-ID: 123\r\n"
    "CSeq: 1 OPTIONS\r\n"
    "Content-Length: 0\r\n\r\n"
)
FIRST_PID = 4000
REQUEST_ROUTE, REPLY_ROUTE, FAILURE_ROUTE, BRANCH_ROUTE, ONSEND_ROUTE, EVENT_ROUTE = (
    "request", "reply", "failure", "branch", "onsend", "event",
)  # fmt: skip


class Process:
    """A SIP worker (rank 1 and up), the main process (0) or a helper such as an rtimer (negative)."""

    # What modules keep in each process; each module makes its own (exports.py).
    iterators: Iterators
    rtpengine: Selection

    def __init__(self, kamailio: Kamailio, rank: int) -> None:
        """Begin with nothing but the rank."""
        self.kamailio = kamailio
        self.rank = rank
        self.pid = FIRST_PID + len(kamailio.processes)
        main = kamailio.processes[0] if kamailio.processes else None
        self.remembered_pid: int = main.remembered_pid if main else 0  # of $pp
        self.handler: object = None
        self.log_level: int | None = None
        self.reload_version = 0
        self.route_type = EVENT_ROUTE
        self.message = SipMessage(FAKED_MESSAGE, Address(), Address())
        self.faked = self.message
        self.vars: dict[str, Result] = {}
        self.avps: dict[str, list[Result]] = {}
        self.xavps: Xavps = []
        self.transaction: Transaction | None = None
        # The transaction that t_on_failure and the like are armed for before t_relay makes it.
        self.armed: dict[str, str] = {}
        self.jsonrpc_reply: JsonRpcReply | None = None
        self.pending: Exception | None = None
        self.expired_cell: tuple[str, Result] | None = None
        self.branch_index = 0
        for attribute, make in PRIVATE_MEMORY.items():
            setattr(self, attribute, make(self))

    def __repr__(self) -> str:
        return f"<process rank {self.rank}>"

    @property
    def name(self) -> str:
        """How messages name the process."""
        return f"process of rank {self.rank}"

    @property
    def in_reply(self) -> bool:
        """Whether the current message is a reply."""
        return not self.message.is_request

    @contextmanager
    def handling(self, message: SipMessage, route_type: str = REQUEST_ROUTE) -> Iterator[SipMessage]:
        """Make a message the current one of this process, and this process the current one of Kamailio."""
        kamailio = self.kamailio
        saved = (kamailio.process, self.message, self.route_type)
        kamailio.process, self.message, self.route_type = self, message, route_type
        try:
            yield message
        finally:
            kamailio.process, self.message, self.route_type = saved

    @contextmanager
    def within(self, transaction: Transaction, branch: int) -> Iterator[None]:
        """Make a transaction and its variables the current ones."""
        saved = (self.avps, self.xavps)
        self.avps, self.xavps = transaction.avps, transaction.xavps
        self.transaction, self.branch_index = transaction, branch
        try:
            yield
        finally:
            (self.avps, self.xavps), self.transaction = saved, None

    def begin_message(self) -> None:
        """Forget what belongs to the message before: Kamailio does this when it receives one."""
        # New ones: a transaction keeps those of its request.
        self.avps, self.xavps, self.armed = {}, [], {}
        self.transaction = None
        self.branch_index = 0
