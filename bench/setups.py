"""The Kamailios that are compared: native routes, a plain KEMI script, and kemi_rtp."""

import contextlib
import json
import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from bench import product
from bench.media import Node
from bench.processes import cpu_of, spent
from tests.lab.kamailio import MACHINE, Kamailio, Line
from tests.lab.ports import free_address
from tests.lab.process import wait_until
from tests.lab.stock import write_stock_table

CONFIGS = Path(__file__).parent / "kamailio"
PLAIN = Path(__file__).with_name("plain.py")
WORKERS = 4


class Setup:
    """One Kamailio in a folder of its own; every setup has the same workers and the same memory."""

    def __init__(self, folder: Path, name: str, config: Path, env: Mapping[str, str], line: Line) -> None:
        self.name = name
        self.folder = folder
        self.line = line
        self.kamailio = Kamailio(
            folder, config, [self.proxy], self.rpc_socket, {"BENCH_FOLDER": str(folder), **env}, line, 256
        )
        # 8 MB of private memory are not enough for a thousand nodes
        command = self.kamailio.process.command
        command[command.index("-M") + 1] = "32"
        self._questions = 0

    def prepare(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.rpc_socket = folder / "rpc.sock"
        self.proxy = free_address("127.0.0.1")

    def start(self, timeout: float = 120.0) -> None:
        self.kamailio.start(timeout)

    def stop(self) -> None:
        self.kamailio.stop()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def processes(self) -> dict[int, str]:
        """What each of its processes is for, by process id."""
        listed = self.kamailio.rpc("core.ps")
        assert isinstance(listed, list)
        return dict(zip(listed[::2], listed[1::2], strict=True))

    def workers(self) -> list[int]:
        """The processes that take SIP requests from the network."""
        return [pid for pid, what in self.processes().items() if what.startswith("udp receiver")]

    def cpu(self) -> dict[int, float]:
        return cpu_of(self.processes())

    def spent(self, before: Mapping[int, float]) -> dict[str, float]:
        """CPU seconds since `cpu()`: of all processes, and of the SIP workers among them."""
        workers = set(self.workers())
        by_process = spent(before)
        return {
            "all": sum(by_process.values()),
            "workers": sum(seconds for pid, seconds in by_process.items() if pid in workers),
        }

    def seconds_to_first_answer(self, timeout: float = 120.0) -> float:
        """Start it, and return the seconds until the first SIP request is answered by its routes."""
        began = time.monotonic()
        self.kamailio.process.start()
        request = (
            f"OPTIONS sip:{self.proxy} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:%d;branch=z9hG4bK%d\r\n"
            f"Max-Forwards: 70\r\nFrom: <sip:bench@127.0.0.1>;tag=1\r\nTo: <sip:{self.proxy}>\r\n"
            "Call-ID: start-%d@bench\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
        )
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.bind(("127.0.0.1", 0))
            client.connect(self.proxy)
            client.settimeout(0.01)
            number = 0
            while time.monotonic() - began < timeout:
                number += 1
                with contextlib.suppress(OSError):
                    client.send((request % (client.getsockname()[1], number, number)).encode())
                    if client.recv(65_536).startswith(b"SIP/2.0 200"):
                        return time.monotonic() - began
                if not self.kamailio.process.is_running:
                    break
                time.sleep(0.002)
        raise RuntimeError(f"{self.name} does not answer:\n{self.kamailio.log()[-2000:]}")

    def ask(self, calls: int, timeout: float = 120.0) -> dict[str, object]:
        """Have the script that was loaded (inside.py, inside_plain.py) measure so many calls."""
        self._questions += 1
        number = f"{self.name}-{self._questions}".replace(" ", "-")
        draft = self.folder / "request.new"
        draft.write_text(json.dumps({"id": number, "calls": calls}))
        draft.rename(self.folder / "request")
        answer: dict[str, object] = {}

        def is_answered() -> bool:
            with contextlib.suppress(FileNotFoundError):
                answer.update(json.loads((self.folder / "answer").read_text()))
            return answer.get("id") == number

        wait_until(is_answered, f"{self.name} has measured (log: {self.kamailio.process.log})", timeout)
        if "error" in answer:
            raise RuntimeError(f"{self.name}: {answer['error']}")
        return answer


class Comparison(Setup):
    """Without kemi_rtp: all nodes in set 0 of the database, and the rtpengine module's defaults."""

    def __init__(
        self,
        folder: Path,
        name: str,
        config: str,
        nodes: Sequence[Node],
        line: Line = MACHINE,
        env: Mapping[str, str] | None = None,
        workers: int = WORKERS,
    ) -> None:
        self.prepare(folder)
        database = folder / "nodes.sqlite"
        write_stock_table(database, [(node.url, node.weight, int(node.disabled)) for node in nodes])
        place = {
            "BENCH_LISTEN": f"udp:{self.proxy}",
            "BENCH_CHILDREN": str(workers),
            "BENCH_RPC_SOCKET": str(self.rpc_socket),
            "BENCH_DB_URL": f"sqlite:///{database}",
            **(env or {}),
        }
        super().__init__(folder, name, CONFIGS / config, place, line)


def native(folder: Path, nodes: Sequence[Node], line: Line = MACHINE, name: str = "native cfg") -> Comparison:
    """Native routes."""
    return Comparison(folder, name, "native.cfg", nodes, line)


def plain(
    folder: Path, nodes: Sequence[Node], line: Line = MACHINE, name: str = "plain KEMI", workers: int = WORKERS
) -> Comparison:
    """A KEMI script."""
    return Comparison(folder, name, "plain.cfg", nodes, line, {"BENCH_SCRIPT": str(PLAIN)}, workers)


def timed_plain(folder: Path, nodes: Sequence[Node], name: str) -> Comparison:
    """A KEMI script that measures the module's own choice."""
    script = Path(__file__).with_name("inside_plain.py")
    return Comparison(folder, name, "timed.cfg", nodes, MACHINE, {"BENCH_SCRIPT": str(script)})


class KemiRtp(Setup):
    """kemi_rtp with the project's own configuration and its defaults, but for `settings` of nodes.yaml."""

    def __init__(
        self,
        folder: Path,
        nodes: Sequence[Node],
        line: Line = MACHINE,
        name: str = "kemi_rtp",
        settings: Mapping[str, object] | None = None,
        script: Path = product.ROUTES,
        workers: int = WORKERS,
    ) -> None:
        self.prepare(folder)
        self.site = product.Site(folder, self.rpc_socket, settings)
        self.site.write_nodes(nodes)
        env = {
            "KEMI_RTP_SCRIPT": str(script),
            "KEMI_RTP_NODES": str(self.site.nodes_file),
            "KEMI_RTP_STATE_DIR": str(self.site.state_dir),
            "KEMI_RTP_RPC_SOCKET": str(self.rpc_socket),
            "KEMI_RTP_LISTEN": f"udp:{self.proxy}",
            "KEMI_RTP_CHILDREN": str(workers),
            "KEMI_RTP_DISABLE_TCP": "yes",
        }
        super().__init__(folder, name, product.CONFIG, env, line)
