"""The laboratory with kemi_rtp: rtpengine daemons, nodes.yaml, Kamailio, the kemi-rtp command and SIPp.

with World(nodes=3) as world:
    before = world.mark()
    world.call("plain", calls=10).assert_ok()
    print(world.counts(before)["rtp1"]["offer"])
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from click.testing import CliRunner

from kemi_rtp.command.main import main

from .kamailio import MACHINE, Kamailio, Line
from .laboratory import CHECKOUT, Laboratory
from .process import wait_until

CONFIG = CHECKOUT / "kamailio.cfg.d" / "kamailio.cfg"
PINGING = CHECKOUT / "tests" / "lab" / "pinging.cfg"  # the module's own ping timer is on, at its shortest
ROUTES = CHECKOUT / "kemi_rtp" / "routes.py"

# Short, so that a test that waits for a probe or for a timer tick waits little; times in seconds.
SETTINGS: Mapping[str, object] = {"probe_interval": 0.1, "probe_timeout": 0.3}


class World(Laboratory):
    """`nodes` rtpengine daemons named rtp1, rtp2, ..., and one Kamailio of `line` that relays media through them.

    `host` is 127.0.0.1 or ::1 for everything. `config` replaces the project's own kamailio.cfg; `env` adds to
    Kamailio's environment, `settings` to those of nodes.yaml, `node_options` to its nodes: `{"rtp1": {"tier": 1}}`.
    """

    def __init__(
        self,
        *,
        nodes: int = 3,
        host: str = "127.0.0.1",
        line: Line = MACHINE,
        config: Path = CONFIG,
        env: Mapping[str, str] | None = None,
        settings: Mapping[str, object] | None = None,
        node_options: Mapping[str, Mapping[str, object]] | None = None,
        children: int = 4,
    ) -> None:
        super().__init__(nodes, host)
        self.state_dir = self.folder / "state"
        self.state_dir.mkdir()
        self.nodes_file = self.folder / "nodes.yaml"
        self._settings = {**SETTINGS, **(settings or {})}
        self._node_options = node_options or {}
        self.kamailio = Kamailio(
            self.folder,
            config,
            [self.proxy],
            self.rpc_socket,
            {
                "KEMI_RTP_SCRIPT": str(ROUTES),
                "KEMI_RTP_NODES": str(self.nodes_file),
                "KEMI_RTP_STATE_DIR": str(self.state_dir),
                "KEMI_RTP_RPC_SOCKET": str(self.rpc_socket),
                "KEMI_RTP_LISTEN": f"udp:{self.proxy}",
                "KEMI_RTP_CHILDREN": str(children),
                "KEMI_RTP_DISABLE_TCP": "yes",
                **(env or {}),
            },
            line,
        )
        self.write_nodes()

    def write_nodes(self, names: Sequence[str] | None = None, **weights: int) -> None:
        """Write nodes.yaml with these nodes (all by default) in the pool `default`, unless it says so already.

        `weights` are those that differ from 1, or from `node_options`, by name.
        """
        options = {name: {**self._node_options.get(name, {})} for name in self.nodes}
        for name, weight in weights.items():
            options[name]["weight"] = weight
        entries = [
            {"name": name, "url": self.nodes[name].url, "weight": 1, "tier": 0, **options[name]}
            for name in (self.nodes if names is None else names)
        ]
        settings = {
            "state_dir": str(self.state_dir),
            "rpc_socket": str(self.rpc_socket),
            **self._settings,
        }
        document = {"settings": settings, "pools": {"default": entries}}
        text = yaml.safe_dump(document, sort_keys=False)
        if self.nodes_file.exists() and self.nodes_file.read_text() == text:
            return
        draft = self.nodes_file.with_suffix(".draft")
        draft.write_text(text)
        draft.replace(self.nodes_file)

    # The operator's side

    def kemi_rtp(self, *arguments: str, timeout: float = 30.0) -> "subprocess.CompletedProcess[str]":
        """Run the kemi-rtp command with these arguments; returns exit code, stdout and stderr."""
        return subprocess.run(
            [sys.executable, "-m", "kemi_rtp.command.main", "--nodes", str(self.nodes_file), *arguments],
            capture_output=True,
            text=True,
            timeout=timeout,
            cwd=CHECKOUT,
            env={**os.environ, "KEMI_RTP_STATE_DIR": str(self.state_dir)},  # for when nodes.yaml does not tell it
            check=False,
        )

    def command(self, *arguments: str) -> str:
        """Run the kemi-rtp command, insist on exit code 0, return its stdout."""
        done = self.kemi_rtp(*arguments)
        assert done.returncode == 0, f"kemi-rtp {' '.join(arguments)}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def show(self) -> dict[str, Any]:
        """`kemi-rtp show --json`, read. In this process: it changes nothing, and tests look often."""
        done = CliRunner().invoke(main, ["--nodes", str(self.nodes_file), "show", "--json"])
        assert done.exit_code == 0, f"kemi-rtp show: {done.exit_code}\n{done.output}"
        shown: dict[str, Any] = json.loads(done.stdout)
        return shown

    def shown(self, name: str) -> dict[str, Any]:
        """One node of `show`."""
        found = [node for node in self.show()["nodes"] if node["name"] == name]
        assert len(found) == 1, f"show has {len(found)} nodes named {name}"
        node: dict[str, Any] = found[0]
        return node

    def wait_routable(self, *names: str, timeout: float = 15.0) -> None:
        """Wait until `kemi-rtp show` calls these nodes routable."""

        def are_routable() -> bool:
            nodes = self.show()["nodes"]
            return set(names) <= {node["name"] for node in nodes if node["routable"]}

        wait_until(are_routable, f"{', '.join(names)} are routable", timeout, interval=0.05)


def pinging_world(line: Line, nodes: int) -> World:
    """The laboratory with a user's own configuration, PINGING, and with patience.

    Tests that load it are about nodes that are well: none must be taken for dead because the machine is busy.
    """
    return World(nodes=nodes, line=line, config=PINGING, settings={"probe_timeout": 1.0, "probe_failures": 10})
