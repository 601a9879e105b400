"""The command kemi-rtp: the operator's side.

What few commands need is imported where they need it: in an emergency the command is as quick as Python's start and
its imports, and rich alone takes as long as all the rest of `disable`.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from kemi_rtp import __version__
from kemi_rtp.files import last_good
from kemi_rtp.files.documents import DocumentError, nearest
from kemi_rtp.files.registry import Registry, RegistryError, Transaction
from kemi_rtp.model import nodes
from kemi_rtp.model.admin import Change, Entry, State, decide, matching, matching_each
from kemi_rtp.model.nodes import Config, Node
from kemi_rtp.model.times import format_timestamp, parse_duration, parse_timestamp, utc_now
from kemi_rtp.model.view import AWAITED, Health, decode_health, derive, encode_health, standing_of
from kemi_rtp.remote.rpc import NotReachable, Rpc, RpcError
from kemi_rtp.shm import layout as shared

if TYPE_CHECKING:
    from kemi_rtp.remote.differences import Findings
    from kemi_rtp.remote.report import Report

DONE, FAILED, SAVED = 0, 1, 3
"""Exit codes: done and in force; failed, nothing changed; saved, but not in force in Kamailio. 2 is wrong usage."""


def warn(message: object, color: str | None = "yellow") -> None:
    """Tell people something beside the result."""
    click.secho(str(message), fg=color, err=True)


def fail(message: object) -> NoReturn:
    """Say why nothing was changed, and end."""
    warn(message, "red")
    raise SystemExit(FAILED)


def print_table(
    headings: Sequence[str], rows: Iterable[Sequence[str]], *, styles: Iterable[str] = (), wrapped: str = ""
) -> None:
    """Print a table; `styles` are those of the rows, `wrapped` the only column that takes more than one line."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading, no_wrap=wrapped not in ("", heading), overflow="fold")
    for row, style in zip_longest(rows, styles, fillvalue=""):
        table.add_row(*row, style=style)
    # Into a pipe or file a row stays one line, however long; on a terminal rich fits it to the window.
    width = None if sys.stdout.isatty() else 1000
    Console(width=width, highlight=False, markup=False, emoji=False).print(table)


@dataclass(frozen=True)
class Site:
    """nodes.yaml and what it leads to."""

    path: Path
    config: Config
    is_faulty: bool = False
    """Whether nodes.yaml is, so that `config` is its last good version."""

    @property
    def registry(self) -> Registry:
        """The registry of this site."""
        return Registry(Path(self.config.settings.state_dir))

    def rpc(self) -> Rpc:
        """A connection to this site's Kamailio."""
        return Rpc(self.config.settings.rpc_socket)


pass_site = click.make_pass_decorator(Path)


def load_site(path: Path, *, needs_good: bool = False) -> Site:
    """The site of a nodes.yaml, by its last good version when it is faulty, which is said aloud.

    Ends the command when there is no good version, or when the command `needs_good` nodes.yaml itself.
    """
    try:
        return Site(path, nodes.load(path))
    except DocumentError as error:
        if needs_good:
            fail(error)
        fault = str(error)
    try:
        config = last_good.load(path, click.get_current_context().find_root().params["state_dir"])
    except DocumentError as error:
        fail(f"{fault}\nthere is no last good version to go by (--state-dir names its folder): {error}")
    warn(f"{fault}\n{path} is faulty: going by its last good version, in {config.settings.state_dir}", "red")
    return Site(path, config, is_faulty=True)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="kemi-rtp")
@click.option(
    "--nodes",
    "nodes_path",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="KEMI_RTP_NODES",
    default="/etc/kamailio/nodes.yaml",
    show_default=True,
    show_envvar=True,
    help="The nodes.yaml of this Kamailio.",
)
@click.option(
    "--state-dir",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="KEMI_RTP_STATE_DIR",
    show_envvar=True,
    help="Where the last good nodes.yaml is kept, to go by while nodes.yaml is faulty.  "
    "[default: settings.state_dir, as far as nodes.yaml can be read]",
)
@click.pass_context
def main(context: click.Context, nodes_path: Path, state_dir: Path | None) -> None:
    """Take rtpengine nodes out of service and back, and see what the next call will meet.

    Exit codes: 0 done and in force, 1 failed and nothing changed, 2 wrong usage, 3 saved but not in force in Kamailio.
    """
    context.obj = nodes_path


# --- show ------------------------------------------------------------------------------------------------------------


@main.command()
@click.option("--json", "as_json", is_flag=True, help="JSON for scripts and monitoring.")
@pass_site
def show(path: Path, *, as_json: bool) -> None:
    """Show every node: what it may take, and why. The next call meets what this prints."""
    from kemi_rtp.remote.report import report_from_files, report_from_kamailio

    site = load_site(path)
    try:
        try:
            with site.rpc() as rpc:
                report = report_from_kamailio(rpc, site.config, site.registry)
        except NotReachable as error:
            report = report_from_files(site.config, site.registry, str(error))
    except RegistryError as error:
        fail(error)
    if as_json:
        click.echo(json.dumps(report.as_json(), indent=2, ensure_ascii=False))
    else:
        print_report(report)
    for note in report.notes:
        warn(note)


def print_report(report: Report) -> None:
    """The table of `kemi-rtp show`."""
    rows = [
        (
            line["name"],
            line["pool"] or "(not in nodes.yaml)",
            line["tier"],
            line["weight"],
            line["admin"],
            line["health"],
            "yes" if line["routable"] else "no",
            line["calls"],
            line["module"],
            line["reason"],
            line["url"],
        )
        for line in report.lines
    ]
    print_table(
        ("node", "pool", "tier", "weight", "admin", "health", "new calls", "calls", "module", "why", "url"),
        [["-" if cell is None else str(cell) for cell in row] for row in rows],
        styles=["" if x["routable"] else "yellow" if x["admin"] == "draining" else "red" for x in report.lines],
        wrapped="why",
    )


# --- disable, drain, enable ------------------------------------------------------------------------------------------


def admin_command(method: Callable[..., Any]) -> Callable[..., Any]:
    """The arguments that disable, drain and enable share."""
    decorators: list[Callable[[Callable[..., Any]], Callable[..., Any]]] = [
        click.argument("node"),
        click.option("--reason", default="", help="Why; shown to everybody who looks at the node."),
        click.option("--for", "duration", help="End it after this time, such as 45m, 2h or 3d."),
        click.option("--until", help="End it at this time, such as 18:30 or 2026-11-22T18:30:00Z."),
        click.option("--by", default="", help="Who decided it.  [default: you, behind sudo or doas too]"),
        pass_site,
    ]
    for decorator in reversed(decorators):
        method = decorator(method)
    return method


@main.command()
@admin_command
def disable(path: Path, **options: str) -> None:
    """Take NODE (a name or URL) out of service: nothing is sent to it any more, not even for calls that it has."""
    if not options["reason"].strip():
        raise click.UsageError("disable needs --reason: the next one on duty will want to know why")
    set_state(path, State.DISABLED, **options)


@main.command()
@admin_command
def drain(path: Path, **options: str) -> None:
    """Give NODE (a name or URL) no new calls; the calls that it has are served to their end."""
    set_state(path, State.DRAINING, **options)


@main.command()
@admin_command
def enable(path: Path, **options: str) -> None:
    """Put NODE (a name or URL) back into service; with --for or --until, only for that time."""
    set_state(path, State.ENABLED, **options)


def set_state(
    path: Path, state: State, *, node: str, reason: str, duration: str | None, until: str | None, by: str
) -> NoReturn:
    """Store a decision, put it in force, and end with the exit code that tells how far it came."""
    site = load_site(path)
    now = utc_now()
    end = end_of(duration, until, now)
    who, reason = author(by), reason.strip()
    for name, value in (("--reason", reason), ("--by", who)):
        if not value.isprintable():
            raise click.UsageError(f"{name} {value!r} must be one line of text without control characters")
    try:
        with site.registry.exclusive() as transaction:
            known = find_node(site, transaction.entries, node)
            entry = Entry(known.name, state, reason, who, now, end, known.url)
            if not store(transaction, site.config, known, entry):
                raise SystemExit(DONE)
            # Published before the lock is released: no two changes can cross on their way into shared memory.
            code = publish(site, transaction.entries, known)
    except RegistryError as error:
        fail(error)
    raise SystemExit(code)


def store(transaction: Transaction, config: Config, node: Node, entry: Entry) -> bool:
    """Write the decision to the registry; false when it is what holds already."""
    if transaction.loaded.problem:
        warn(transaction.loaded.problem, "red")
    before = matching(transaction.entries, node)
    current = max((e.state for old in before if (e := old.at(utc_now()))), key=lambda s: s.strictness, default=None)
    after = decide(transaction.entries, entry, config.nodes)
    if entry.state is State.ENABLED and not before:
        click.echo(f"{node.name} is enabled, and was before")
        return False
    change = Change(
        entry.since or utc_now(),
        node.name,
        current or State.ENABLED,
        entry.state,
        entry.reason,
        entry.by,
        "command",
        entry.until if matching(after, node) else None,
    )
    transaction.write(after, [change])
    return True


def publish(site: Site, entries: Mapping[str, Entry], node: Node) -> int:
    """Put what the registry now holds about a node into the shared memory of a running Kamailio."""
    about = matching(entries, node)
    items = {shared.admin_key(node.name): "", shared.admin_key(node.url): ""} | shared.admin_items(about)
    described = about[0].describe() if about else "enabled"
    late, told = False, True
    try:
        with site.rpc() as rpc:
            now = utc_now()
            # Those in force, which an edit of nodes.yaml a moment ago may have named or placed otherwise.
            config = shared.decode_config(rpc.get(shared.CONFIG))
            meant = [other for other in config.nodes if other.name == node.name or other.url == node.url]
            was_out = [other for other in meant if standing_of(rpc.get, other, now).admin is State.DISABLED]
            out = [other for other in meant if is_disabled(entries, other, now)]
            back = [other for other in was_out if other not in out]
            awaited = encode_health(Health.DOWN, AWAITED)
            rpc.put(items | {shared.health_key(other.url): awaited for other in back})
            in_force = rpc.wait_until_sent([other.set_id for other in meant], timeout=10.0)
            late = not all(wait_until_up(rpc, site, other) for other in back)
            told = all(wait_until_marked(rpc, other) for other in out)
    except NotReachable as error:
        click.echo(f"{node.name}: {described}")
        warn(f"saved; it applies when Kamailio starts: {error}")
        return SAVED
    except RpcError as error:
        warn(f"saved, but Kamailio did not take it: {error}", "red")
        return SAVED
    click.echo(f"{node.name}: {described}")
    if late:
        warn(f"{node.name} does not answer pings: calls go to it as soon as it does")
    if not told:
        warn(f"no call goes to {node.name}, but kemi_rtp's timer has not told the module yet: see kemi-rtp verify")
    if not in_force:
        warn(f"saved and published, but kemi_rtp's timer has not confirmed that no worker still sends to {node.name}")
        return SAVED
    return DONE


def is_disabled(entries: Mapping[str, Entry], node: Node, now: datetime) -> bool:
    """Whether a node is disabled by what the registry holds."""
    return derive(matching(entries, node), Health.UNKNOWN, "", now).admin is State.DISABLED


def wait_until_up(rpc: Rpc, site: Site, node: Node) -> bool:
    """Wait until a node that was disabled has answered a ping and takes calls; False when it does not answer."""
    settings = site.config.settings
    return wait_until(
        lambda: decode_health(rpc.get(shared.health_key(node.url)))[0] is not Health.DOWN,
        timeout=2 * (settings.probe_interval + settings.probe_timeout) + 1,
    )


def wait_until_marked(rpc: Rpc, node: Node) -> bool:
    """Wait until the timer has disabled a node in the module and its table too; False when it does not come to it.

    No call depends on it, but until then the module would ping the node if somebody reloaded it by hand.
    """
    return wait_until(lambda: shared.decode_rows(rpc.get(shared.ROWS)).get(node.url) == "disabled", timeout=2)


def find_node(site: Site, entries: Mapping[str, Entry], name_or_url: str) -> Node:
    """The node meant; also one that only the registry still knows, or that has left nodes.yaml and still has calls.

    Ends the command with the nearest matches.
    """
    known = nodes.find(site.config.nodes, name_or_url)
    if known is not None:
        return known
    for entry in entries.values():
        if name_or_url in (entry.node, entry.url):
            return Node(entry.node, entry.url or entry.node, "", 0, 0, 0)
    with contextlib.suppress(NotReachable), site.rpc() as rpc:
        leaving = nodes.find(shared.decode_config(rpc.get(shared.CONFIG)).nodes, name_or_url)
        if leaving is not None:
            return leaving
    names = dict.fromkeys([text for node in site.config.nodes for text in (node.name, node.url)] + list(entries))
    hint = nearest(name_or_url, names) or f" (nodes: {', '.join(node.name for node in site.config.nodes)})"
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


# --- history, reload, check, paths -----------------------------------------------------------------------------------


@main.command()
@click.argument("node", required=False, default="")
@click.option("--limit", "-n", type=click.IntRange(min=1), default=50, show_default=True, help="So many at most.")
@click.option("--json", "as_json", is_flag=True, help="JSON for scripts.")
@pass_site
def history(path: Path, node: str, limit: int, *, as_json: bool) -> None:
    """Show who changed what, when and why, oldest first; of one NODE only when given."""
    site = load_site(path)
    try:
        changes = site.registry.history(node, limit)
    except RegistryError as error:
        fail(error)
    rows: list[dict[str, str]] = [
        {
            "at": format_timestamp(change.at),
            "node": change.node,
            "from": str(change.before),
            "to": str(change.after),
            "until": format_timestamp(change.until) if change.until else "",
            "by": change.by,
            "way": change.way,
            "reason": change.reason,
        }
        for change in changes
    ]
    if as_json:
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    print_table(("at", "node", "from", "to", "until", "by", "way", "reason"), [list(row.values()) for row in rows])


@main.command()
@click.option("--timeout", default=20.0, show_default=True, help="Seconds to wait for Kamailio.")
@pass_site
def reload(path: Path, timeout: float) -> None:
    """Put an edited nodes.yaml and registry in force now; a faulty file changes nothing."""
    from rich.console import Console

    site = load_site(path, needs_good=True)
    try:
        loaded = site.registry.load()
    except RegistryError as error:
        fail(error)
    if loaded.problem:
        fail(loaded.problem)
    try:
        with site.rpc() as rpc, Console(stderr=True).status("waiting for Kamailio's timer") as status:
            reply = request_reload(rpc, timeout, lambda text: status.update(text))
    except NotReachable as error:
        warn(f"both files are valid and apply when Kamailio starts: {error}")
        raise SystemExit(SAVED) from None
    except RpcError as error:
        fail(error)
    if "error" in reply:
        fail(reply["error"])
    click.echo(reply["text"])


def request_reload(rpc: Rpc, timeout: float, progress: Callable[[str], None]) -> dict[str, Any]:
    """Ask the supervisor for a reload and wait for its answer. Raises NotReachable when none comes."""
    request = shared.new_generation()
    rpc.call("htable.sets", shared.STATE, shared.RELOAD_REQUEST, request)
    reply: dict[str, Any] = {}

    def answered() -> bool:
        value = rpc.get(shared.RELOAD_REPLY)
        found = json.loads(value) if isinstance(value, str) else {}
        if found.get("id") != request:
            return False
        reply.update(found)
        if not found["done"]:
            progress("waiting for the rtpengine module, which reads its table once in 10 s at most")
        return bool(found["done"])

    if not wait_until(answered, timeout):
        raise NotReachable(f"the timer of kemi_rtp has not answered within {timeout:g} s")
    return reply


def wait_until(condition: Callable[[], bool], timeout: float) -> bool:
    """Wait until a condition holds; false when it still does not after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.02)
    return True


@main.command()
@click.option(
    "--config",
    "-f",
    type=click.Path(path_type=Path),
    default="/etc/kamailio/kamailio.cfg",
    show_default=True,
    help="Kamailio's configuration, for kamailio -c.",
)
@pass_site
def check(path: Path, config: Path) -> None:
    """Check nodes.yaml, the registry and, where Kamailio is installed, its configuration. Changes nothing."""
    import shutil
    import subprocess

    site = load_site(path, needs_good=True)
    pools = len({node.pool for node in site.config.nodes})
    click.echo(f"{path}: {len(site.config.nodes)} nodes in {pools} pools")
    try:
        loaded = site.registry.load()
    except RegistryError as error:
        fail(error)
    if loaded.problem:
        fail(loaded.problem)
    click.echo(f"{site.registry.path}: {len(loaded.entries)} nodes out of service or to be")
    spoken_for = {entry.node for _, found in matching_each(loaded.entries, site.config.nodes) for entry in found}
    for entry in loaded.entries.values():
        if entry.node not in spoken_for:
            warn(f"{entry.node}: is not in {path}; its state is kept: {entry.describe()}", None)
    kamailio = shutil.which("kamailio") or shutil.which("kamailio", path="/usr/sbin:/usr/local/sbin")
    if kamailio is None or not config.exists():
        warn(f"kamailio -c was not run: {'no kamailio here' if kamailio is None else f'{config} is not there'}", None)
        return
    result = subprocess.run([kamailio, "-c", "-f", str(config)], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        fail(f"{config}: kamailio -c refuses it:\n{result.stderr.strip()}")
    click.echo(f"{config}: kamailio -c accepts it")


@main.command()
@click.option("--json", "as_json", is_flag=True, help="JSON for monitoring.")
@click.option("--repair", is_flag=True, help="Have Kamailio's timer repair at once what it can.")
@pass_site
def verify(path: Path, *, as_json: bool, repair: bool) -> None:
    """Compare nodes.yaml, registry, shared memory, the module's table and its memory; exit 1 where two differ.

    A difference counts when it is still there after a moment: a change just made takes a tick of the timer to arrive.
    """
    from kemi_rtp.remote.differences import compare
    from kemi_rtp.remote.report import read_view

    site = load_site(path)
    try:
        with site.rpc() as rpc:
            if repair:
                request_reload(rpc, 20.0, lambda text: warn(text, None))
            findings = compare(rpc, read_view(rpc), site.config, site.registry)
            deadline = time.monotonic() + 2 * site.config.settings.probe_interval + 1
            while findings.differences and time.monotonic() < deadline:
                time.sleep(0.1)
                findings = compare(rpc, read_view(rpc), site.config, site.registry)
    except NotReachable as error:
        warn(f"nothing to compare with, Kamailio is not reachable: {error}")
        raise SystemExit(SAVED) from None
    except (RegistryError, RpcError) as error:
        fail(error)
    if as_json:
        click.echo(json.dumps(findings.as_json(), indent=2, ensure_ascii=False))
    else:
        print_findings(findings)
    for note in findings.notes:
        warn(note, None)
    raise SystemExit(FAILED if findings.differences or site.is_faulty else DONE)


def print_findings(findings: Findings) -> None:
    """The table of `kemi-rtp verify`."""
    if not findings.differences:
        click.echo("nodes.yaml, registry, shared memory and the rtpengine module agree")
        return
    print_table(
        ("node", "place", "says", "place", "says", "meaning"),
        [(one.node, one.place, one.says, one.other_place, one.other_says, one.meaning) for one in findings.differences],
    )


@main.command()
def paths() -> None:
    """Print where this installation's script and configuration fragments are, as lines for kamailio.cfg."""
    package = Path(__file__).resolve().parents[1]
    fragments = next((p for p in (package / "kamailio.cfg.d", package.parent / "kamailio.cfg.d") if p.is_dir()), None)
    click.echo(f'#!define KEMI_RTP_SCRIPT "{package / "routes.py"}"')
    for name in ("defines", "kemi_rtp", "rtpengine"):
        click.echo(f'include_file "{fragments}/{name}.cfg"')


if __name__ == "__main__":
    main()
