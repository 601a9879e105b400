"""`kemi-rtp verify`."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kemi_rtp.command.instance import load_instance, pass_path
from kemi_rtp.command.output import DONE, FAILED, SAVED, fail, print_table, warn
from kemi_rtp.files.errors import RegistryError
from kemi_rtp.remote.reload import request_reload
from kemi_rtp.remote.rpc import NotReachable, RpcError
from kemi_rtp.remote.state import RemoteState

if TYPE_CHECKING:
    from kemi_rtp.remote.differences import Findings


@click.command()
@click.option("--json", "as_json", is_flag=True, help="JSON for monitoring.")
@click.option("--repair", is_flag=True, help="Have Kamailio's timer repair at once what it can.")
@pass_path
def verify(path: Path, *, as_json: bool, repair: bool) -> None:
    """Compare nodes.yaml, registry, shared memory, the module's table and its memory; exit 1 where two differ.

    A difference counts when it is still there after a moment: a change just made takes a tick of the timer to arrive.
    """
    from kemi_rtp.remote.differences import compare

    instance = load_instance(path)
    try:
        with instance.rpc() as rpc:
            state = RemoteState(rpc)
            if repair:
                request_reload(state, 20.0, lambda text: warn(text, None))
            findings = compare(state, state.view(), instance.config, instance.registry)
            deadline = time.monotonic() + 2 * instance.config.settings.probe_interval + 1
            while findings.differences and time.monotonic() < deadline:
                time.sleep(0.1)
                findings = compare(state, state.view(), instance.config, instance.registry)
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
    raise SystemExit(FAILED if findings.differences or instance.is_faulty else DONE)


def print_findings(findings: Findings) -> None:
    """The table of `kemi-rtp verify`."""
    if not findings.differences:
        click.echo("nodes.yaml, registry, shared memory and the rtpengine module agree")
        return
    print_table(
        ("node", "place", "says", "place", "says", "meaning"),
        [(one.node, one.place, one.says, one.other_place, one.other_says, one.meaning) for one in findings.differences],
    )
