"""Drive a script as app_python3 does: mod_init, child_init, and the routes by name.

Follows app_python3/python_exec.c and apy_kemi.c.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from KSR.mock.engine.errors import KemiFault
from KSR.mock.engine.process import (
    BRANCH_ROUTE,
    EVENT_ROUTE,
    FAILURE_ROUTE,
    FAKED_MESSAGE,
    ONSEND_ROUTE,
    REPLY_ROUTE,
    REQUEST_ROUTE,
    Process,
)
from KSR.mock.sip.message import SipMessage
from KSR.mock.sip.reply import render_forwarded, stateless_destination
from KSR.mock.sip.sent import SentMessage

if TYPE_CHECKING:
    from KSR.mock.engine.kamailio import Call, Kamailio
    from KSR.mock.tm.transaction import OutgoingBranch, Transaction


@dataclass
class Routed:
    """What happened while a message went through the script."""

    result: int
    sent: list[SentMessage] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)

    @property
    def replies(self) -> list[SentMessage]:
        """The replies that were sent."""
        return [message for message in self.sent if message.is_reply]

    @property
    def relayed(self) -> list[SentMessage]:
        """The requests that were sent."""
        return [message for message in self.sent if not message.is_reply]

    @property
    def reply(self) -> SentMessage:
        """The last reply; there must be one."""
        assert self.replies, "no reply was sent"
        return self.replies[-1]

    @property
    def request(self) -> SentMessage:
        """The one request that was relayed."""
        assert len(self.relayed) == 1, f"{len(self.relayed)} requests were relayed, not one"
        return self.relayed[0]


class Message:
    """The object that a route gets as its argument (python_msgobj.c), as far as scripts use it."""

    def __init__(self, message: SipMessage) -> None:
        """Show one message."""
        self._message = message

    @property
    def Type(self) -> str:
        """SIP_REQUEST or SIP_REPLY."""
        return "SIP_REQUEST" if self._message.is_request else "SIP_REPLY"

    @property
    def Method(self) -> str:
        """The method."""
        return self._message.cseq_method

    @property
    def Status(self) -> str | None:
        """The status of a reply, as text."""
        return None if self._message.is_request else str(self._message.status)

    @property
    def RURI(self) -> str:
        """The request URI."""
        return self._message.current_uri

    @property
    def src_address(self) -> tuple[str, int]:
        """Address and port of the sender."""
        return self._message.source.ip, self._message.source.port

    @property
    def dst_address(self) -> tuple[str, int]:
        """Address and port that received the message."""
        return self._message.received.ip, self._message.received.port

    def getHeader(self, name: str) -> str | None:
        """Return the body of a header."""
        return self._message.get(name)


def run_method(process: Process, name: str, message: SipMessage, *args: str, must_exist: bool = True) -> int:
    """Call a method of the script as apy_exec does, and return its result."""
    kamailio = process.kamailio
    kamailio.reload_if_marked(process)
    method = getattr(process.handler, name, None)
    if not callable(method):
        kamailio.log_line("err" if must_exist else "dbg", f"app_python3: {name} not found or is not callable")
        return _missing(process, name, must_exist=must_exist)
    process.pending = None if kamailio.line.major > 5 else process.pending
    try:
        result = method(Message(message), *args)
    except SystemExit:
        return -1
    except KemiFault:
        raise
    except Exception:
        if kamailio.faults == "test":
            raise
        import traceback  # here, to keep `import KSR` quick

        kamailio.log_line("err", f"app_python3: Unhandled exception in the Python code:\n{traceback.format_exc()}")
        return -1
    finally:
        _check_locks(process, name)
    if not isinstance(result, int):
        kamailio.fault(
            f"{name}() returned {result!r}, not an int",
            "a TypeError would stay pending in Kamailio 5.x and break the next KSR call of this worker",
        )
        process.pending = TypeError(f"'{type(result).__name__}' object cannot be interpreted as an integer")
        return -1
    return int(result)


def _missing(process: Process, name: str, *, must_exist: bool) -> int:
    kamailio = process.kamailio
    kind = type(process.handler).__name__
    if kamailio.line.major == 5 or must_exist:
        kamailio.fault(
            f"the script object ({kind}) has no {name}()",
            "an AttributeError would stay pending in Kamailio 5.x and break the next KSR call of this worker"
            if not must_exist
            else "Kamailio would log an error and go on as if the route had failed",
        )
        process.pending = AttributeError(f"'{kind}' object has no attribute '{name}'")
    return -1 if must_exist else 1


def _check_locks(process: Process, name: str) -> None:
    """A slot that stays locked after the route makes every other process wait."""
    if sys.exc_info()[0] is not None:
        return
    for table in process.kamailio.htables.values():
        for slot, (owner, _) in table.locks.items():
            if owner is process:
                process.kamailio.fault(
                    f"{name}() left slot {slot} of htable {table.name} locked "
                    "(sht_lock without sht_unlock, or an iterator without sht_iterator_end)",
                    "every other process of Kamailio would wait for it",
                )


# ---- routes that tm and others run ----------------------------------------------------------------------------------


def run_branch_route(process: Process, route: str, message: SipMessage) -> bool:
    """Run a branch route on its copy of the request; False when it drops the branch."""
    with process.handling(message, BRANCH_ROUTE):
        run_method(process, route, message)
    return not message.drop


def run_onsend(process: Process, message: SipMessage) -> None:
    """Run ksr_onsend_route for a request that leaves; a script that has none leaves an error pending in 5.x."""
    if process.handler is not None:
        with process.handling(message, ONSEND_ROUTE):
            run_method(process, "ksr_onsend_route", message, must_exist=False)


def run_reply_route(process: Process, transaction: Transaction, message: SipMessage, branch: OutgoingBranch) -> bool:
    """Run the reply route that is armed; False when it drops the reply, which only a provisional one suffers."""
    route = transaction.armed.get("reply")
    if not route:
        return True
    with process.within(transaction, branch.number), process.handling(message, REPLY_ROUTE):
        run_method(process, route, message)
    return not (message.drop and message.status < 200)


def run_failure_route(process: Process, transaction: Transaction, best: OutgoingBranch) -> bool:
    """Run the failure route, which has to be armed again for what it adds; False when there is none."""
    route = transaction.armed.pop("failure", "")
    if not route:
        return False
    request = transaction.request
    request.branches.clear()
    with process.within(transaction, best.number), process.handling(request, FAILURE_ROUTE):
        run_method(process, route, request)
    return True


def run_event(process: Process, callback: str, event: str) -> int:
    """Run the event callback of a module with the event's name."""
    message = SipMessage(FAKED_MESSAGE, number=process.kamailio.next_message_number())
    with process.handling(message, EVENT_ROUTE):
        return run_method(process, callback, message, event)


# ---- workers --------------------------------------------------------------------------------------------------------


class Worker:
    """A process with its own copy of the script object, as a fork makes it."""

    def __init__(self, process: Process, handler: object) -> None:
        """Take a process and the object that mod_init returned."""
        self.process = process
        self.kamailio: Kamailio = process.kamailio
        process.handler = handler

    @property
    def script(self) -> Any:
        """The script object of this worker."""
        return self.process.handler

    def child_init(self) -> int:
        """Run child_init with this worker's rank."""
        with self.process.handling(self.process.faked, EVENT_ROUTE):
            result: object = self.script.child_init(self.process.rank)
        if not isinstance(result, int) or isinstance(result, bool) or result < 0:
            raise KemiFault(f"child_init({self.process.rank}) returned {result!r}: Kamailio would not start")
        return result

    def request(self, message: SipMessage | str) -> Routed:
        """Receive a request."""
        received = self.kamailio.receive(message)
        self.process.begin_message()
        return self._drive(lambda: self._run_request(received))

    def _run_request(self, message: SipMessage) -> int:
        with self.process.handling(message, REQUEST_ROUTE):
            result = run_method(self.process, "ksr_request_route", message)
        self.process.transaction = None
        return result

    def reply(self, message: SipMessage | str) -> Routed:
        """Receive a reply: ksr_reply_route, then what its transaction has armed."""
        received = self.kamailio.receive(message)
        self.process.begin_message()
        return self._drive(lambda: self._run_reply(received))

    def _run_reply(self, message: SipMessage) -> int:
        with self.process.handling(message, REPLY_ROUTE):
            result = run_method(self.process, "ksr_reply_route", message, must_exist=False)
        if message.drop:
            return result
        if not self.kamailio.tm.take_reply(self.process, message):
            where = stateless_destination(message)
            if where is not None:
                self.kamailio.sent.add(SentMessage(render_forwarded(message), where))
        return result

    def timeout(self, request: SentMessage) -> Routed:
        """Let a relayed request run into its final response timer: 408, and the failure route."""

        def run() -> int:
            self.kamailio.tm.time_out(self.process, request)
            return 1

        return self._drive(run)

    def event(self, callback: str, event: str) -> Routed:
        """Run an event route: the callback of modparam event_callback, and the event's name."""
        return self._drive(lambda: run_event(self.process, callback, event))

    def http(self, text: str) -> Routed:
        """Receive an HTTP request, and run what modparam("xhttp", "event_callback", ...) names."""
        head, _, rest = text.partition("\r\n")
        # xhttp puts a Via into the request, so that the rest of Kamailio takes it for SIP.
        message = self.kamailio.receive(SipMessage(f"{head}\r\nVia: SIP/2.0/TCP 127.0.0.1:40000\r\n{rest}"))
        callback = str(self.kamailio.params.get(("xhttp", "event_callback"), ""))

        def call() -> int:
            with self.process.handling(message, EVENT_ROUTE):
                return run_method(self.process, callback, message, "xhttp:request")

        self.process.begin_message()
        return self._drive(call)

    def run(self, method: str, *args: str) -> Routed:
        """Run a method by name with the faked message, as rtimer and app_python3.exec do."""
        message = SipMessage(FAKED_MESSAGE, number=self.kamailio.next_message_number())

        def call() -> int:
            with self.process.handling(message, REQUEST_ROUTE):
                return run_method(self.process, method, message, *args)

        return self._drive(call)

    def _drive(self, run: Callable[[], int]) -> Routed:
        kamailio = self.kamailio
        sent, calls = len(kamailio.sent.messages), len(kamailio.calls)
        saved, kamailio.process = kamailio.process, self.process
        try:
            result = run()
        finally:
            kamailio.process = saved
        kamailio.check_faults()
        return Routed(result, kamailio.sent.messages[sent:], kamailio.calls[calls:])


def fork(handler: object) -> object:
    """Copy a script object for one more process; modules in it stay the same."""
    memo = {id(module): module for module in list(sys.modules.values())}
    try:
        return copy.deepcopy(handler, memo)
    except Exception as error:
        raise TypeError(
            f"{type(handler).__name__} cannot be copied for a second worker ({error}); "
            "give it __deepcopy__, or make each worker with ksr.worker(handler)"
        ) from error
