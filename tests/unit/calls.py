"""Calls through the site, and what a node may take."""

from KSR.testing import Routed, SipMessage, Worker
from tests.unit.site import Site

NAMES = ("rtp1", "rtp2", "rtp3")


def standing(site: Site, name: str) -> tuple[bool, str]:
    view = site.state(site.ksr.workers[0]).view()
    return next((s.routable, s.reason) for node, s in view if node.name == name)


def established(site: Site, worker: Worker, call_id: str = "c1") -> tuple[SipMessage, Routed, str]:
    invite, routed = site.call(worker, call_id)
    site.answer(worker, routed.request)
    return invite, routed, site.serving(call_id)[-1]


def bye(site: Site, worker: Worker, invite: SipMessage, routed: Routed) -> Routed:
    return worker.request(site.ksr.in_dialog("BYE", invite, routed.request, cseq=9))
