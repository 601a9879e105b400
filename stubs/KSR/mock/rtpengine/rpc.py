"""The RPC commands rtpengine.*: show in both dialects, enable, ping, reload, get_hash_total."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from KSR.mock.engine.rpc import RpcFault, rpc, scan_int, scan_text
from KSR.mock.rtpengine.module import PERMANENT, Node, NodeSet, RtpengineModule

if TYPE_CHECKING:
    from KSR.mock.engine.process import Process

RELOAD_DELAY = 10  # seconds, RTPE_LIST_VERSION_DELAY


def _matching(process: Process, url: str) -> list[tuple[NodeSet, Node]]:
    """Return the displayed nodes with this URL, all for a text that begins with "all"."""
    module = process.kamailio.rtpengine
    # A process whose sockets are older than the list pings every node first, while it holds the list lock.
    module.build_sockets(process.rtpengine, test=True)
    everything = url.startswith("all")
    found = [
        (node_set, node)
        for node_set in module.sets.values()
        for node in node_set.nodes
        if node.displayed and (everything or node.url == url)
    ]
    if not found and not everything:
        raise RpcFault(404, "Instance not found")
    return found


def _show(module: RtpengineModule, node_set: NodeSet, node: Node) -> dict[str, object]:
    shown: dict[str, object] = {
        "url": node.url, "set": node_set.set_id, "index": node.index, "weight": node.weight,
    }  # fmt: skip
    permanent = node.disabled == 1 and node.permanent
    left = max(0, node.recheck_ticks - module.kamailio.clock.ticks)
    if module.is_5:
        shown["disabled"] = "1(permanent)" if permanent else node.disabled
        shown["recheck_ticks"] = "N/A" if node.permanent else left
    else:
        shown["disabled"] = int(permanent)
        shown["active"] = int(node.disabled == 0)
        shown["recheck_ticks"] = -1 if node.permanent else left
    return shown


def _url(params: list[Any]) -> str:
    url = scan_text(params, 0)
    if url is None:
        raise RpcFault(500, "Not enough parameters")
    return url


@rpc("rtpengine.show")
def rtpengine_show(process: Process, params: list[Any]) -> object:
    found = _matching(process, _url(params))
    return [_show(process.kamailio.rtpengine, node_set, node) for node_set, node in found]


@rpc("rtpengine.enable")
def rtpengine_enable(process: Process, params: list[Any]) -> object:
    url, flag = _url(params), scan_int(params, 1)
    if flag is None:
        raise RpcFault(500, "Not enough parameters")
    module = process.kamailio.rtpengine
    failed = False
    for _, node in _matching(process, url):
        # One failed ping turns the flag to 2, which still means "enable" for the nodes that follow.
        if not flag:
            node.disabled, node.recheck_ticks = 1, PERMANENT
        elif module.ping(node):
            node.disabled, node.recheck_ticks = 0, 0
        else:
            module.disable_for_a_while(node)
            failed = True
    return {"url": url, "status": "fail" if failed else "enable" if flag else "disable"}


@rpc("rtpengine.ping")
def rtpengine_ping(process: Process, params: list[Any]) -> object:
    url = _url(params)
    module = process.kamailio.rtpengine
    failed = False
    for _, node in _matching(process, url):
        if not module.ping_and_mark(node):
            failed = True
        elif not module.is_5 and not node.permanent:
            failed = False  # in 6.x a later success hides an earlier failure
    return {"url": url, "status": "fail" if failed else "success"}


@rpc("rtpengine.reload")
def rtpengine_reload(process: Process, params: list[Any]) -> object:
    module = process.kamailio.rtpengine
    now = process.kamailio.clock.seconds
    if not module.db_url:
        raise RpcFault(500, "No Database URL")
    if now - module.version_time < RELOAD_DELAY:
        raise RpcFault(500, "Too short reload interval - try later")
    module.version_time = now
    if not module.load_database():
        raise RpcFault(500, "Failed reloading db")
    ping = module.is_5 or (scan_int(params, 0) if params else 1) != 0
    module.build_sockets(process.rtpengine, test=ping)
    module.list_version += 1
    module.version_time = process.kamailio.clock.seconds
    return "Ok. Reload successful."


@rpc("rtpengine.get_hash_total")
def rtpengine_get_hash_total(process: Process, params: list[Any]) -> object:
    return len(process.kamailio.rtpengine.call_table)
