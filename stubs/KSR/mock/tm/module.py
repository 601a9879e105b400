"""The tm module: its transactions in shared memory, and what the engine hands to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from KSR.mock.engine.exports import shared_memory
from KSR.mock.tm.replies import finish, handle_reply
from KSR.mock.tm.transaction import OutgoingBranch, Transaction

if TYPE_CHECKING:
    from KSR.mock.engine.kamailio import Kamailio
    from KSR.mock.engine.process import Process
    from KSR.mock.sip.message import SipMessage
    from KSR.mock.sip.sent import SentMessage


@shared_memory("tm")
class TmModule:
    """All transactions by their key, and the branches by the Via branch that they left with."""

    def __init__(self, kamailio: Kamailio) -> None:
        """Begin without any."""
        self.transactions: dict[str, Transaction] = {}
        self.branches: dict[str, tuple[Transaction, OutgoingBranch]] = {}
        self.auto_trying = True

    def branch_of(self, reply: SipMessage) -> tuple[Transaction, OutgoingBranch] | None:
        """Return the transaction and branch that a reply belongs to."""
        return self.branches.get(reply.vias[0].branch) if reply.vias else None

    def take_reply(self, process: Process, message: SipMessage) -> bool:
        """Run a reply through its transaction; False when it has none. The module's response function in Kamailio."""
        found = self.branch_of(message)
        if found is None:
            return False
        handle_reply(process, message, *found)
        return True

    def time_out(self, process: Process, request: SentMessage) -> None:
        """Let a relayed request run into its final response timer."""
        transaction, branch = self.branches[request.message.vias[0].branch]
        if branch.status < 200:
            branch.status, branch.reply = 408, None
            finish(process, transaction)
