"""The command kemi-rtp: its options and its list of commands.

What few commands need is imported where they need it: in an emergency the command is as quick as Python's start and
its imports, and rich alone takes as long as all the rest of `disable`.
"""

from __future__ import annotations

from pathlib import Path

import click

from kemi_rtp import __version__
from kemi_rtp.command.history import history
from kemi_rtp.command.paths import paths
from kemi_rtp.command.reload import check, reload
from kemi_rtp.command.show import show
from kemi_rtp.command.states import disable, drain, enable
from kemi_rtp.command.verify import verify


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


for command in (show, disable, drain, enable, history, reload, check, verify, paths):
    main.add_command(command)

if __name__ == "__main__":
    main()
