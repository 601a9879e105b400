"""Edits of files, and what the site says afterwards."""

import os
from pathlib import Path

from kemi_rtp.model.admin import AdminState, Change, Entry
from kemi_rtp.model.times import utc_now
from tests.unit.site import Site


def store(site: Site, *entries: Entry) -> None:
    """Write entries to the registry as a command would."""
    with site.registry.exclusive() as transaction:
        changes = [Change(utc_now(), e.node, AdminState.ENABLED, e.state, e.reason, e.by, "command") for e in entries]
        transaction.write({entry.node: entry for entry in entries}, changes)


def admin(site: Site) -> dict[str, str]:
    view = site.state(site.ksr.workers[0]).view()
    return {node.name: str(standing.admin) for node, standing in view if node.pool}


def log(site: Site, *levels: str) -> str:
    return "".join(site.ksr.log_at(*levels))


def edit(path: Path, text: str) -> None:
    """Write a file so that even a coarse clock shows the change."""
    before = path.stat().st_mtime_ns if path.exists() else 0
    path.write_text(text)
    os.utime(path, ns=(before + 1_000_000, before + 1_000_000))
