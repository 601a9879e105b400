"""Calls on the stub's Kamailio, counted: `python -m bench.counted plain` prints JSON. Needs stubs/ in PYTHONPATH.

Of each message: the KEMI calls that the script makes, and by function how often Python entered it and how many
bytecodes it executed there. Functions are those of the script's own files, and what they call in turn in Python's
library; what the stub does in Kamailio's place is not counted. A bytecode is one of those that `dis` shows, however
the interpreter specialises it.
"""

import json
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import KSR
from bench import product
from bench.exchange import MESSAGES
from bench.media import Node
from bench.setups import CONFIGS, PLAIN
from KSR.mock.engine.kamailio import activate
from KSR.testing import Ksr, Routed, SentMessage, SipMessage, Worker
from tests.lab.stock import write_stock_table

VERSION = "5.6.3"
WARM_UP, CALLS = 10, 20
NODES = [Node(f"rtp{number}", f"udp:192.0.2.{number}:2223") for number in (1, 2, 3)]


def plain(ksr: Ksr, folder: Path) -> Worker:
    write_stock_table(folder / "nodes.sqlite", [(node.url, node.weight, 0) for node in NODES])
    ksr.configure(
        CONFIGS / "plain.cfg",
        BENCH_LISTEN="udp:127.0.0.1:5060",
        BENCH_CHILDREN="1",
        BENCH_RPC_SOCKET=str(folder / "rpc.sock"),
        BENCH_DB_URL=f"sqlite:///{folder / 'nodes.sqlite'}",
        BENCH_SCRIPT=str(PLAIN),
    )
    return ksr.start(PLAIN)


def kemi_rtp(ksr: Ksr, folder: Path) -> Worker:
    site = product.Site(folder, folder / "rpc.sock")
    site.write_nodes(NODES)
    ksr.configure(
        product.CONFIG,
        KEMI_RTP_NODES=str(site.nodes_file),
        KEMI_RTP_STATE_DIR=str(site.state_dir),
        KEMI_RTP_RPC_SOCKET=str(folder / "rpc.sock"),
    )
    return ksr.start(product.ROUTES)


CASES: dict[str, tuple[Callable[[Ksr, Path], Worker], Path]] = {
    "plain": (plain, PLAIN),
    "kemi_rtp": (kemi_rtp, product.ROUTES.parent),
}
"""How a script is started, and its file or the folder of all its files."""

_STUB = Path(str(KSR.__file__)).parent


class Tracer:
    """Counts by function, of what runs while it is `on`."""

    def __init__(self, own: Path) -> None:
        self.entered: Counter[str] = Counter()
        self.bytecodes: Counter[str] = Counter()
        self._own = own
        self._names: dict[Any, str] = {}  # by code object

    @contextmanager
    def on(self) -> Iterator[None]:
        sys.settrace(self._enter)
        try:
            yield
        finally:
            sys.settrace(None)

    def _enter(self, frame: FrameType, event: str, argument: object) -> Any:
        code = frame.f_code
        path = Path(code.co_filename)
        if path.is_relative_to(_STUB):
            return None
        if not path.is_relative_to(self._own):
            # What is called by a frame that counts: such a one has a local trace function.
            caller = frame.f_back
            if caller is None or caller.f_trace is None:
                return None
        name = self._names.get(code)
        if name is None:
            name = self._names[code] = f"{self._place(path)}:{code.co_qualname}"
        self.entered[name] += 1
        frame.f_trace_lines = False
        frame.f_trace_opcodes = True
        bytecodes = self.bytecodes

        def count(frame: FrameType, event: str, argument: object) -> Any:
            if event == "opcode":
                bytecodes[name] += 1
            return count

        return count

    def _place(self, path: Path) -> str:
        """The path of a file of the script's own within its folder; of another one its name."""
        return str(path.relative_to(self._own)) if self._own in path.parents else path.name


def usual_call(ksr: Ksr, worker: Worker, call_id: str) -> Iterator[tuple[str, Callable[[], Routed]]]:
    """Each message of a call, and what has it come to Kamailio."""
    invite: SipMessage = ksr.invite("sip:bob@192.0.2.20", call_id=call_id)
    sent: list[SentMessage] = []

    def request(message: SipMessage) -> Routed:
        routed = worker.request(message)
        sent.append(routed.request)
        return routed

    def reply(code: int, *, sdp: bool = False) -> Routed:
        return worker.reply(ksr.reply_to(sent[-1], code, sdp=sdp))

    steps: tuple[Callable[[], Routed], ...] = (
        lambda: request(invite),
        lambda: reply(100),
        lambda: reply(180),
        lambda: reply(200, sdp=True),
        lambda: request(ksr.in_dialog("ACK", invite, sent[0])),
        lambda: request(ksr.in_dialog("BYE", invite, sent[0])),
        lambda: reply(200),
    )
    return zip(MESSAGES, steps, strict=True)


def count(case: str) -> dict[str, Any]:
    start, own = CASES[case]
    by_message: dict[str, dict[str, Counter[str]]] = {
        message: {what: Counter() for what in ("kemi", "entered", "bytecodes")} for message in MESSAGES
    }
    totals: list[list[int]] = []
    with tempfile.TemporaryDirectory() as folder:
        ksr = Ksr(VERSION)
        activate(ksr)
        worker = start(ksr, Path(folder))
        for number in range(-WARM_UP, CALLS):
            total = [0, 0, 0]
            for message, step in usual_call(ksr, worker, f"counted-{number + WARM_UP:04d}@bench"):
                tracer = Tracer(own)
                with tracer.on():
                    routed = step()
                kemi = Counter(call.name for call in routed.calls)
                of = {"kemi": kemi, "entered": tracer.entered, "bytecodes": tracer.bytecodes}
                if number >= 0:
                    total = [so_far + counter.total() for so_far, counter in zip(total, of.values(), strict=True)]
                    for what, counter in of.items():
                        by_message[message][what].update(counter)
            if number >= 0:
                totals.append(total)
        sent = Counter(command.command for node in NODES for command in ksr.rtpengine.daemon(node.url).commands())
    ranges = [(min(column), max(column)) for column in zip(*totals, strict=True)]
    return {
        "python": sys.version.split()[0],
        "calls": CALLS,
        "least_and_most_in_a_call": dict(zip(("kemi", "entered", "bytecodes"), ranges, strict=True)),
        "commands_to_nodes": dict(sent),
        "messages": by_message,
    }


if __name__ == "__main__":
    print(json.dumps(count(sys.argv[1])))
