"""A decision from outside: stored in the registry, then published, then confirmed by the running Kamailio.

For whoever brings people's decisions: the command, and what else writes admin states from outside.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kemi_rtp.files.registry import Transaction
from kemi_rtp.model.admin import Change, Entry, decide, matching, state_of, strictest
from kemi_rtp.model.nodes import Config, Node, Settings
from kemi_rtp.model.standing import Health, derive
from kemi_rtp.model.times import utc_now
from kemi_rtp.module.rows import DISABLED
from kemi_rtp.remote.rpc import NotReachable, Rpc, RpcError
from kemi_rtp.remote.state import RemoteState, wait_until
from kemi_rtp.shm import layout
from kemi_rtp.shm.publication import admin_changes
from kemi_rtp.shm.standings import standing_of

_CONFIRMED_WITHIN = 10.0
"""Seconds that a command waits at most for those in flight."""


def store(transaction: Transaction, config: Config, node: Node, entry: Entry) -> bool:
    """Write the decision `entry` about a node to the registry; false when it is what holds already.

    Raises RegistryError.
    """
    now = utc_now()
    before = matching(transaction.entries, node)
    if state_of(entry).takes_new_calls and not before:
        return False
    after = decide(transaction.entries, entry, config.nodes)
    change = Change(
        entry.since or now,
        node.name,
        state_of(strictest(before, now)),
        entry.state,
        entry.reason,
        entry.by,
        "command",
        entry.until if matching(after, node) else None,
    )
    transaction.write(after, [change])
    return True


@dataclass(frozen=True, slots=True)
class Published:
    """How far a stored decision about a node came in a running Kamailio."""

    unreachable: str = ""
    """Why no Kamailio answered; it applies at the next start then."""
    refused: str = ""
    """Why Kamailio did not take it."""
    is_confirmed: bool = False
    """Whether it is certain that no worker still sends as it was before."""
    answers: bool = True
    """False: the node came back into service and does not answer pings, so that it gets no calls yet."""
    is_marked: bool = True
    """False: the rtpengine module has not been told that the node is disabled; no call depends on it."""


def publish(rpc: Rpc, settings: Settings, entries: Mapping[str, Entry], node: Node) -> Published:
    """Put what the registry holds about a node in force in a running Kamailio, and wait until it is so.

    To be called while the registry is held: no two changes can cross on their way into shared memory.
    """
    state = RemoteState(rpc)
    try:
        return _publish(state, settings, entries, node)
    except NotReachable as error:
        return Published(unreachable=str(error))
    except RpcError as error:
        return Published(refused=str(error))


def _publish(state: RemoteState, settings: Settings, entries: Mapping[str, Entry], node: Node) -> Published:
    now = utc_now()
    # Those in force, which an edit of nodes.yaml a moment ago may have named or placed otherwise.
    meant = [other for other in state.config().nodes if other.name == node.name or other.url == node.url]
    about = {entry.node: entry for each in (node, *meant) for entry in matching(entries, each)}
    known = state.of_nodes([node, *meant])
    changes = admin_changes(known.get, about.values(), [node, *meant], now)
    were_out = [other for other in meant if not standing_of(known.get, other, now).admin.may_be_sent_to]
    out = [other for other in meant if not derive(matching(entries, other), now).admin.may_be_sent_to]
    state.publish(changes)
    is_confirmed = state.wait_until_none_in_flight([other.set_id for other in meant], _CONFIRMED_WITHIN)
    answer = [_wait_until_up(state, settings, other) for other in were_out if other not in out]
    are_marked = [_wait_until_marked(state, other) for other in out]
    return Published(is_confirmed=is_confirmed, answers=all(answer), is_marked=all(are_marked))


def _wait_until_up(state: RemoteState, settings: Settings, node: Node) -> bool:
    """Wait until a node that was disabled has answered a ping and takes calls; False when it does not answer."""
    return wait_until(
        lambda: layout.decode_health(state.get(layout.health_key(node.url)))[0] is not Health.DOWN,
        timeout=2 * (settings.probe_interval + settings.probe_timeout) + 1,
    )


def _wait_until_marked(state: RemoteState, node: Node) -> bool:
    """Wait until the timer has disabled a node in the module and its table too; False when it does not come to it.

    No call depends on it, but until then the module would ping the node if somebody reloaded it by hand.
    """
    return wait_until(lambda: layout.decode_rows(state.get(layout.ROWS)).get(node.url) == DISABLED, timeout=2)
