"""`kemi-rtp reload` and `check`: the files, before and when they are put in force."""

from __future__ import annotations

from pathlib import Path

import click

from kemi_rtp.command.instance import load_instance, pass_path
from kemi_rtp.command.output import SAVED, fail, warn
from kemi_rtp.files.errors import RegistryError
from kemi_rtp.model.admin import matching_each
from kemi_rtp.remote.reload import request_reload
from kemi_rtp.remote.rpc import NotReachable, RpcError
from kemi_rtp.remote.state import RemoteState


@click.command()
@click.option("--timeout", default=20.0, show_default=True, help="Seconds to wait for Kamailio.")
@pass_path
def reload(path: Path, timeout: float) -> None:
    """Put an edited nodes.yaml and registry in force now; a faulty file changes nothing."""
    from rich.console import Console

    instance = load_instance(path, needs_good=True)
    try:
        loaded = instance.registry.load()
    except RegistryError as error:
        fail(error)
    if loaded.problem:
        fail(loaded.problem)
    try:
        with instance.rpc() as rpc, Console(stderr=True).status("waiting for Kamailio's timer") as status:
            reply = request_reload(RemoteState(rpc), timeout, lambda text: status.update(text))
    except NotReachable as error:
        warn(f"both files are valid and apply when Kamailio starts: {error}")
        raise SystemExit(SAVED) from None
    except RpcError as error:
        fail(error)
    if "error" in reply:
        fail(reply["error"])
    click.echo(reply["text"])


@click.command()
@click.option(
    "--config",
    "-f",
    type=click.Path(path_type=Path),
    default="/etc/kamailio/kamailio.cfg",
    show_default=True,
    help="Kamailio's configuration, for kamailio -c.",
)
@pass_path
def check(path: Path, config: Path) -> None:
    """Check nodes.yaml, the registry and, where Kamailio is installed, its configuration. Changes nothing."""
    import shutil
    import subprocess

    instance = load_instance(path, needs_good=True)
    pools = len({node.pool for node in instance.config.nodes})
    click.echo(f"{path}: {len(instance.config.nodes)} nodes in {pools} pools")
    try:
        loaded = instance.registry.load()
    except RegistryError as error:
        fail(error)
    if loaded.problem:
        fail(loaded.problem)
    click.echo(f"{instance.registry.path}: {len(loaded.entries)} nodes out of service or to be")
    spoken_for = {entry.node for _, found in matching_each(loaded.entries, instance.config.nodes) for entry in found}
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
