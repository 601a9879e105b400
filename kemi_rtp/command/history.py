"""`kemi-rtp history`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from kemi_rtp.command.instance import load_instance, pass_path
from kemi_rtp.command.output import fail, print_table
from kemi_rtp.files.errors import RegistryError
from kemi_rtp.model.times import format_timestamp


@click.command()
@click.argument("node", required=False, default="")
@click.option("--limit", "-n", type=click.IntRange(min=1), default=50, show_default=True, help="So many at most.")
@click.option("--json", "as_json", is_flag=True, help="JSON for scripts.")
@pass_path
def history(path: Path, node: str, limit: int, *, as_json: bool) -> None:
    """Show who changed what, when and why, oldest first; of one NODE only when given."""
    instance = load_instance(path)
    try:
        changes = instance.registry.history.changes(node, limit)
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
