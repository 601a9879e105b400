"""The whole laboratory as one object: rtpengine daemons, nodes.yaml, Kamailio, the kemi-rtp command and SIPp.

    with World(nodes=3) as world:
        before = world.mark()
        world.call("plain", calls=10).assert_ok()
        print(world.counts(before)["rtp1"]["offer"])

Everything is started on loopback ports of its own, in a folder of its own that is removed at the end unless
KEMI_RTP_LAB_KEEP is set in the environment.
"""

import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Unpack

import yaml

from .calls import CallOptions, Calls, Outcome
from .kamailio import MACHINE, Kamailio, Line, RpcError
from .ports import free_address
from .process import wait_until
from .rtpengine import Rtpengine

CHECKOUT = Path(__file__).resolve().parents[2]
CONFIG = CHECKOUT / "kamailio.cfg.d" / "kamailio.cfg"
ROUTES = CHECKOUT / "kemi_rtp" / "routes.py"

# Short, so that a test that waits for a probe or for a timer tick waits little; times in seconds.
SETTINGS: Mapping[str, object] = {"probe_interval": 0.25, "probe_timeout": 0.3}

Mark = Mapping[str, int]


class World:
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
        # A short path: a UNIX socket's may have 107 bytes.
        self.folder = Path(tempfile.mkdtemp(prefix="kemi-rtp-lab-"))
        self.state_dir = self.folder / "state"
        self.state_dir.mkdir()
        self.nodes_file = self.folder / "nodes.yaml"
        self.nodes = {
            name: Rtpengine(name, number, self.folder, host)
            for number, name in ((number, f"rtp{number}") for number in range(1, nodes + 1))
        }
        self.proxy = free_address(host)
        self._settings = {**SETTINGS, **(settings or {})}
        self._node_options = node_options or {}
        self._names = itertools.count(1)
        self._calls: list[Calls] = []
        rpc_socket = self.folder / "rpc.sock"
        self.kamailio = Kamailio(
            self.folder,
            config,
            [self.proxy],
            rpc_socket,
            {
                "KEMI_RTP_SCRIPT": str(ROUTES),
                "KEMI_RTP_NODES": str(self.nodes_file),
                "KEMI_RTP_STATE_DIR": str(self.state_dir),
                "KEMI_RTP_RPC_SOCKET": str(rpc_socket),
                "KEMI_RTP_LISTEN": f"udp:{self.proxy}",
                "KEMI_RTP_CHILDREN": str(children),
                "KEMI_RTP_DISABLE_TCP": "yes",
                **(env or {}),
            },
            line,
        )
        self.write_nodes()

    def __enter__(self) -> "World":
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """Start the daemons, then Kamailio."""
        for node in self.nodes.values():
            node.start()
        self.kamailio.start()

    def close(self) -> None:
        """Stop everything, in the order of the traffic, and remove the folder."""
        self.stop_calls()
        self.kamailio.stop()
        for node in self.nodes.values():
            node.stop()
        if "KEMI_RTP_LAB_KEEP" not in os.environ:
            shutil.rmtree(self.folder, ignore_errors=True)

    def write_nodes(self, names: Sequence[str] | None = None) -> None:
        """Write nodes.yaml with these nodes (all by default) in the pool `default`, unless it says so already."""
        entries = [
            {"name": name, "url": self.nodes[name].url, "weight": 1, "tier": 0, **self._node_options.get(name, {})}
            for name in (self.nodes if names is None else names)
        ]
        settings = {
            "state_dir": str(self.state_dir),
            "rpc_socket": str(self.kamailio.rpc_socket),
            **self._settings,
        }
        document = {"settings": settings, "pools": {"default": entries}}
        text = yaml.safe_dump(document, sort_keys=False)
        if self.nodes_file.exists() and self.nodes_file.read_text() == text:
            return
        draft = self.nodes_file.with_suffix(".draft")
        draft.write_text(text)
        draft.replace(self.nodes_file)

    # Calls

    def begin(self, kind: str, **options: Unpack[CallOptions]) -> Calls:
        """Start calls of a kind (see `calls.KINDS`; options as in `calls.CallOptions`) and let them run."""
        calls = Calls(kind, self.folder, name=f"{kind}{next(self._names)}", proxy=self.proxy, **options)
        self._calls.append(calls)
        calls.start()
        return calls

    def call(self, kind: str, **options: Unpack[CallOptions]) -> Outcome:
        """Make calls of a kind and wait for their end."""
        calls = self.begin(kind, **options)
        try:
            return calls.wait()
        finally:
            calls.stop()
            self._calls.remove(calls)

    def stop_calls(self) -> None:
        """End all SIPp processes now, whatever their calls do."""
        while self._calls:
            self._calls.pop().stop()

    # What the daemons say

    def mark(self) -> Mark:
        """This moment, for `counts` and the like."""
        return {name: node.mark() for name, node in self.nodes.items()}

    def counts(self, since: Mark | None = None) -> "dict[str, Counter[str]]":
        """Packets by command for every node, as counted by the daemons."""
        return {name: node.counts((since or {}).get(name, 0)) for name, node in self.nodes.items()}

    def served(self, call_id: str, since: Mark | None = None) -> dict[str, list[str]]:
        """What the nodes were asked for one call: `{"rtp2": ["offer", "answer", "delete"]}`, others left out."""
        commands = {name: node.commands_of(call_id, (since or {}).get(name, 0)) for name, node in self.nodes.items()}
        return {name: asked for name, asked in commands.items() if asked}

    # The operator's side

    def kemi_rtp(self, *arguments: str, timeout: float = 30.0) -> "subprocess.CompletedProcess[str]":
        """Run the kemi-rtp command with these arguments; returns exit code, stdout and stderr."""
        return subprocess.run(
            [sys.executable, "-m", "kemi_rtp.cli", "--nodes", str(self.nodes_file), *arguments],
            capture_output=True,
            text=True,
            timeout=timeout,
            cwd=CHECKOUT,
            check=False,
        )

    def command(self, *arguments: str) -> str:
        """Run the kemi-rtp command, insist on exit code 0, return its stdout."""
        done = self.kemi_rtp(*arguments)
        assert done.returncode == 0, f"kemi-rtp {' '.join(arguments)}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def show(self) -> dict[str, Any]:
        """`kemi-rtp show --json`, read."""
        shown: dict[str, Any] = json.loads(self.command("show", "--json"))
        return shown

    def shown(self, name: str) -> dict[str, Any]:
        """One node of `show`."""
        found = [node for node in self.show()["nodes"] if node["name"] == name]
        assert len(found) == 1, f"show has {len(found)} nodes named {name}"
        node: dict[str, Any] = found[0]
        return node

    def wait_for_pings(self, name: str, number: int = 2, timeout: float = 15.0) -> None:
        """Wait until this node has been pinged so many times from now on: timer ticks have passed."""
        node = self.nodes[name]
        since = node.mark()
        wait_until(lambda: node.counts(since)["ping"] >= number, f"{name} is pinged {number} times", timeout)

    def wait_routable(self, *names: str, timeout: float = 15.0) -> None:
        """Wait until `kemi-rtp show` calls these nodes routable."""

        def are_routable() -> bool:
            nodes = self.show()["nodes"]
            return set(names) <= {node["name"] for node in nodes if node["routable"]}

        wait_until(are_routable, f"{', '.join(names)} are routable", timeout, interval=0.1)

    def native_reload(self, timeout: float = 20.0) -> None:
        """The module's own RPC `rtpengine.reload`, repeated until it is accepted: not within 10 s of the last one."""

        def is_accepted() -> bool:
            try:
                self.kamailio.rpc("rtpengine.reload")
            except RpcError as refusal:
                if "reload interval" not in refusal.message:
                    raise
                return False
            return True

        wait_until(is_accepted, "rtpengine.reload is accepted", timeout, interval=0.5)
