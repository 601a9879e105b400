"""Which Kamailio a command is about: by nodes.yaml, or its last good version while an edit is faulty."""

from __future__ import annotations

from pathlib import Path

import click

from kemi_rtp.command.output import fail, warn
from kemi_rtp.files import last_good, nodes_yaml
from kemi_rtp.files.documents import DocumentError
from kemi_rtp.remote.instance import Instance

pass_path = click.make_pass_decorator(Path)
"""Gives a command the path of nodes.yaml."""


def load_instance(path: Path, *, needs_good: bool = False) -> Instance:
    """The Kamailio of a nodes.yaml, by its last good version when it is faulty, which is said aloud.

    Ends the command when there is no good version, or when the command `needs_good` nodes.yaml itself.
    """
    try:
        return Instance(path, nodes_yaml.load(path))
    except DocumentError as error:
        if needs_good:
            fail(error)
        fault = str(error)
    try:
        config = last_good.load(path, click.get_current_context().find_root().params["state_dir"])
    except DocumentError as error:
        fail(f"{fault}\nthere is no last good version to go by (--state-dir names its folder): {error}")
    warn(f"{fault}\n{path} is faulty: going by its last good version, in {config.settings.state_dir}", "red")
    return Instance(path, config, is_faulty=True)
