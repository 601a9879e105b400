"""One call flow through the laboratory, and the three judges that look at every flow.

Every session description that an agent received names a media node (`assert_relayed`); media arrives at the right
party, all of it (`talk`); and when the flow is over nothing of it is left anywhere (`assert_nothing_left`).
"""

from __future__ import annotations

import contextlib
import random
import re
import socket
from pathlib import Path

from tests.lab.ports import Address
from tests.lab.process import TimedOutError
from tests.lab.rtpengine import Rtpengine
from tests.lab.world import World

from .agent import Agent
from .forwarder import Forwarder
from .message import Message
from .sdp import sdp
from .stage import Stage

PACKETS = 20
"""RTP packets that each party sends when two talk."""
_BINDINGS = "kemi_rtp_calls"
_DEFERRED = "kemi_rtp_deletes"


def accept(a: Agent, b: Agent, invite: Message) -> None:
    """B answers an INVITE with 200, and A acknowledges it."""
    b.answer(invite, 200, b.sdp())
    a.ack(a.receive(200, b))
    b.receive("ACK")


class Flow(Stage):
    """Agents around the laboratory's proxy, for one call flow."""

    def __init__(self, world: World) -> None:
        super().__init__(world.proxy)
        self.world = world
        self.cast: list[Agent] = []
        self.user = f"user-{random.getrandbits(32):08x}"
        self._since = world.mark()

    def agents(self, *names: str) -> list[Agent]:
        """User agents of these names."""
        new = [Agent(name, self) for name in names]
        self.cast += new
        return new

    def registered(self, *names: str) -> list[Agent]:
        """User agents that are all contacts of this flow's user of the proxy, `user`."""
        new = self.agents(*names)
        for agent in new:
            agent.register(self.user)
        return new

    def forwarder(self, name: str, callee: Agent) -> Forwarder:
        """An application server in front of a callee."""
        return Forwarder(name, self, callee)

    def established(self, a: Agent, b: Agent) -> None:
        """A call from one agent to another, up to the ACK."""
        a.invite(b)
        accept(a, b, b.receive("INVITE"))

    def hang_up(self, a: Agent, b: Agent) -> None:
        """The end of the call between two agents, by the first of them."""
        a.bye(a.dialog_with(b))
        b.answer(b.receive("BYE"), 200)
        a.receive(200)

    def freeze(self, node: Rtpengine) -> None:
        """Freeze a node, and wait until each of its threads has stopped: one may be about to answer a command."""
        tasks = Path(f"/proc/{node.process.pid}/task")
        node.freeze()
        self.until(
            lambda: all((one / "stat").read_text().rpartition(")")[2].split()[0] == "T" for one in tasks.iterdir()),
            f"{node.name} has stopped",
        )

    def disable(self, node: Rtpengine) -> None:
        self.world.command("disable", node.name, "--reason", "NIC swap")

    def enable(self, node: Rtpengine) -> None:
        self.world.command("enable", node.name)

    def node_of(self, call_id: str) -> Rtpengine:
        """The one node that was asked for a call."""
        names = list(self.world.served(call_id))
        assert len(names) == 1, f"call {call_id} is on {names}"
        return self.world.nodes[names[0]]

    def no_deletes_wait(self) -> None:
        """Wait until every delete that was deferred has been sent, and answered."""
        self.until(lambda: not self._items(_DEFERRED), "no delete waits")

    def no_deletes_wait_for(self, node: Rtpengine) -> None:
        """The same for those of one node, while another cannot take its own."""
        number = self.world.shown(node.name)["set"]
        self.until(
            lambda: not any(key.startswith(f"{number}:") for key in self._items(_DEFERRED)),
            f"no delete waits for {node.name}",
        )

    def forget_descriptions(self) -> None:
        """Take what was received so far out of the judge's sight."""
        for agent in self.cast:
            agent.descriptions.clear()

    def open_session(self, node: Rtpengine, call_id: str) -> None:
        """What another proxy does on a node: an offer over its NG port, with `call_id`."""
        body = sdp(Address("127.0.0.1", 9)).content
        items = {b"call-id": call_id.encode(), b"command": b"offer", b"from-tag": b"someone", b"sdp": body}
        packed = b"d" + b"".join(b"%d:%b%d:%b" % (len(k), k, len(v), v) for k, v in sorted(items.items())) + b"e"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(2)
            client.connect(node.ng)
            client.send(b"lab-%d " % next(self.numbers) + packed)
            assert b"6:result2:ok" in client.recv(65_536)

    # --- judges -------------------------------------------------------------------------------------------------------

    def talk(self, a: Agent, b: Agent) -> None:
        """Each of two agents sends RTP to where the other's session description wants it, from the port of its own.

        All packets must arrive at the other one, and at nobody else.
        """
        way = ((a, b), (b, a))
        for agent in self.cast:
            agent.rtp.read()
            agent.rtp.received.clear()
        for _ in range(PACKETS):
            for sender, receiver in way:
                media = sender.dialog_with(receiver).media
                assert media is not None, f"{sender.name} has no session description of {receiver.name}"
                sender.rtp.send(media.address)
            self.poll(0.002)

        def all_there() -> bool:
            return all(receiver.rtp.received[sender.name] >= PACKETS for sender, receiver in way)

        with contextlib.suppress(TimedOutError):  # what has come is told below
            self.until(all_there, "all packets arrive", timeout=0.5)
        got = {agent.name: dict(agent.rtp.received) for agent in self.cast if agent.rtp.received}
        expected = {receiver.name: {sender.name: PACKETS} for sender, receiver in way}
        assert got == expected, f"RTP that arrived, by receiver and sender: {got}, not {expected}\n{self.told()}"

    def assert_relayed(self) -> None:
        """Every session description that came names a media node, and nothing but one."""
        nodes = {node.media_host for node in self.world.nodes.values()}
        for agent in self.cast:
            for received in agent.descriptions:
                where = f"{agent.name} received in {received.message}:\n{received.text}"
                per_body = [one for one in agent.descriptions if one.message is received.message]
                assert len(per_body) == 1, f"{len(per_body)} session descriptions in one body; {where}"
                for stream in received.streams:
                    assert stream.address.port == 0 or stream.address.host in nodes, f"not a node's address; {where}"

    def assert_nothing_left(self) -> None:
        """No session, binding, deferred delete or counted call is left; Kamailio has no fault to tell of."""
        left: list[str] = []

        def is_empty() -> bool:
            left[:] = self._left()
            return not left

        try:
            self.until(is_empty, "nothing is left", timeout=2.0)
        except TimedOutError:
            raise AssertionError("left when the flow was over: " + "; ".join(left) + "\n" + self.told()) from None

    def clean(self) -> None:
        """Take away what is left, so that the next flow starts with nothing."""
        if not self._left():
            return
        for node in self.world.nodes.values():
            if node.sessions():
                node.cli("terminate all")
        for table in (_BINDINGS, _DEFERRED):
            self.world.kamailio.rpc("htable.flush", table)
        self.until(lambda: not self._left(), "what was left is gone")

    def told(self) -> str:
        """The ladder of the flow, and what the nodes were asked since its beginning."""
        lines = [*self.ladder]
        for name, node in self.world.nodes.items():
            asked = [f"{one.command} {one.call_id}" for one in node.packets(self._since[name]) if one.command != "ping"]
            if asked:
                lines.append(f"{name} was asked: {', '.join(asked)}")
        return "\n".join(lines)

    def _left(self) -> list[str]:
        left = []
        for name, node in self.world.nodes.items():
            if node.process.is_running and (number := node.sessions()):
                calls = re.findall(r"^callid:\s*(.*?) \|", node.cli("list sessions all"), re.MULTILINE)
                left.append(f"{number} sessions on {name} ({', '.join(calls)})")
        for table, what in ((_BINDINGS, "bindings"), (_DEFERRED, "deferred deletes")):
            if items := self._items(table):
                left.append(f"{what} {items}")
        left += [
            f"{node['name']} with {node['calls']} calls in show" for node in self.world.show()["nodes"] if node["calls"]
        ]
        return left

    def _items(self, table: str) -> dict[str, object]:
        """What an htable holds."""
        slots = self.world.kamailio.rpc("htable.dump", table)
        assert isinstance(slots, list)
        return {item["name"]: item["value"] for slot in slots for item in slot["slot"]}
