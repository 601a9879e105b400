"""Media for the current SIP message: offer, answer, delete, and manage, which tells which of them is due."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import KSR
from kemi_rtp import module
from kemi_rtp.module import Reply
from kemi_rtp.nodes import Node
from kemi_rtp.state import SharedState
from kemi_rtp.view import Standing, View

ROUTE_PARAMETER = "kr"
"""Record-Route parameter that names a call's node, as its set id in hexadecimal."""

MAX_NODES = 3
"""Nodes that one offer is tried on at most."""
MAX_REFUSALS = 2
"""Nodes that may refuse an offer before the fault is taken to be the offer's own."""

# What the request of this transaction was, for its replies: "initial" or "dialog", with "+sdp" when it had SDP.
_REQUEST = "$avp(kemi_rtp_request)"
_ROUTE = f"$(route_uri{{uri.param,{ROUTE_PARAMETER}}})"

Permission = Callable[[Standing], bool]
Command = Callable[[Node, str], Reply]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a media command went; true when it went well or nothing was due.

    `code` and `reason` are the SIP answer to give otherwise; `node` is the node that served.
    """

    code: int = 200
    reason: str = ""
    node: Node | None = None

    def __bool__(self) -> bool:
        return self.code < 300


NOTHING_DUE = Outcome()


class Relay:
    """The media commands of one worker. `flags` are the rtpengine module's own, passed through as they are."""

    def __init__(self, state: SharedState) -> None:
        self._state = state

    # --- commands ----------------------------------------------------------------------------------------------------

    def offer(self, flags: str = "", pool: str = "default") -> Outcome:
        """Offer the SDP of the current message on the node of its call, or on one chosen for it.

        A call stays on its node. When that node is down, disabled or gone, or the call is new, a node is chosen from
        `pool`; a node that does not answer is marked down for all workers, and the next one tried. 503 when no node
        can take the call, 488 when nodes refuse the offer.
        """
        call_id = _call_id()
        view = self._state.view()
        bound = node = self._bound(view, call_id)
        permitted: Permission = _serves
        excluded: set[int] = set()
        refusals = 0
        while len(excluded) < MAX_NODES:
            if node is None:
                permitted = _takes_new_calls
                node = view.choose(pool, call_id, excluded)
                if node is None:
                    break
            excluded.add(node.set_id)
            reply, view = self._send(module.offer, node, flags, permitted)
            if reply is Reply.DONE:
                self._bind(call_id, node)
                return Outcome(node=node)
            if reply is Reply.REFUSED:
                refusals += 1
                KSR.warn(f"kemi_rtp: {node.name} refused the offer of call {call_id}\n")
                if refusals == MAX_REFUSALS or node is bound:
                    break
            elif reply is not None:  # None: taken out of service this moment, which `view` shows
                self._failed(node, reply, "offer")
                view = self._state.view()
            node = None
        if refusals:
            return Outcome(488, "Not Acceptable Here: the media relay refused the session description")
        return Outcome(503, f"no media node for this call: {view.why_none(pool)}")

    def answer(self, flags: str = "") -> Outcome:
        """Pass the SDP answer in the current message to the node that has the offer.

        When that node is disabled or down, nothing is sent and the SDP stays as it is.
        """
        call_id = _call_id()
        node = self._bound(self._state.view(), call_id)
        if node is None:
            return Outcome(503, "the node that has the offer is out of service")
        reply, _ = self._send(module.answer, node, flags, _serves)
        if reply is Reply.DONE:
            self._state.bind(call_id, node)
            return Outcome(node=node)
        if reply in (Reply.SILENT, Reply.LOST):
            self._failed(node, reply, "answer")
        return Outcome(503, f"{node.name} did not take the answer")

    def delete(self, flags: str = "") -> Outcome:
        """End the call's media. Nothing is sent to a node that is disabled or down: its session times out there."""
        call_id = _call_id()
        node = self._bound(self._state.view(), call_id)
        self._state.unbind(call_id)
        if node is None:
            return NOTHING_DUE
        reply, _ = self._send(module.delete, node, flags, _serves)
        if reply in (Reply.SILENT, Reply.LOST):
            self._failed(node, reply, "delete")
        return Outcome(node=node)

    def manage(self, flags: str = "", pool: str = "default") -> Outcome:
        """Do what is due for the current message: the cases of the module's rtpengine_manage().

        Requests: an offer for INVITE and UPDATE with SDP, a node for an INVITE without, an answer for ACK and PRACK
        with SDP, a delete for BYE and CANCEL. Replies: an answer when the request carried SDP, an offer when it did
        not. Failure of an initial INVITE: a delete; the failure of a re-INVITE leaves the call as it was (RFC 3261,
        section 14.1).
        """
        method = KSR.pv.get("$rm")
        if KSR.siputils.is_reply() > 0:
            return self._manage_reply(flags, pool)
        if KSR.tmx.t_is_failure_route() > 0:
            return self.delete(flags) if method == "INVITE" and not _in_dialog() else NOTHING_DUE
        if method in ("BYE", "CANCEL"):
            return self.delete(flags)
        sdp = KSR.sdpops.sdp_content() > 0
        if method in ("ACK", "PRACK"):
            if not sdp:
                return NOTHING_DUE
            KSR.pv.sets(_REQUEST, "dialog+sdp")
            return self.answer(flags)
        if method not in ("INVITE", "UPDATE"):
            return NOTHING_DUE
        KSR.pv.sets(_REQUEST, ("dialog" if _in_dialog() else "initial") + ("+sdp" if sdp else ""))
        if sdp:
            return self.offer(flags, pool)
        return self._reserve(pool) if method == "INVITE" else NOTHING_DUE

    def _manage_reply(self, flags: str, pool: str) -> Outcome:
        request = str(KSR.pv.get(_REQUEST) or "")
        status = int(str(KSR.pv.get("$rs")))
        if status >= 300:
            # Other branches may still answer: with a failure route armed, that one deletes when all have failed.
            return NOTHING_DUE
        if not request or KSR.sdpops.sdp_content() < 0:
            return NOTHING_DUE
        return self.answer(flags) if request.endswith("+sdp") else self.offer(flags, pool)

    # --- which node --------------------------------------------------------------------------------------------------

    def _bound(self, view: View, call_id: str) -> Node | None:
        """The node that the call's media is on, if it still serves its calls."""
        set_id = self._state.binding(call_id)
        if set_id is None and _in_dialog():
            set_id = _set_from_route()
        found = view.node(set_id) if set_id is not None else None
        return found[0] if found is not None and found[1].serves else None

    def _reserve(self, pool: str) -> Outcome:
        """Bind a call whose offer comes later, so that its Record-Route can name the node."""
        call_id = _call_id()
        view = self._state.view()
        node = self._bound(view, call_id) or view.choose(pool, call_id)
        if node is None:
            return Outcome(503, f"no media node for this call: {view.why_none(pool)}")
        self._bind(call_id, node)
        return Outcome(node=node)

    def _bind(self, call_id: str, node: Node) -> None:
        self._state.bind(call_id, node)
        if KSR.siputils.is_request() > 0 and not _in_dialog() and KSR.tmx.t_is_failure_route() < 0:
            KSR.rr.add_rr_param(f";{ROUTE_PARAMETER}={node.set_id:x}")

    # --- sending -----------------------------------------------------------------------------------------------------

    def _send(self, command: Command, node: Node, flags: str, permitted: Permission) -> tuple[Reply | None, View]:
        """Send one command to one node; None when the node was taken out of service before it could be sent."""
        self._state.enter(node.set_id)
        try:
            view = self._state.view()
            found = view.node(node.set_id)
            if found is None or found[0].url != node.url or not permitted(found[1]):
                return None, view
            reply = command(node, flags)
            if reply is Reply.LOST:
                reply = command(node, flags)
            return reply, view
        finally:
            self._state.leave()

    def _failed(self, node: Node, reply: Reply, what: str) -> None:
        cause = f"no answer to {what}" if reply is Reply.SILENT else f"{what} not sent: the rtpengine module lacks it"
        KSR.warn(f"kemi_rtp: {node.name} ({node.url}) is down: {cause}\n")
        self._state.mark_down(node, cause)


def _takes_new_calls(standing: Standing) -> bool:
    return standing.routable or standing.last_resort


def _serves(standing: Standing) -> bool:
    return standing.serves


def _call_id() -> str:
    return str(KSR.pv.get("$ci"))


def _in_dialog() -> bool:
    return KSR.siputils.has_totag() > 0


def _set_from_route() -> int | None:
    """The set id in the topmost Route of an in-dialog request: found even after a restart lost the binding."""
    value = KSR.pv.get(_ROUTE)
    try:
        return int(str(value), 16) if value else None
    except ValueError:
        return None
