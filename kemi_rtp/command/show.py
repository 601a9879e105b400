"""`kemi-rtp show`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kemi_rtp.command.instance import load_instance, pass_path
from kemi_rtp.command.output import fail, print_table, warn
from kemi_rtp.files.errors import RegistryError
from kemi_rtp.remote.rpc import NotReachable
from kemi_rtp.remote.state import RemoteState

if TYPE_CHECKING:
    from kemi_rtp.remote.report import Report


@click.command()
@click.option("--json", "as_json", is_flag=True, help="JSON for scripts and monitoring.")
@pass_path
def show(path: Path, *, as_json: bool) -> None:
    """Show every node: what it may take, and why. The next call meets what this prints."""
    from kemi_rtp.remote.report import report_from_files, report_from_kamailio

    instance = load_instance(path)
    try:
        try:
            with instance.rpc() as rpc:
                report = report_from_kamailio(RemoteState(rpc), instance.config, instance.registry)
        except NotReachable as error:
            report = report_from_files(instance.config, instance.registry, str(error))
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
