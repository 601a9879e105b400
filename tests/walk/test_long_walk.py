"""A long random walk: calls, sick nodes, reloads, edits, commands, restarts and kill -9 in any order.

After every step invariants 1, 2, 3 and 7 are compared with a model that uses nothing of kemi_rtp: no node is more
enabled than people left it, a node out of service gets nothing, `kemi-rtp show` says what the next call meets, a call
stays on its node.

In the environment KEMI_RTP_WALK_SEED=N repeats the walk whose output says `seed N`, KEMI_RTP_WALK_EXAMPLES=N makes it
longer (11 walks of 50 steps on each profile), KEMI_RTP_WALK_SHRINK=0 does without the search for a shorter sequence of
steps that fails, which takes up to five minutes.
"""

import json
import os
import re
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from KSR.testing import Routed, RpcFault, SentMessage, SipMessage, State, Worker
from tests.lab.people import DISABLED, DRAINING, ENABLED, Decision, Decisions, People, Place, adopt, at, decide, read
from tests.unit.sabotage import Killed
from tests.unit.site import StubRpc, call_of

from .walk import URLS, Packet, WalkSite, walk_site

STEPS = 50  # in one walk
SHRINK = os.environ.get("KEMI_RTP_WALK_SHRINK") != "0"
WALKS = int(os.environ.get("KEMI_RTP_WALK_EXAMPLES", "14"))  # on each profile
PROFILES = ("5.6.3", "6.0.1", "6.0.2", "6.1.5")
LEAST = 500  # steps on each profile

COMMANDS = {"disable": DISABLED, "drain": DRAINING, "enable": ENABLED}
FAULTY_REGISTRIES = (
    "version: 1\nnodes: [",
    "version: 1\nnodes:\n  rtp1: {state: disbled}\n",
    "version: 1\nnodes:\n  rtp1: {state: enabled}\n",
    b"version: 1\nnodes: {}\n\xff",
    "",
    None,
)
FAULTY_NODES = ("pools: {default: []}\n", "pools: [", "", "pools: {default: [{name: a, url: 'udp:h:99999'}]}\n", None)
INITIAL = [{"name": f"rtp{n}", "url": URLS[n - 1], "weight": 1, "tier": 0, "pool": "default"} for n in (1, 2, 3)]

steps: Counter[str] = Counter()
"""Steps walked on each profile."""

node_numbers = st.integers(0, len(URLS) - 1)
workers = st.integers(0, 2)
numbers = st.integers(0, 1 << 16)
durations = st.sampled_from([None, None, 7, 20])  # a command waits for a node for 4 s


@dataclass
class Phone:
    """One call. `url`: where its media is, by the model; `named`: the node in its Record-Route."""

    call_id: str
    invite: SipMessage
    relayed: SentMessage
    url: str
    named: str
    answered: bool = False
    bound: bool = True
    cseq: int = 1
    left: frozenset[str] = frozenset()  # where its media was before: deleted there when that node answers


class LongWalk(RuleBasedStateMachine):
    profile: str

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.people = People()
        self.nodes: list[dict[str, Any]] = [dict(node) for node in INITIAL]  # the last good nodes.yaml
        self.nodes_faulty = False
        self.configs = [_config(self.nodes)]  # what may be in force
        self.native: dict[str, bool] = {}  # URLs disabled natively and not adopted yet; true: they must be
        self.faulty_registry: str | bytes | None = None
        self.leaving: list[dict[str, Any]] = []
        self.recent: list[list[Place]] = []  # the nodes that were in force, the latest first
        self.phones: list[Phone] = []
        self.ended: dict[str, set[str]] = {}  # calls that are over: where their deletes may go, at once or later
        self.over: set[str] = set()  # calls that have ended since Kamailio started
        self.made = 0
        self.checked = 0  # packets
        self.site: WalkSite

    @initialize(ping_interval=st.sampled_from([0, 1]))
    def begin(self, ping_interval: int) -> None:
        folder = Path(self.stack.enter_context(TemporaryDirectory()))
        self.site = self.stack.enter_context(walk_site(self.profile, folder, ping_interval))
        self.site.write(self.site.nodes_path, self.site.nodes_text(self.nodes))
        self.start()

    def teardown(self) -> None:
        self.stack.close()

    def start(self) -> None:
        self.over.clear()
        self.site.start(workers=3)
        self.people.tick()
        self.native.clear()
        self.configs = [_config(self.nodes)]
        self.shown = self.show()
        self.forbidden = self.out_of_service()

    # --- what is so --------------------------------------------------------------------------------------------------

    def show(self) -> list[dict[str, Any]]:
        """The nodes that `kemi-rtp show` says are in force."""
        faulty = self.site.nodes_path.read_bytes() if self.nodes_faulty and self.site.nodes_path.exists() else None
        if self.nodes_faulty:  # no command finds Kamailio without a good nodes.yaml
            self.site.nodes_path.write_text(self.site.nodes_text(self.nodes))
        self.generation_shown = self.generation()
        done = self.site.cli("show", "--json")
        if self.nodes_faulty:
            self.site.write(self.site.nodes_path, faulty)
        assert done.exit_code == 0, done.output
        lines = json.loads(done.stdout)["nodes"]
        self.leaving = [node for node in lines if node["pool"] == ""]  # out of nodes.yaml, with calls on them
        nodes = [node for node in lines if node["pool"]]
        places = [Place(node["name"], node["url"]) for node in nodes]
        self.recent = [places, *(other for other in self.recent if other != places)][:3]
        return nodes

    def look_again(self) -> None:
        """`show` once more, when a call has found a node dead."""
        if self.generation() != self.generation_shown:
            self.shown = self.show()

    def generation(self) -> object:
        return self.site.ksr.htables["kemi_rtp"].cells["generation"].value

    def out_of_service(self) -> set[str]:
        """URLs of the nodes that nothing may be sent to."""
        places = {Place(node["name"], node["url"]) for node in self.shown} | {Place("", url) for url in URLS}
        return {place.url for place in places if self.people.allowed(place, self.site.now) == {DISABLED}}

    def worker(self, number: int) -> Worker:
        return self.site.ksr.workers[number]

    def place(self, number: int) -> Place:
        """A node of the nodes.yaml on disk."""
        node = self.nodes[number % len(self.nodes)]
        return Place(node["name"], node["url"])

    def places(self) -> list[Place]:
        return [self.place(number) for number in range(len(self.nodes))]

    def takes_commands(self, url: str) -> bool:
        """Whether a command to this node would be answered: its daemon lives, and the module uses it."""
        rows = [node for node in self.site.ksr.rtpengine.nodes() if node.url == url and node.displayed]
        return self.site.daemon_at(url).state is State.ALIVE and bool(rows) and not rows[0].disabled

    # --- after every step --------------------------------------------------------------------------------------------

    @invariant()
    def holds(self) -> None:
        if not hasattr(self, "site"):
            return
        steps[self.profile] += 1
        self.see_traffic()
        self.see_log()
        self.adopt()
        self.shown = self.show()
        self.see_nodes()
        self.see_states()
        self.place_call(self.worker(self.made % 3))
        self.look_again()
        self.forbidden = self.out_of_service()

    def see_traffic(self) -> list[Packet]:
        """Invariant 2: nothing of ours was sent to a node that was and is out of service."""
        self.site.collect()
        new, self.checked = self.site.packets[self.checked :], len(self.site.packets)
        wrong = [packet for packet in new if packet.ours and packet.url in self.forbidden]
        if wrong:
            self.shown = self.show()  # nodes.yaml may say by now that another node is there
            wrong = [packet for packet in wrong if packet.url in self.out_of_service()]
            assert not wrong, f"out of service: {wrong}"
        for packet in new:
            if packet.command == "delete" and packet.call_id in self.ended:
                assert packet.url in self.ended[packet.call_id], f"{packet} of a call on {self.ended[packet.call_id]}"
        return new

    def on_disk(self) -> Decisions | None:
        """What the registry file says; None when it is the faulty one."""
        path, text = self.site.registry.path, self.faulty_registry
        wanted = text.encode() if isinstance(text, str) else text
        if self.people.is_faulty and (path.read_bytes() if path.exists() else None) == wanted:
            return None
        return read(path)

    def see_log(self) -> None:
        tracebacks = [line for line in self.site.ksr.log_at("err", "crit") if "Traceback" in line or "Error: " in line]
        assert not tracebacks, self.site.ksr.log_at("err", "crit")

    def adopt(self) -> None:
        """A native disable may have been adopted."""
        if self.native:
            for name, found in (self.on_disk() or {}).items():
                durable = found if found.until is None else found.then
                if durable is None or found == self.people.registry.get(name):
                    continue
                if durable.url in self.native and durable == Decision(name, durable.url, DISABLED):
                    # Among the nodes of which nodes.yaml? Another one may have come into force meanwhile.
                    self.show()
                    for places in reversed(self.recent):
                        after = adopt(self.people.registry, durable, places, self.site.now)
                        if after == at(self.on_disk() or {}, self.site.now):
                            break
                    self.people.adopt(Place(name, durable.url), places, self.site.now)
                    del self.native[durable.url]

    def see_nodes(self) -> None:
        """The nodes in force are those of a nodes.yaml that was good, and never an older one than before."""
        shown = _config(self.shown)
        assert shown in self.configs, f"in force: {shown}"
        del self.configs[: self.configs.index(shown)]

    def see_states(self) -> None:
        """Invariant 1, both ways: exactly what people decided. And what they decided is on disk."""
        for node in self.shown + self.leaving:
            allowed = self.people.allowed(Place(node["name"], node["url"]), self.site.now)
            assert node["admin"] in allowed, f"{node['name']} is {node['admin']}, people left it {allowed}"
            well = node["health"] != "down" and "cooling down" not in node["reason"]
            usable = well and node["admin"] == ENABLED and node["pool"] != ""
            assert node["routable"] == usable, node
        if not self.people.is_faulty:
            on_disk = at(read(self.site.registry.path) or {}, self.site.now)
            assert on_disk == at(self.people.registry, self.site.now)

    # --- calls -------------------------------------------------------------------------------------------------------

    def receivers(self, *, all_tiers: bool = False) -> set[str]:
        """URLs that `show` promises a new call to."""
        nodes = [node for node in self.shown if node["pool"] == "default"]
        nodes = [n for n in nodes if n["routable"]] or [n for n in nodes if n["admin"] == ENABLED]  # the last resort
        if not all_tiers:
            nodes = [node for node in nodes if node["tier"] == min(n["tier"] for n in nodes)]
            nodes = [node for node in nodes if node["weight"]] or nodes
        return {node["url"] for node in nodes}

    def place_call(self, worker: Worker) -> Phone | None:
        """Invariant 3: a new call meets what `show` says."""
        self.made += 1
        call_id = f"call-{self.made}"
        receivers, candidates = self.receivers(), self.receivers(all_tiers=True)
        enabled = {node["url"] for node in self.shown if node["admin"] == ENABLED and node["pool"] == "default"}
        well = all(self.takes_commands(url) for url in candidates)
        invite, routed = self.site.call(worker, call_id)
        offers = self.offers(call_id)
        if well and candidates:
            assert len(offers) == 1, f"a call of {candidates} was offered to {offers}"
            assert offers[0] in receivers, f"a call was offered to {offers}; show promised {receivers}"
        assert set(offers) <= enabled, f"a call was offered to {offers}; enabled are {enabled}"
        if not routed.relayed:
            assert not well or not candidates, f"{routed.reply.code} for a call although {candidates} are well"
            return None
        url = _media(routed)
        phone = Phone(call_id, invite, routed.request, url, named=url)
        self.phones = [*self.phones[-9:], phone]
        return phone

    def offers(self, call_id: str) -> list[str]:
        sent = [packet for packet in self.see_traffic() if packet.call_id == call_id and packet.ours]
        return [packet.url for packet in sent if packet.command == "offer"]

    def phone(self, number: int, *, answered: bool) -> Phone | None:
        phones = [phone for phone in self.phones if phone.answered is answered]
        return phones[number % len(phones)] if phones else None

    def serves(self, url: str) -> bool:
        """Whether `show` says that the node at this URL serves the calls that are on it."""
        nodes = self.shown + self.leaving
        return any(n["url"] == url and n["admin"] != DISABLED and n["health"] != "down" for n in nodes)

    def alone(self, phone: Phone, command: str, *, silent_ok: bool = False) -> None:
        """Invariant 7: answer or delete of a call went to its node once, and to no other; to none that is out."""
        sent = [p for p in self.see_traffic() if p.call_id == phone.call_id and p.ours]
        assert {packet.command for packet in sent} <= {command}, sent
        urls = {packet.url for packet in sent}
        if not phone.bound and phone.url != phone.named:
            return  # a restart has lost that the call had moved
        assert urls <= {phone.url}, f"{command} of a call on {phone.url} went to {urls}"
        if self.serves(phone.url) and self.takes_commands(phone.url) and not silent_ok:
            assert len(sent) == 1, f"{command} of a call on {phone.url}: {sent}"

    @rule(worker=workers, count=st.integers(1, 3))
    def calls(self, worker: int, count: int) -> None:
        for _ in range(count):
            phone = self.place_call(self.worker(worker))
            self.look_again()
            if phone:
                self.answered(phone, self.worker((worker + 1) % 3))

    @rule(worker=workers)
    def burst(self, worker: int) -> None:
        """Invariant 3, the other way: every node gets calls that `show` promises them to."""
        receivers = self.receivers()
        got: set[str] = set()
        for _ in range(300):
            if got == receivers or not all(self.takes_commands(url) for url in self.receivers(all_tiers=True)):
                return
            phone = self.place_call(self.worker(worker))
            got |= {phone.url} if phone else set()
        raise AssertionError(f"of {receivers} only {got} get calls")

    @rule(number=numbers, worker=workers)
    def answer(self, number: int, worker: int) -> None:
        phone = self.phone(number, answered=False)
        if phone:
            self.answered(phone, self.worker(worker))

    def answered(self, phone: Phone, worker: Worker) -> None:
        self.site.answer(worker, phone.relayed)
        self.alone(phone, "answer")
        phone.answered = True
        self.look_again()
        worker.request(self.site.ksr.in_dialog("ACK", phone.invite, phone.relayed))

    @rule(number=numbers, worker=workers)
    def cancel(self, number: int, worker: int) -> None:
        phone = self.phone(number, answered=False)
        if phone:
            self.phones.remove(phone)
            self.worker(worker).request(self.site.ksr.cancel(phone.invite))
            assert not [packet for packet in self.see_traffic() if packet.call_id == phone.call_id]  # 487 ends it
            self.site.answer(self.worker(worker), phone.relayed, 487, sdp=False)
            self.alone(phone, "delete")
            self.over.add(phone.call_id)

    @rule(number=numbers, worker=workers)
    def cancel_too_late(self, number: int, worker: int) -> None:
        """A CANCEL that crosses the 200: it has no effect (RFC 3261, section 9.2)."""
        phone = self.phone(number, answered=False)
        if phone:
            self.answered(phone, self.worker((worker + 1) % 3))
            self.worker(worker).request(self.site.ksr.cancel(phone.invite))
            assert not [p for p in self.see_traffic() if p.call_id == phone.call_id and p.command == "delete"]

    @rule(number=numbers, worker=workers, code=st.sampled_from([302, 407, 486, 503]))
    def retry(self, number: int, worker: int, code: int) -> None:
        """A refused INVITE is sent once more with its Call-ID; the delete of the first one may wait for its node."""
        phone = self.phone(number, answered=False)
        if not phone:
            return
        self.site.answer(self.worker(worker), phone.relayed, code, sdp=False)
        self.look_again()
        self.see_traffic()
        self.phones.remove(phone)
        invite, routed = self.site.call(self.worker((worker + 1) % 3), phone.call_id, cseq=2)
        if routed.relayed:
            again = Phone(phone.call_id, invite, routed.request, _media(routed), _media(routed), cseq=2)
            again.left = frozenset({phone.url})
            self.phones.append(again)
        self.see_traffic()

    @rule(number=numbers, worker=workers)
    def second_answer(self, number: int, worker: int) -> None:
        """Another callee of the same INVITE answers too, and hangs up at once; the call goes on."""
        phone = self.phone(number, answered=True)
        if not phone or phone.cseq > 1 or phone.left or not phone.bound or not self.serves(phone.url):
            return
        answer = self.site.ksr.reply_to(phone.relayed, 200, sdp=True, to_tag="another")
        self.worker(worker).reply(answer)
        self.look_again()
        self.see_traffic()
        phone.cseq += 1
        bye = self.site.ksr.in_dialog("BYE", phone.invite, phone.relayed, cseq=phone.cseq, to_tag="another")
        self.worker((worker + 1) % 3).request(bye)
        self.see_traffic()
        self.look_again()

    @rule(number=numbers, worker=workers, callee=st.booleans())
    def bye(self, number: int, worker: int, callee: bool) -> None:
        phone = self.phone(number, answered=True)
        if phone:
            self.hang_up(phone, worker, callee=callee)

    @rule(worker=workers)
    def bye_everybody(self, worker: int) -> None:
        for phone in [phone for phone in self.phones if phone.answered]:
            self.hang_up(phone, worker)

    def hang_up(self, phone: Phone, worker: int, *, callee: bool = False) -> None:
        self.phones.remove(phone)
        self.ended[phone.call_id] = {phone.url, *phone.left} if phone.bound else {phone.url, phone.named, *phone.left}
        self.worker(worker).request(self.within(phone, "BYE", callee=callee))
        self.alone(phone, "delete")
        if phone.bound:
            self.over.add(phone.call_id)
        self.look_again()

    @rule(number=numbers, worker=workers, callee=st.booleans())
    def reinvite(self, number: int, worker: int, callee: bool) -> None:
        """Invariant 7: a call stays on its node, also on one that leaves nodes.yaml; it moves when that is disabled or
        down, to one for new calls.
        """
        phone = self.phone(number, answered=True)
        if not phone:
            return
        known = phone.bound or phone.url == phone.named
        stays = self.serves(phone.url) and known
        enabled = {node["url"] for node in self.shown if node["admin"] == ENABLED and node["pool"] == "default"}
        takes_commands = self.takes_commands(phone.url)
        routed = self.worker(worker).request(self.within(phone, "INVITE", callee=callee))
        offers = self.offers(phone.call_id)
        if stays and takes_commands:
            assert offers == [phone.url], f"a call on {phone.url} was offered to {offers}"
        assert set(offers) <= enabled | {phone.url, phone.named}, f"a call on {phone.url} was offered to {offers}"
        if not stays and known and phone.url not in enabled:
            assert phone.url not in offers, f"{phone.url} does not serve and was offered a call"
        if routed.relayed:
            phone.left |= {phone.url, phone.named}
            phone.url = _media(routed)
            phone.bound = True
            self.look_again()
            self.site.answer(self.worker(worker), routed.request)
            self.alone(phone, "answer")

    def within(self, phone: Phone, method: str, *, callee: bool) -> SipMessage:
        phone.cseq += 1
        build = self.site.ksr.from_callee if callee else self.site.ksr.in_dialog
        return build(method, phone.invite, phone.relayed, cseq=phone.cseq, sdp=method == "INVITE")

    # --- nodes, the module, time -------------------------------------------------------------------------------------

    @rule(number=node_numbers, state=st.sampled_from([State.CLOSED, State.DEAD]))
    def crash(self, number: int, state: State) -> None:
        daemon = self.site.daemon_at(URLS[number])
        daemon.state = state
        if state is State.CLOSED:
            daemon.calls.clear()

    @rule(number=node_numbers)
    def come_back(self, number: int) -> None:
        self.site.daemon_at(URLS[number]).state = State.ALIVE

    @rule(passed=st.sampled_from([(1, 0.11), (5, 0.11), (3, 1.0), (2, 11.0), (1, 61.0)]))
    def tick(self, passed: tuple[int, float]) -> None:
        self.site.tick(*passed)
        if passed != (1, 0.11):  # the registry is looked at every 0.2 s
            self.people.tick()
        if passed[1] >= 1:
            self.ticked()

    def ticked(self) -> None:
        """Native disables of nodes that were disabled anyway were seen, too, and are past."""
        self.adopt()
        for node in self.shown:
            if self.people.allowed(Place(node["name"], node["url"]), self.site.now) == {DISABLED}:
                self.native.pop(node["url"], None)

    @rule()
    def settle(self) -> None:
        """When nobody does anything for a while, everything is as people and network have it."""
        self.site.tick(4, 11.0)
        self.site.tick(8, 1.0)
        self.people.tick()
        self.see_traffic()
        self.ticked()
        assert not (any(self.native.values()) and not self.people.is_faulty), f"not adopted: {self.native}"
        self.shown = self.show()
        assert self.nodes_faulty or _config(self.shown) == self.configs[-1]
        for node in self.shown:
            alive = self.site.daemon_at(node["url"]).state is State.ALIVE
            if node["admin"] != DISABLED and node["url"] not in self.native:
                assert node["health"] == ("up" if alive else "down"), node
                assert not alive or self.takes_commands(node["url"]), f"the module does not use {node}"

        self.see_what_is_left()

    def see_what_is_left(self) -> None:
        """Invariant 7: of a call that is over nothing is left, on no node that answers and may be asked."""
        if self.site.dropped_deletes():
            return  # they have waited too long
        waiting = [url for url in URLS if not self.takes_commands(url) or url in self.out_of_service()]
        for url in set(URLS) - set(waiting):
            left = {call_of(id) for id in self.site.daemon_at(url).calls} & self.over
            assert not left or not self.serves(url), f"left on {url}: {left}"
        if not waiting:
            bound = {call_of(key) for key in self.site.ksr.htables["kemi_rtp_calls"].cells} & self.over
            assert not bound, f"still bound: {bound}"

    @rule(number=node_numbers, everything=st.booleans())
    def native_ping(self, number: int, everything: bool) -> None:
        self.native = dict.fromkeys(self.native, False)  # the module may lose what nobody has seen yet
        self.native_rpc("rtpengine.ping", "all" if everything else self.place(number).url)

    @rule(number=node_numbers, flag=st.sampled_from([0, 1]), everything=st.sampled_from([False, False, False, True]))
    def native_enable(self, number: int, flag: int, everything: bool) -> None:
        """`rtpengine.enable URL 0` is a decision of people, which kemi_rtp adopts; `... 1` is not."""
        urls = URLS if everything else [self.place(number).url]
        rows = {row.url: row for row in self.site.ksr.rtpengine.nodes() if row.displayed and row.url in urls}
        before = {url for url, row in rows.items() if row.disabled and row.permanent}
        if not self.native_rpc("rtpengine.enable", "all" if everything else urls[0], flag):
            return
        for url in rows:
            if flag:
                if url in self.native:
                    self.native[url] = False
            elif url not in before:
                self.native[url] = any(node["url"] == url and node["admin"] != DISABLED for node in self.shown)

    @rule()
    def native_reload(self) -> None:
        self.native_rpc("rtpengine.reload")
        self.native = dict.fromkeys(self.native, False)

    def native_rpc(self, method: str, *parameters: str | int) -> bool:
        """False when the module refuses."""
        try:
            self.site.native(method, *parameters)
        except RpcFault as refusal:
            if "Too short" in refusal.text or "not found" in refusal.text:
                return False
            raise
        return True

    # --- Kamailio ----------------------------------------------------------------------------------------------------

    @rule()
    def reload_script(self) -> None:
        self.site.native("app_python.reload")

    @rule()
    def restart(self) -> None:
        self.boot()

    @rule(number=node_numbers, name=st.sampled_from(sorted(COMMANDS)), seconds=durations)
    def command_while_down(self, number: int, name: str, seconds: int | None) -> None:
        self.repair_nodes()
        StubRpc.reachable = False
        try:
            self.command(number, name, seconds, expected=(0, 3))
        finally:
            StubRpc.reachable = True
        self.boot()

    @rule(points=st.integers(1, 120), route=st.sampled_from(["tick", "call"]), worker=workers)
    def kill_kamailio(self, points: int, route: str, worker: int) -> None:
        """kill -9 in the middle of what it does."""
        try:
            with self.site.killed_after(points):
                if route == "tick":
                    self.site.timer.run("ksr_timer_event", "kemi_rtp")
                else:
                    self.site.call(self.worker(worker), f"killed-{self.made}")
        except Killed:
            pass
        self.see_traffic()
        self.adopt()
        self.boot()

    def boot(self) -> None:
        self.see_traffic()
        self.site.reboot()
        if self.nodes_faulty:
            with pytest.raises(SystemExit):
                self.site.start()
            self.repair_nodes()
            self.site.reboot()
        self.phones = [replace(phone, bound=False) for phone in self.phones if phone.answered]
        self.start()

    # --- files -------------------------------------------------------------------------------------------------------

    @rule(number=node_numbers, state=st.sampled_from(sorted(COMMANDS)), seconds=durations, with_url=st.booleans())
    def edit_registry(self, number: int, state: str, seconds: int | None, with_url: bool) -> None:
        """By hand: one node is put in or taken out."""
        place, now = self.place(number), int(self.site.now)
        until = now + seconds if seconds and COMMANDS[state] != ENABLED else None
        decision = Decision(place.name, place.url if with_url else "", COMMANDS[state], until)
        decisions = at(self.people.registry, now)
        after = decide(decisions, replace(decision, url=place.url, until=None), self.places(), now)
        if decision.state != ENABLED:
            after[place.name] = decision
        plain = {name: _plain(one) for name, one in after.items()}
        self.site.write(self.site.registry.path, "version: 1\nnodes: " + json.dumps(plain) + "\n")
        self.people.edit(after)

    @rule(text=st.sampled_from(FAULTY_REGISTRIES))
    def spoil_registry(self, text: str | bytes | None) -> None:
        if self.site.registry.good_path.exists():  # else there is nothing to go by, and a missing file is none
            self.site.write(self.site.registry.path, text)
            self.people.spoil()
            self.faulty_registry = text

    @rule(number=node_numbers, pool=st.sampled_from(["default", "default", "eu"]))
    def add_or_remove(self, number: int, pool: str) -> None:
        url = URLS[number]
        left = [node for node in self.nodes if node["url"] != url]
        if len(left) == len(self.nodes):
            names = {node["name"] for node in left}
            name = next(name for name in (f"rtp{number + 1}", f"node{number + 1}", "spare") if name not in names)
            left.append({"name": name, "url": url, "weight": 1, "tier": 0, "pool": pool})
        self.edit_nodes(left)

    @rule(number=node_numbers, weight=st.integers(0, 3), tier=st.integers(0, 1))
    def tune(self, number: int, weight: int, tier: int) -> None:
        self.change(number, weight=weight, tier=tier)

    @rule(number=node_numbers, pool=st.sampled_from(["default", "eu"]))
    def move(self, number: int, pool: str) -> None:
        self.change(number, pool=pool)

    @rule(number=node_numbers, new=st.sampled_from(["rtp", "node"]))
    def rename(self, number: int, new: str) -> None:
        name = f"{new}{URLS.index(self.place(number).url) + 1}"
        if all(node["name"] != name for node in self.nodes):
            self.change(number, name=name)

    @rule(one=node_numbers, other=node_numbers)
    def exchange_names(self, one: int, other: int) -> None:
        a, b = self.place(one), self.place(other)
        names = {a.name: b.name, b.name: a.name}
        self.edit_nodes([{**node, "name": names.get(node["name"], node["name"])} for node in self.nodes])

    @rule(text=st.sampled_from(FAULTY_NODES))
    def spoil_nodes(self, text: str | None) -> None:
        self.site.write(self.site.nodes_path, text)
        self.nodes_faulty = True

    def change(self, number: int, **values: object) -> None:
        name = self.place(number).name
        self.edit_nodes([{**node, **(values if node["name"] == name else {})} for node in self.nodes])

    def edit_nodes(self, nodes: list[dict[str, Any]]) -> None:
        if any(node["pool"] == "default" for node in nodes):
            self.nodes = nodes
            self.repair_nodes()
            self.configs.append(_config(nodes))

    def repair_nodes(self) -> None:
        self.site.write(self.site.nodes_path, self.site.nodes_text(self.nodes))
        self.nodes_faulty = False

    # --- commands ----------------------------------------------------------------------------------------------------

    @rule(number=node_numbers, name=st.sampled_from(sorted(COMMANDS)), seconds=durations)
    def command(self, number: int, name: str, seconds: int | None, expected: tuple[int, ...] = (0,)) -> None:
        place = self.place(number)
        decision = self.decision(place, name, seconds)
        done = self.site.cli(*self.arguments(place, name, seconds))
        if self.nodes_faulty:
            assert done.exit_code == 1, done.output
            return
        assert done.exit_code in expected, done.output
        self.people.command(decision, self.places(), self.site.now)

    @rule(number=node_numbers, name=st.sampled_from(sorted(COMMANDS)), seconds=durations, points=st.integers(1, 60))
    def killed_command(self, number: int, name: str, seconds: int | None, points: int) -> None:
        """kill -9 in the middle of a command: all of it is decided, or nothing."""
        place = self.place(number)
        decision = self.decision(place, name, seconds)
        try:
            with self.site.killed_after(points):
                done = self.site.cli(*self.arguments(place, name, seconds))
        except Killed:
            before, now = at(self.people.registry, self.site.now), self.site.now
            self.people.crash(self.on_disk(), read(self.site.registry.good_path))
            after = at(self.people.registry, now)
            assert after in (before, decide(before, decision, self.places(), now)), "neither before nor after"
            self.site.tick()
            self.people.tick()
        else:
            if done.exit_code == 0:
                self.people.command(decision, self.places(), self.site.now)

    @rule()
    def reload_command(self) -> None:
        done = self.site.cli("reload")
        if self.nodes_faulty or self.people.is_faulty:
            assert done.exit_code == 1, done.output
        else:
            assert done.exit_code == 0, done.output
            self.people.tick()
            self.shown = self.show()
            assert _config(self.shown) == self.configs[-1]

    def decision(self, place: Place, name: str, seconds: int | None) -> Decision:
        return Decision(*place, COMMANDS[name], int(self.site.now) + seconds if seconds else None)

    def arguments(self, place: Place, name: str, seconds: int | None) -> list[str]:
        return [name, place.name, "--reason", "walk", "--by", "walker", *(["--for", f"{seconds}s"] if seconds else [])]


def _config(nodes: list[dict[str, Any]]) -> set[tuple[object, ...]]:
    return {tuple(node[key] for key in ("name", "url", "pool", "weight", "tier")) for node in nodes}


def _plain(decision: Decision) -> dict[str, object]:
    """A decision as one writes it by hand."""
    plain: dict[str, object] = {"state": decision.state}
    if decision.url:
        plain["url"] = decision.url
    if decision.until:
        plain["until"] = _timestamp(decision.until)
    if decision.then:
        plain["then"] = _plain(decision.then)
    return plain


def _timestamp(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _media(routed: Routed) -> str:
    """The URL of the node whose address is in a relayed SDP."""
    found = re.search(r"^c=IN IP4 (192\.0\.2\.[1-5])\r$", routed.request.body, re.MULTILINE)
    assert found, f"no node's address in {routed.request.body!r}"
    return f"udp:{found[1]}:2223"


@pytest.mark.parametrize("profile", PROFILES)
def test_the_invariants_hold_on_a_long_walk(profile: str) -> None:
    number = int(os.environ.get("KEMI_RTP_WALK_SEED") or 1)
    print(f"seed {number}")
    walk = type("Walk", (LongWalk,), {"profile": profile})
    options = settings(
        max_examples=WALKS,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,  # a seed is a walk, whatever walk failed before
        print_blob=True,
        phases=[phase for phase in Phase if SHRINK or phase is not Phase.shrink],
        report_multiple_bugs=False,  # the first is enough, and is shrunk sooner
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(seed(number)(walk), settings=options)
    assert steps[profile] >= LEAST
