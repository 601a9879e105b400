"""The SIP routes that app_python3 loads: edit them here, or override methods in a script of your own.

A script of your own, loaded by KEMI_RTP_SCRIPT in place of this one:

    import sys
    sys.path.append("/opt/kemi-rtp")          # the folder that holds kemi_rtp/
    import kemi_rtp
    kemi_rtp.forget_modules()                 # `app_python.reload` brings in changed package code too
    from kemi_rtp.routes import Routes

    class MyRoutes(Routes):
        def pool(self):
            return "eu" if KSR.pv.get("$fd") == "eu.example.com" else "default"

    def mod_init():
        return MyRoutes.load()

Methods named ksr_* are called by Kamailio; each calls the method of the same purpose. A request route ends
early by raising Done.
"""

import contextlib
import functools
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import KSR

if __name__ != "kemi_rtp.routes":  # loaded by its path: make the package importable, and fresh
    package = os.path.dirname(os.path.abspath(__file__))
    # Last, so that they shadow nothing; the folder itself stays because app_python.reload looks for this file there.
    sys.path[:] = [folder for folder in sys.path if folder != package] + [os.path.dirname(package), package]
    import kemi_rtp

    kemi_rtp.forget_modules()

from kemi_rtp import start
from kemi_rtp.model.log import inert, log
from kemi_rtp.shm.state.worker import WorkerState
from kemi_rtp.timer.changes import NodeChange
from kemi_rtp.timer.supervisor import Supervisor
from kemi_rtp.worker.due import Due
from kemi_rtp.worker.outcome import NOTHING_DUE, Outcome

PHRASES = {
    400: "Bad Request",
    481: "Call/Transaction Does Not Exist",
    488: "Not Acceptable Here",
    500: "Server Internal Error",
}
FLAG_NAT = 5
"""Message flag: the sender is behind NAT."""

R = TypeVar("R", bound="Routes")


class Done(Exception):  # noqa: N818 - the end of a route, not an error
    """Ends the current route: all that was to be done with the message is done."""


def route(method: Callable[..., None]) -> Callable[..., int]:
    """Make a method a route that Kamailio can call: nothing leaves it but an int, whatever happens inside.

    The method gets the name of the event or timer, where Kamailio tells one.
    """

    @functools.wraps(method)
    def guarded(self: "Routes", msg: object, name: str | None = None) -> int:
        try:
            if name is None:
                method(self)
            else:
                method(self, name)
        except Done:
            pass
        except Exception as error:
            self.tell_fault(method.__name__, error)
        return 1

    return guarded


class Routes:
    """A SIP registrar and proxy whose calls' media goes through rtpengine."""

    # --- hooks: what a site usually wants different -------------------------------------------------------------------

    def pool(self) -> str:
        """The pool of nodes.yaml that the call of the current message is placed in."""
        return "default"

    def flags(self) -> str:
        """The rtpengine module's flags for the current message: see its rtpengine_offer()."""
        return "replace-origin replace-session-connection ICE=remove"

    def wants_media(self) -> bool:
        """Whether the media of the current message's call goes through a node at all."""
        return True

    def may_use_proxy(self) -> bool:
        """Whether the sender of an initial request may use this proxy; the place for authentication."""
        return True

    def offers_per_branch(self) -> bool:
        """Whether each branch of the current INVITE gets an offer of its own, with flags() as they are in its route.

        For branches that need different flags (one to WebRTC, one to a plain phone), and for serial forks that may need
        another node. Otherwise all branches share what is offered in the request route, which costs less.
        """
        return False

    def relays_once(self) -> bool:
        """Whether media of a call that passes this proxy more than once, by way of an application server, is relayed
        only where it passes first.
        """
        return True

    def keeps_lost_calls(self) -> bool:
        """Whether a call whose node is down, disabled or gone goes on with another one from its next offer.

        When not, that re-INVITE or UPDATE is answered with 481, which ends the call.
        """
        return True

    def on_node_changes(self, changes: list[NodeChange]) -> None:
        """Nodes whose admin state or health has changed, in the timer's process; the place for alerts."""
        for change in changes:
            log(KSR.warn if change.after.reason else KSR.notice, str(change))

    # --- requests -----------------------------------------------------------------------------------------------------

    def request(self) -> None:
        """Every SIP request."""
        self.check_request()
        self.detect_nat()
        if self.method == "CANCEL":  # ends no media: the INVITE's final reply does
            if KSR.tm.t_check_trans() > 0:
                KSR.tm.t_relay()
            return
        if self.method != "ACK" and KSR.tmx.t_precheck_trans() > 0:
            # A retransmission of what another worker handles this moment. Nothing of tm may touch it: 6.1.5 takes a
            # transaction that was not relayed yet for an orphan then, and drops it.
            return
        if KSR.siputils.has_totag() > 0:
            self.in_dialog()
            return
        if KSR.tm.t_check_trans() == 0:  # a retransmission, answered
            return
        self.initial()

    def check_request(self) -> None:
        """Turn away what no proxy should handle."""
        if KSR.maxfwd.process_maxfwd(10) < 0:
            self.reply(483, "Too Many Hops")
        if self.method == "OPTIONS" and KSR.is_myself_ruri() and KSR.corex.has_ruri_user() < 0:
            self.reply(200, "Keepalive")
        if KSR.sanity.sanity_check(17895, 7) < 0:
            KSR.dbg(f"kemi_rtp: malformed message from {KSR.pv.get('$si')}:{KSR.pv.get('$sp')}\n")
            raise Done

    def in_dialog(self) -> None:
        """Requests within a call."""
        if KSR.rr.loose_route() > 0:
            self.follow_nat()
            if self.method == "ACK":
                self.media()
            elif self.method in ("BYE", "INVITE", "UPDATE", "PRACK"):
                self.media_or_reject()
            elif self.method == "NOTIFY":
                KSR.rr.record_route()
            self.relay()
        elif self.method == "ACK":
            if KSR.tm.t_check_trans() > 0:  # for a final reply that this proxy relayed
                KSR.tm.t_relay()
        else:
            self.reply(404, "Not here")

    def initial(self) -> None:
        """Requests that begin something."""
        if self.method == "ACK":
            return
        if self.method in ("BYE", "PRACK", "UPDATE"):
            self.reply(481, "Call/Transaction Does Not Exist")
        if not self.may_use_proxy():
            self.reply(403, "Forbidden")
        KSR.hdr.remove("Route")  # a preloaded route is not followed
        if self.method == "REGISTER":
            self.register()
            return
        if self.method in ("INVITE", "SUBSCRIBE", "REFER"):
            KSR.rr.record_route()
        self.find_callee()
        if self.method == "INVITE":
            self.media_or_reject(initial=True)
        self.relay()

    def register(self) -> None:
        """Keep the sender's contact."""
        if KSR.isflagset(FLAG_NAT):
            KSR.nathelper.fix_nated_register()
        if KSR.registrar.save("location", 0) < 0:
            KSR.sl.sl_reply_error()

    def find_callee(self) -> None:
        """Set where the request goes: a registered user of this proxy, or where its request URI says."""
        if not KSR.is_myself_ruri():
            return
        if KSR.corex.has_ruri_user() < 0:
            self.reply(484, "Address Incomplete")
        found = KSR.registrar.lookup("location")
        if found == -2:
            self.reply(405, "Method Not Allowed")
        if found < 0:
            self.reply(404, "Not Found")

    def relay(self) -> None:
        """Send the request on, with the routes that watch over its replies."""
        KSR.tm.t_on_branch("ksr_branch_route")
        KSR.tm.t_on_reply("ksr_onreply_route")
        if self.method in ("INVITE", "UPDATE", "PRACK"):
            KSR.tm.t_on_failure("ksr_failure_route")
        if KSR.tm.t_relay() >= 0:
            self.goes_on = True
        elif KSR.tmx.t_is_failure_route() < 0:
            self.not_relayed()
            KSR.sl.sl_reply_error()

    def not_relayed(self) -> None:
        """A request that could not be sent on, and is about to be answered: an INVITE's media ends."""
        if self.wants_media():
            self.rtp.not_relayed(self.flags())

    # --- media --------------------------------------------------------------------------------------------------------

    def media(self, *, initial: bool = False) -> Outcome:
        """Do for the media what the current request calls for: an `initial` one, or one within a dialog."""
        if not self.wants_media():
            return NOTHING_DUE
        return self.rtp.request(self, self.method, initial=initial)

    def media_or_reject(self, *, initial: bool = False) -> None:
        """The same for a request that cannot go on without its media.

        An INVITE gets its transaction first: a retransmission must find it while a node is waited for.
        """
        if self.method == "INVITE" and KSR.tm.t_newtran() <= 0:  # another worker has it; or tm cannot, and says so
            raise Done
        outcome = self.media(initial=initial)
        if outcome.code < 300:
            return
        KSR.warn(f"kemi_rtp: call {inert(KSR.pv.get('$ci'))} is answered with {outcome.code}: {outcome.reason}\n")
        text = outcome.reason.replace("\\", "").replace('"', "'")
        KSR.hdr.append_to_reply(f'Reason: SIP;cause={outcome.code};text="{text}"\r\n')
        self.reply(outcome.code, PHRASES.get(outcome.code, "Media Service Unavailable"))

    # --- NAT ----------------------------------------------------------------------------------------------------------

    def detect_nat(self) -> None:
        """Answer to where the request came from; remember a sender behind NAT."""
        KSR.force_rport()
        if KSR.nathelper.nat_uac_test(19) > 0:
            if self.method != "REGISTER" and KSR.siputils.is_first_hop() > 0:
                KSR.nathelper.set_contact_alias()
            KSR.setflag(FLAG_NAT)

    def follow_nat(self) -> None:
        """Send an in-dialog request to where its receiver really is."""
        if not KSR.isdsturiset():
            KSR.nathelper.handle_ruri_alias()

    # --- replies, branches, failures ----------------------------------------------------------------------------------

    def reply_from_callee(self) -> None:
        """Every reply to a relayed request."""
        outcome = self.rtp.reply(self) if self.wants_media() else NOTHING_DUE
        if outcome.code >= 300 and self.rtp.tell_once():
            KSR.warn(f"kemi_rtp: call {inert(KSR.pv.get('$ci'))} goes on without relayed media: {outcome.reason}\n")
        if KSR.nathelper.nat_uac_test(1) > 0:
            KSR.nathelper.set_contact_alias()

    def branch(self) -> None:
        """Every branch of a relayed request, before it is sent."""
        if not self.offers_per_branch() or not KSR.is_INVITE():
            return
        outcome = self.rtp.branch(self)
        if not outcome:
            KSR.warn(f"kemi_rtp: a branch of call {inert(KSR.pv.get('$ci'))} is dropped: {outcome.reason}\n")
            KSR.set_drop()

    def failure(self) -> None:
        """A request that no branch has accepted; an INVITE's media ends then, unless it is relayed once more here.

        The place for serial forking: set the next destination and relay, as in `KSR.seturi(...)`, `self.relay()`. The
        next callee gets the same offer. When it may need other flags, or another node because the first one is down by
        now, let offers_per_branch() say so.
        """

    def reply(self, code: int, reason: str) -> None:
        """Answer the request and end the route."""
        KSR.sl.send_reply(code, reason)
        raise Done

    def tell_fault(self, name: str, fault: Exception) -> None:
        """An exception in a route is logged with its traceback; a request that it left unanswered gets 500.

        For bytes that are no text, where SIP has only text, that is 400, and no fault (RFC 3261, section 25.1).
        """
        code, phrase = 500, "Server Internal Error"
        if isinstance(fault, UnicodeDecodeError):
            code, phrase = 400, "Bad Request"
            KSR.dbg(f"kemi_rtp: {name}: a message with a Call-ID, tag or the like that is no text\n")
        else:
            for line in "".join(traceback.format_exception(fault)).splitlines():
                KSR.err(f"kemi_rtp: {name}: {line}\n")
        if name == "ksr_request_route" and not self.goes_on and not KSR.is_ACK():
            with contextlib.suppress(Exception):
                self.not_relayed()
            KSR.sl.send_reply(code, phrase)

    # --- called by Kamailio -------------------------------------------------------------------------------------------

    @classmethod
    def load(cls: type[R]) -> R:
        """What a script's mod_init returns. Ends Kamailio's start when nodes.yaml or the registry are unusable."""
        routes = cls()
        if not start.is_over():
            try:
                routes.begun = start.begin(routes.nodes_path)
            except start.StartError as error:
                for line in str(error).splitlines():
                    KSR.crit(f"kemi_rtp: {line}\n")
                KSR.crit("kemi_rtp: Kamailio is not started\n")
                sys.exit(1)
        return routes

    def __init__(self) -> None:
        self.rtp = Due(WorkerState())
        self.nodes_path = Path(str(KSR.pv.get("$def(KEMI_RTP_NODES)") or "").strip('"'))
        self.method = ""  # of the request that this process handles, in its request and failure routes
        self.goes_on = False  # whether it was relayed, or once more after it had failed
        self.begun: start.Begun | None = None  # what Kamailio was started with; None when the script is loaded again

    @functools.cached_property
    def supervisor(self) -> Supervisor:
        """The work of the timer's process, and of no other."""
        return Supervisor(self.nodes_path, self.on_node_changes, self.begun)

    def child_init(self, rank: int) -> int:
        """Each process, after it was forked. Must be there."""
        return 0

    @route
    def ksr_request_route(self) -> None:
        """Entry point of requests."""
        self.method = str(KSR.pv.get("$rm"))
        self.goes_on = False
        self.request()

    @route
    def ksr_onreply_route(self) -> None:
        """Entry point of replies to relayed requests."""
        self.reply_from_callee()

    @route
    def ksr_branch_route(self) -> None:
        """Entry point of branches."""
        self.branch()

    @route
    def ksr_failure_route(self) -> None:
        """Entry point of failed requests."""
        self.method = str(KSR.pv.get("$rm"))
        self.goes_on = False
        self.failure()
        if not self.goes_on and self.wants_media():
            self.rtp.failure(self.flags())

    def ksr_reply_route(self, msg: object) -> int:
        """Every reply, before its transaction is known. Must be there: Kamailio 5.6 asks for it."""
        return 1

    def ksr_onsend_route(self, msg: object) -> int:
        """Every message sent out. Must be there: Kamailio 5.6 asks for it."""
        return 1

    @route
    def ksr_htable_event(self, event: str = "") -> None:
        """Entry point of the htable module: shared memory exists, workers do not yet."""
        if event == "htable:mod-init" and self.begun is not None:
            start.fill(self.begun)

    @route
    def ksr_timer_event(self, timer: str = "") -> None:
        """Entry point of the timer, in a process of its own."""
        self.supervisor.tick()


def mod_init() -> Any:
    """Called by app_python3 when it loads this file, at the start and after `app_python.reload`."""
    return Routes.load()
