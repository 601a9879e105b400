"""What every laboratory has: rtpengine daemons, one Kamailio, SIPp calls through it, and the daemons' counts.

`world` is the laboratory with kemi_rtp, `stock` the one without. Everything is started on loopback ports of its own, in
a folder of its own that is removed at the end unless KEMI_RTP_LAB_KEEP is set in the environment.
"""

import itertools
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import TracebackType
from typing import Any, Self, Unpack

from .calls import CallOptions, Calls, Outcome
from .kamailio import Kamailio, RpcError
from .ports import free_address
from .process import wait_until
from .rtpengine import Rtpengine
from .wire import Wire

CHECKOUT = Path(__file__).resolve().parents[2]

Mark = Mapping[str, int]


class Laboratory:
    """`nodes` rtpengine daemons named rtp1, rtp2, ..., and one Kamailio; all on `host`, 127.0.0.1 or ::1.

    `wire` is what `Wire` has captured, once one is attached.
    """

    kamailio: Kamailio  # made by the subclass
    wire: Wire | None = None

    def __init__(self, nodes: int, host: str) -> None:
        # A short path: a UNIX socket's may have 107 bytes.
        self.folder = Path(tempfile.mkdtemp(prefix="kemi-rtp-lab-"))
        self.rpc_socket = self.folder / "rpc.sock"
        self.nodes = {
            name: Rtpengine(name, number, self.folder, host)
            for number, name in ((number, f"rtp{number}") for number in range(1, nodes + 1))
        }
        self.proxy = free_address(host)
        self._names = itertools.count(1)
        self._calls: list[Calls] = []

    def __enter__(self) -> Self:
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

    def wait_deleted(self, call_ids: Iterable[str]) -> None:
        """Wait until a delete for each of these calls has come: it may come a moment after the call's end."""
        for call_id in call_ids:

            def is_deleted(call_id: str = call_id) -> bool:
                return any("delete" in asked for asked in self.served(call_id).values())

            wait_until(is_deleted, f"delete of {call_id}")

    def wait_for_pings(self, *names: str, number: int = 2, timeout: float = 15.0) -> None:
        """Wait until each of these nodes has been pinged so many times from now on: timer ticks have passed."""
        since = self.mark()

        def are_pinged() -> bool:
            return all(self.nodes[name].counts(since[name])["ping"] >= number for name in names)

        wait_until(are_pinged, f"{', '.join(names)} are pinged {number} times", timeout)

    @contextmanager
    def wiretap(self) -> Iterator[Wire]:
        """Capture what is sent to the nodes; `wire` has it meanwhile. Kamailio must be running."""
        with Wire({name: node.ng for name, node in self.nodes.items()}, self.kamailio.processes) as wire:
            self.wire = wire
            yield wire
            self.wire = None

    # The rtpengine module's own RPCs

    def native(self, method: str, *parameters: object) -> object:
        """An RPC of the rtpengine module: `native("enable", url, 0)`. Raises kamailio.RpcError.

        Typed again while Kamailio, just started, says that it is still initializing.
        """
        answers: list[object] = []

        def is_answered() -> bool:
            try:
                answers.append(self.kamailio.rpc(f"rtpengine.{method}", *parameters))
            except RpcError as refusal:
                if "Initializing" not in refusal.message:
                    raise
            return bool(answers)

        with self.wire.operator_at_work() if self.wire else nullcontext():
            wait_until(is_answered, f"Kamailio takes rtpengine.{method}")
        return answers[0]

    def native_state(self, name: str) -> dict[str, Any]:
        """What `rtpengine.show` says of a node, as it says it: the fields differ between 5.x and 6.x."""
        shown = self.native("show", self.nodes[name].url)
        state = shown[0] if isinstance(shown, list) else shown
        assert isinstance(state, dict)
        return state

    def is_permanent(self, name: str) -> bool:
        """Whether the module holds the node for disabled permanently."""
        return self.native_state(name)["disabled"] in (["1(permanent)"] if self._is_5 else [1])

    def is_active(self, name: str) -> bool:
        """Whether the module would send calls to the node now."""
        state = self.native_state(name)
        return bool(state["disabled"] == 0 if self._is_5 else state["active"] == 1)

    @property
    def _is_5(self) -> bool:
        return self.kamailio.line.version().startswith("5.")

    def native_reload(self, timeout: float = 20.0) -> None:
        """The module's own RPC `rtpengine.reload`, repeated until it is accepted: not within 10 s of the last one."""
        wait_until(self.try_native_reload, "rtpengine.reload is accepted", timeout, interval=0.2)

    def try_native_reload(self) -> bool:
        """`rtpengine.reload` once; false when the module finds that it comes too early."""
        try:
            self.native("reload")
        except RpcError as refusal:
            if "reload interval" not in refusal.message:
                raise
            return False
        return True
