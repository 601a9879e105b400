"""`kemi-rtp disable`, `drain` and `enable`."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

import click

from kemi_rtp.command.instance import load_instance, pass_path
from kemi_rtp.command.output import DONE, SAVED, fail, warn
from kemi_rtp.files.documents import nearest
from kemi_rtp.files.errors import RegistryError
from kemi_rtp.model.admin import AdminState, Entry, matching
from kemi_rtp.model.nodes import Node, find
from kemi_rtp.model.times import format_timestamp, parse_duration, parse_timestamp, utc_now
from kemi_rtp.remote.decisions import Published, publish, store
from kemi_rtp.remote.instance import Instance
from kemi_rtp.remote.rpc import NotReachable
from kemi_rtp.remote.state import RemoteState


def admin_command(method: Callable[..., Any]) -> Callable[..., Any]:
    """The arguments that disable, drain and enable share."""
    decorators: list[Callable[[Callable[..., Any]], Callable[..., Any]]] = [
        click.argument("node"),
        click.option("--reason", default="", help="Why; shown to everybody who looks at the node."),
        click.option("--for", "duration", help="End it after this time, such as 45m, 2h or 3d."),
        click.option("--until", help="End it at this time, such as 18:30 or 2026-11-22T18:30:00Z."),
        click.option("--by", default="", help="Who decided it.  [default: you, behind sudo or doas too]"),
        pass_path,
    ]
    for decorator in reversed(decorators):
        method = decorator(method)
    return method


@click.command()
@admin_command
def disable(path: Path, **options: str) -> None:
    """Take NODE (a name or URL) out of service: nothing is sent to it any more, not even for calls that it has."""
    if not options["reason"].strip():
        raise click.UsageError("disable needs --reason: the next one on duty will want to know why")
    set_state(path, AdminState.DISABLED, **options)


@click.command()
@admin_command
def drain(path: Path, **options: str) -> None:
    """Give NODE (a name or URL) no new calls; the calls that it has are served to their end."""
    set_state(path, AdminState.DRAINING, **options)


@click.command()
@admin_command
def enable(path: Path, **options: str) -> None:
    """Put NODE (a name or URL) back into service; with --for or --until, only for that time."""
    set_state(path, AdminState.ENABLED, **options)


def set_state(
    path: Path, state: AdminState, *, node: str, reason: str, duration: str | None, until: str | None, by: str
) -> NoReturn:
    """Store a decision, put it in force, and end with the exit code that tells how far it came."""
    instance = load_instance(path)
    now = utc_now()
    end = end_of(duration, until, now)
    who, reason = author(by), reason.strip()
    for name, value in (("--reason", reason), ("--by", who)):
        if not value.isprintable():
            raise click.UsageError(f"{name} {value!r} must be one line of text without control characters")
    try:
        with instance.registry.exclusive() as transaction:
            known = find_node(instance, transaction.entries, node)
            entry = Entry(known.name, state, reason, who, now, end, known.url)
            if transaction.loaded.problem:
                warn(transaction.loaded.problem, "red")
            if not store(transaction, instance.config, known, entry):
                click.echo(f"{known.name} is enabled, and was before")
                raise SystemExit(DONE)
            # Published before the lock is released: no two changes can cross on their way into shared memory.
            with instance.rpc() as rpc:
                published = publish(rpc, instance.config.settings, transaction.entries, known)
            entries = transaction.entries
    except RegistryError as error:
        fail(error)
    raise SystemExit(tell(known, entries, published))


def tell(node: Node, entries: Mapping[str, Entry], published: Published) -> int:
    """Say what holds for a node now, and how far it came; the exit code."""
    if published.refused:
        warn(f"saved, but Kamailio did not take it: {published.refused}", "red")
        return SAVED
    about = matching(entries, node)
    click.echo(f"{node.name}: {about[0].describe() if about else 'enabled'}")
    if published.unreachable:
        warn(f"saved; it applies when Kamailio starts: {published.unreachable}")
        return SAVED
    if not published.answers:
        warn(f"{node.name} does not answer pings: calls go to it as soon as it does")
    if not published.is_marked:
        warn(f"no call goes to {node.name}, but kemi_rtp's timer has not told the module yet: see kemi-rtp verify")
    if not published.is_confirmed:
        warn(f"saved and published, but kemi_rtp's timer has not confirmed that no worker still sends to {node.name}")
        return SAVED
    return DONE


def find_node(instance: Instance, entries: Mapping[str, Entry], name_or_url: str) -> Node:
    """The node meant; also one that only the registry still knows, or that has left nodes.yaml and still has calls.

    Ends the command with the nearest matches.
    """
    known = find(instance.config.nodes, name_or_url)
    if known is not None:
        return known
    for entry in entries.values():
        if name_or_url in (entry.node, entry.url):
            return Node.known_by_name(entry.node, entry.url)
    with contextlib.suppress(NotReachable), instance.rpc() as rpc:
        leaving = find(RemoteState(rpc).config().nodes, name_or_url)
        if leaving is not None:
            return leaving
    names = dict.fromkeys([text for node in instance.config.nodes for text in (node.name, node.url)] + list(entries))
    hint = nearest(name_or_url, names) or f" (nodes: {', '.join(node.name for node in instance.config.nodes)})"
    raise click.UsageError(f"there is no node {name_or_url!r}{hint}")


def end_of(duration: str | None, until: str | None, now: datetime) -> datetime | None:
    """The end of a decision, from --for or --until."""
    if duration is not None and until is not None:
        raise click.UsageError("--for and --until exclude each other")
    try:
        end = now + timedelta(seconds=parse_duration(duration)) if duration is not None else None
        end = parse_timestamp(until, now) if until is not None else end
    except (ValueError, OverflowError) as error:
        raise click.UsageError(f"{'--for' if until is None else '--until'}: {error}") from None
    if end is not None and end <= now:
        raise click.UsageError(f"{format_timestamp(end)} has passed already (it is {format_timestamp(now)})")
    return end


def author(by: str) -> str:
    """Who decides: --by, else the login behind sudo or doas, else the user; with the host."""
    if not by:
        import getpass

        try:
            by = os.environ.get("SUDO_USER") or os.environ.get("DOAS_USER") or getpass.getuser()
        except (OSError, KeyError):
            by = f"uid {os.getuid()}"
    return by if "@" in by else f"{by}@{socket.gethostname()}"
