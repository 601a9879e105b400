"""What the bench knows of kemi_rtp outside Kamailio: its files, its command, its registry."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from bench.media import CHECKOUT, Node
from kemi_rtp.files.registry import Registry
from kemi_rtp.model.admin import AdminState, Change, Entry, decide

CONFIG = CHECKOUT / "kamailio.cfg.d" / "kamailio.cfg"
ROUTES = CHECKOUT / "kemi_rtp" / "routes.py"
DEFINES = CHECKOUT / "kamailio.cfg.d" / "defines.cfg"


def module_timeout_ms() -> int:
    """The longest that a worker waits for a node, as kemi_rtp configures it: timeout times tries."""
    words = [line.split() for line in DEFINES.read_text().splitlines() if line.startswith("#!define")]
    values = {name: value for _, name, value in (line for line in words if len(line) == 3)}
    return int(values["KEMI_RTP_TIMEOUT_MS"]) * int(values["KEMI_RTP_RETRIES"])


def one_try_ms() -> int:
    """How long the module waits before it asks a node once more, as kemi_rtp configures it."""
    words = [line.split() for line in DEFINES.read_text().splitlines() if line.startswith("#!define")]
    return next(int(line[2]) for line in words if line[1] == "KEMI_RTP_TIMEOUT_MS")


class Site:
    """nodes.yaml, the registry and the command of one Kamailio."""

    def __init__(self, folder: Path, rpc_socket: Path, settings: Mapping[str, object] | None = None) -> None:
        self.nodes_file = folder / "nodes.yaml"
        self.state_dir = folder / "state"
        self.state_dir.mkdir(exist_ok=True)
        self._settings = {"state_dir": str(self.state_dir), "rpc_socket": str(rpc_socket), **(settings or {})}

    def write_nodes(self, nodes: Sequence[Node]) -> None:
        entries = [{"name": node.name, "url": node.url, "weight": node.weight} for node in nodes]
        document = {"settings": self._settings, "pools": {"default": entries}}
        draft = self.nodes_file.with_suffix(".draft")
        draft.write_text(yaml.safe_dump(document, sort_keys=False))
        draft.replace(self.nodes_file)

    def write_registry(self, disabled: Sequence[Node]) -> None:
        """Edit the registry by hand: these nodes disabled, all others enabled."""
        lines = ["version: 1", "nodes: {}" if not disabled else "nodes:"]
        for node in disabled:
            lines += [
                f"  {node.name}:",
                "    state: disabled",
                "    reason: bench",
                "    by: bench@localhost",
                '    since: "2026-01-01T00:00:00Z"',
                f'    url: "{node.url}"',
            ]
        draft = self.state_dir / "registry.draft"
        draft.write_text("\n".join(lines) + "\n")
        draft.replace(self.state_dir / "registry.yaml")

    def command(self, *arguments: str, timeout: float = 60.0) -> str:
        """Run the kemi-rtp command; raises with its words unless it says 0."""
        done = subprocess.run(
            [sys.executable, "-m", "kemi_rtp.command.main", "--nodes", str(self.nodes_file), *arguments],
            capture_output=True,
            text=True,
            timeout=timeout,
            cwd=CHECKOUT,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"kemi-rtp {' '.join(arguments)}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def show(self) -> list[dict[str, Any]]:
        nodes: list[dict[str, Any]] = json.loads(self.command("show", "--json"))["nodes"]
        return nodes

    def routable(self) -> int:
        return sum(bool(node["routable"]) for node in self.show())

    # The registry itself, without the command around it

    def load_registry(self) -> int:
        """Read it; returns how many entries it has."""
        return len(Registry(self.state_dir).load().entries)

    def change_registry(self, node: Node) -> None:
        """Disable a node in it, durably, as the command does."""
        now = datetime.now(UTC).replace(microsecond=0)
        with Registry(self.state_dir).exclusive() as transaction:
            entry = Entry(node.name, AdminState.DISABLED, "bench", "bench@localhost", now, None, node.url)
            change = Change(
                now, node.name, AdminState.ENABLED, AdminState.DISABLED, "bench", "bench@localhost", "command"
            )
            transaction.write(decide(transaction.entries, entry), [change])
