"""`kemi-rtp paths`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
def paths() -> None:
    """Print where this installation's script and configuration fragments are, as lines for kamailio.cfg."""
    package = Path(__file__).resolve().parents[1]
    fragments = next((p for p in (package / "kamailio.cfg.d", package.parent / "kamailio.cfg.d") if p.is_dir()), None)
    click.echo(f'#!define KEMI_RTP_SCRIPT "{package / "routes.py"}"')
    for name in ("defines", "kemi_rtp", "rtpengine"):
        click.echo(f'include_file "{fragments}/{name}.cfg"')
