"""The start: in Kamailio's main process, before the other modules start and before any worker is forked; only
`is_over` is asked by every process, at `app_python.reload`.

It refuses a start with unusable files, writes the table that the rtpengine module is about to read, and fills shared
memory, so that the first packet meets what people decided.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import KSR
from kemi_rtp.files import last_good, nodes_yaml
from kemi_rtp.files.documents import DocumentError, read_text, watched_version
from kemi_rtp.files.errors import RegistryError
from kemi_rtp.files.module_table import write_table
from kemi_rtp.files.registry import Loaded, Registry
from kemi_rtp.model.admin import Entry, matching_each
from kemi_rtp.model.log import log
from kemi_rtp.model.nodes import Config
from kemi_rtp.model.standing import derive
from kemi_rtp.model.times import utc_now
from kemi_rtp.shm import places
from kemi_rtp.shm.state import decisions
from kemi_rtp.shm.state.process import ProcessState, is_filled
from kemi_rtp.shm.state.timer import TimerState


class StartError(Exception):
    """Kamailio must not start like this; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Begun:
    """What Kamailio was started with: nodes.yaml and the registry's entries by node name, and the files' versions."""

    config: Config
    entries: Mapping[str, Entry]
    nodes_version: object
    registry_version: object


def begin(nodes_path: Path) -> Begun:
    """Check the files and write the module's table. Raises StartError.

    Comes before any other module's start: this is where a faulty nodes.yaml or registry ends it.
    """
    places.make()
    nodes_version = watched_version(nodes_path)
    try:
        content = read_text(nodes_path)
        config = nodes_yaml.parse(content, nodes_path)
        _check_paths(nodes_path, config)
        state_dir = Path(config.settings.state_dir)
        try:
            state_dir.mkdir(parents=True, exist_ok=True)
            last_good.keep(nodes_path, content, state_dir)
            registry = Registry(state_dir)
            registry_version = watched_version(registry.path)
            loaded = _load(registry)
            now = utc_now()
            by_node = matching_each(loaded.entries, config.nodes)
            write_table(state_dir, [(node, derive(entries, now)) for node, entries in by_node])
        except (OSError, sqlite3.Error) as error:
            raise StartError(f"{state_dir}: cannot be written: {error}") from None
    except (DocumentError, RegistryError) as error:
        raise StartError(str(error)) from None
    if loaded.problem:
        log(KSR.crit, loaded.problem)
    return Begun(config, loaded.entries, nodes_version, registry_version)


def fill(begun: Begun) -> None:
    """Publish nodes and admin states: htables exist now, and no worker does."""
    decisions.publish(begun.config, begun.entries.values())
    TimerState().beat()  # from now on the timer is waited for: it may never begin
    out = [f"{node.name} {standing.reason}" for node, standing in ProcessState().view() if standing.entry]
    log(KSR.notice, f"{len(begun.config.nodes)} nodes; " + ("; ".join(out) if out else "all in service"))


def is_over() -> bool:
    """Whether Kamailio has started already, so that the script is only loaded again. Raises RuntimeError."""
    if not is_filled():
        return False
    if not places.made:
        raise RuntimeError("Kamailio must be restarted: the script that it was started with was not kemi_rtp's")
    return True


def _check_paths(nodes_path: Path, config: Config) -> None:
    for setting, define in (("state_dir", "KEMI_RTP_STATE_DIR"), ("rpc_socket", "KEMI_RTP_RPC_SOCKET")):
        here = getattr(config.settings, setting)
        there = str(KSR.pv.get(f"$def({define})") or "").strip('"')
        if there and there.rstrip("/") != here:
            raise StartError(
                f"{nodes_path}: settings.{setting}: {here}: differs from {define} in Kamailio's configuration, "
                f"which is {there}; make them the same"
            )


def _load(registry: Registry) -> Loaded:
    """What the registry holds; an edit by hand while Kamailio was down is the last good version from now on."""
    if registry.path.exists():
        with contextlib.suppress(RegistryError), registry.exclusive(timeout=1.0) as transaction:
            transaction.adopt_edits(utc_now())
            return transaction.loaded
    return registry.load()  # tells what is unreadable, too
