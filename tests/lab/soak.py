"""`make soak`: a long random walk on real Kamailio, rtpengine and SIPp, with calls in the background.

    python -m tests.lab.soak --line 6.0 --seed 1 --seconds 900

The same seed walks the same steps; the time decides how far. Each step is printed. After each step:

1. `kemi-rtp show` says what people decided (people.py); what a command decided, at once.
2. On the wire, nothing of ours has gone to a node that is disabled, since the command returned, or since `show` said
   so where no command decided it; no call that came later has been offered to a draining node.
3. Calls that came since were offered to nodes that `show` calls routable, and went well.
7. At each re-INVITE, calls stay on their node, unless it is disabled or does not answer.

A call may fail only if a node was struck (killed, frozen, disabled) that it was offered to, if no node was left, or if
Kamailio was down while the call was up: the calls of a step are counted by SIPp, what they were offered to is in the
daemons' logs.
"""

import argparse
import contextlib
import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import yaml

from . import lines
from .calls import Calls
from .foreground import foreground
from .kamailio import Line, RpcError
from .laboratory import CHECKOUT, Mark
from .people import DISABLED, DRAINING, ENABLED, Decision, People, Place, at, decide, read
from .process import TimedOutError, wait_until
from .wire import KEMI_RTP
from .world import PINGING, SETTINGS, World

NODES = 4
COMMANDS = {"disable": DISABLED, "drain": DRAINING, "enable": ENABLED}
FAULTY = ("version: 1\nnodes: [", "version: 1\nnodes:\n  rtp1: {state: disbled}\n", "", None)
# How often each step is taken, in relation to the others.
STEPS = {
    "command": 6, "killed_command": 2, "command_while_down": 1, "edit_registry": 2, "spoil_registry": 1,
    "native_enable": 2, "native_ping": 2, "native_reload": 2, "crash": 2, "freeze": 1, "come_back": 4,
    "all_back": 3, "edit_nodes": 3, "spoil_nodes": 1, "reload": 1, "restart": 1, "kill": 1, "reload_script": 1,
    "reinvite": 4, "hang_up": 1, "pause": 1,
}  # fmt: skip
CALLS_PER_SECOND = 10.0
SLACK = 1.5
"""Seconds around the end of a decision in which it may or may not hold: kemi_rtp counts whole seconds."""


class ViolationError(Exception):
    """An invariant does not hold."""


@dataclass(frozen=True)
class Step:
    """One step. `draw` are numbers that the step makes its choices by: they do not depend on what has happened."""

    name: str
    draw: tuple[float, ...]

    def choose(self, place: int, *choices: Any) -> Any:
        return choices[int(self.draw[place] * len(choices))]


def plan(seed: int) -> Iterator[Step]:
    """The steps that a seed stands for."""
    source = random.Random(seed)
    while True:
        (name,) = source.choices(list(STEPS), list(STEPS.values()))
        yield Step(name, tuple(source.random() for _ in range(5)))


@dataclass
class Struck:
    """What excuses calls of the present step: nodes that were struck, and whether there was no way at all."""

    nodes: set[str]
    everything: bool = False


class Soak:
    """The walk. Node names are those of the daemons; nodes.yaml may call a node otherwise."""

    def __init__(self, world: World, seed: int, say: Callable[[str], None]) -> None:
        self.world = world
        self.seed = seed
        self.say = say
        self.people = People()
        self.named = {node.url: name for name, node in world.nodes.items()}
        self.nodes: dict[str, dict[str, Any]] = {
            name: {"name": name, "url": node.url, "weight": 1, "tier": 0} for name, node in world.nodes.items()
        }  # the last good nodes.yaml
        self.nodes_faulty = False
        self.configs = [self.config(list(self.nodes.values()))]
        self.frozen: set[str] = set()
        self.out_since: dict[str, int] = {}  # disabled nodes: the mark on the wire from which nothing may go there
        self.struck = Struck(set())
        self.closed: tuple[str, Mark] | None = None  # a node that takes no new calls, since when
        self.traffic: Calls
        self.held: Calls | None = None
        self.homes: dict[str, tuple[str, str]] = {}  # held calls: their node, and the one that their Route names
        self.routes_only = False  # a restart has lost the bindings of held calls
        self.steps: Counter[str] = Counter()
        self.calls = self.failed = self.excused = self.reinvites = 0

    # --- the walk ----------------------------------------------------------------------------------------------------

    def run(self, seconds: float) -> None:
        """Walk that long. Raises ViolationError."""
        end = time.monotonic() + seconds
        self.look()
        for number, step in enumerate(plan(self.seed), 1):
            if time.monotonic() > end:
                break
            self.step(number, step)
        self.calm_down()

    def step(self, number: int, step: Step) -> None:
        self.say(f"{number}. {step.name} {' '.join(f'{value:.3f}' for value in step.draw)}")
        self.struck = Struck(set(), everything=not self.well())
        traffic = self.world.begin("plain", calls=None, rate=CALLS_PER_SECOND, pause_ms=300, ring_ms=200, timeout=120)
        self.traffic, self.closed = traffic, None
        self.wait_for_calls(traffic, 2)
        getattr(self, step.name)(step)
        self.steps[step.name] += 1
        shown = self.look()
        mark = self.world.mark()
        known = self.offered_calls()
        self.wait_for_calls(traffic, len(known) + 4)
        self.see_new_calls(traffic, known, mark, shown, self.look())
        self.finish(traffic)

    def calm_down(self) -> None:
        """At the end everything comes back, and calls go everywhere."""
        self.say("the end: everything comes back")
        self.struck = Struck(set(self.world.nodes))
        for name in self.world.nodes:
            self.bring_back(name)
        self.write_nodes()
        self.people.edit({})
        (self.world.state_dir / "registry.yaml").write_text("version: 1\nnodes: {}\n")
        self.out_since.clear()
        wanted = sorted(node["name"] for node in self.nodes.values())
        wait_until(
            lambda: sorted(n["name"] for n in self.shown() if n["routable"]) == wanted, "all nodes are routable", 40
        )
        if self.held:
            self.hang_up(None)
        self.world.call("plain", calls=20, rate=50).assert_ok()

    # --- what must hold ----------------------------------------------------------------------------------------------

    def shown(self) -> list[dict[str, Any]]:
        """The nodes in force, as `kemi-rtp show` has them."""
        return [node for node in self.serving() if node["pool"]]

    def serving(self) -> list[dict[str, Any]]:
        """These and the nodes that have left nodes.yaml, and serve their calls to the end."""
        with self.good_nodes_file():
            return [node for node in self.world.show()["nodes"] if node["pool"] is not None]

    def allowed(self, place: Place) -> set[str]:
        now = time.time()
        return {state for moment in (now - SLACK, now) for state in self.people.allowed(place, moment)}

    def look(self) -> list[dict[str, Any]]:
        """Invariants 1 and 2, once what was not decided by command has had its time."""
        shown: list[dict[str, Any]] = []

        def is_as_decided() -> bool:
            shown[:] = self.shown()
            self.adopt()
            return all(node["admin"] in self.allowed(Place(node["name"], node["url"])) for node in shown)

        self.people.tick()
        with contextlib.suppress(TimedOutError):
            wait_until(is_as_decided, "what people decided", timeout=8, interval=0.1)
        for node in shown:
            allowed = self.allowed(Place(node["name"], node["url"]))
            self.insist(node["admin"] in allowed, f"{node['name']} is {node['admin']}, left {allowed}: {node}")
        config = self.config(shown)
        self.insist(config in self.configs, f"in force: {config}")
        del self.configs[: self.configs.index(config)]
        self.see_wire()
        return shown

    def see_wire(self) -> None:
        """Invariant 2: nothing of ours goes to a disabled node."""
        assert self.world.wire is not None
        mark = self.world.wire.mark()
        out = {name for name in self.world.nodes if self.is_out(name)}
        for name, since in self.out_since.items():
            sent = self.world.wire.sent(name, since, KEMI_RTP)
            self.insist(name not in out or not sent, f"{name} is disabled and was sent {sent}")
        # What is out already counts from where it was; what has come to be out, from now on.
        self.out_since = dict.fromkeys(out, mark)

    def is_out(self, name: str) -> bool:
        places = [Place(node["name"], node["url"]) for node in self.nodes.values()] + [Place("", self.url(name))]
        return any(self.allowed(place) == {DISABLED} for place in places if place.url == self.url(name))

    def see_new_calls(
        self, traffic: Calls, known: set[str], mark: Mark, before: list[dict[str, Any]], after: list[dict[str, Any]]
    ) -> None:
        """Invariants 2 and 3 for calls whose first offer came after the mark."""
        routable = {self.named[node["url"]] for node in before + after if node["routable"]}
        enabled = {self.named[node["url"]] for node in before + after if node["admin"] == ENABLED}
        for call_id in traffic.call_ids:
            offered = {name for name, asked in self.world.served(call_id, mark).items() if "offer" in asked}
            if call_id not in known and offered:
                promised = routable if routable else enabled
                self.insist(offered <= promised, f"{call_id} was offered to {offered}; show promised {promised}")
        if self.closed:
            name, mark = self.closed
            late = {one for one in traffic.call_ids if "offer" in self.world.served(one, mark).get(name, [])}
            self.insist(not late, f"{name} takes no new calls since the command returned, but has got {late}")

    def offered_calls(self) -> set[str]:
        """The calls of this step that some node has been offered."""
        return {call_id for call_id in self.traffic.call_ids if self.world.served(call_id)}

    def insist(self, holds: bool, text: str) -> None:
        if not holds:
            raise ViolationError(text)

    # --- calls -------------------------------------------------------------------------------------------------------

    def well(self) -> bool:
        """Whether a new call has a node to go to."""
        if not self.world.kamailio.process.is_running:
            return False
        up = {name for name, node in self.world.nodes.items() if node.process.is_running and name not in self.frozen}
        return any(node["routable"] and self.named[node["url"]] in up for node in self.shown())

    def wait_for_calls(self, traffic: Calls, number: int) -> None:
        """Wait until so many calls were offered to some node, if there is one to take them."""
        if not self.well():
            return
        with contextlib.suppress(TimedOutError):
            wait_until(lambda: sum(bool(self.world.served(one)) for one in traffic.call_ids) >= number, "calls", 4, 0.1)

    def finish(self, traffic: Calls) -> None:
        """Calls fail only where something has struck them."""
        self.struck.everything |= not self.well()
        dead = {name for name, node in self.world.nodes.items() if not node.process.is_running}
        self.struck.nodes |= dead | self.frozen | {name for name in self.world.nodes if self.is_out(name)}
        outcome = traffic.finish()
        traffic.stop()
        self.calls += outcome.calls
        excused = [one for one in outcome.call_ids if self.is_excused(one)]
        self.failed += outcome.failed
        self.excused += len(excused)
        if outcome.failed:
            self.say(f"   {outcome.failed} of {outcome.calls} calls failed, {len(excused)} excused")
        ends = f"{outcome.caller}\n{outcome.callee}"
        self.insist(outcome.failed <= len(excused), f"{outcome.failed} calls failed, {len(excused)} excused\n{ends}")

    def is_excused(self, call_id: str) -> bool:
        return self.struck.everything or bool(self.struck.nodes & set(self.world.served(call_id)))

    def reinvite(self, step: Step) -> None:
        """Invariant 7. Calls that are up send a re-INVITE; first of all they are set up."""
        if not self.well():
            return
        if self.held is None:
            self.held = self.world.begin("held", calls=6, rate=50, timeout=3600)
            self.held.wait_established()
            self.routes_only = False
            self.homes = {}
            for call_id in self.held.call_ids:
                name = next(name for name, asked in self.world.served(call_id).items() if "answer" in asked)
                self.homes[call_id] = name, name
            return
        before = {self.named[node["url"]]: node for node in self.serving()}
        mark = self.world.mark()
        self.held.reinvite()
        self.reinvites += len(self.homes)
        after = {self.named[node["url"]]: node for node in self.serving()}
        for call_id, (home, named) in self.homes.items():
            served = self.world.served(call_id, mark)
            answered = [name for name, asked in served.items() if "answer" in asked]
            self.insist(len(answered) == 1, f"re-INVITE of {call_id}: {served}")
            known = not self.routes_only or home == named
            node = self.world.nodes[home]
            serves = all(home in shown and self.serves(shown[home]) for shown in (before, after))
            if serves and known and node.process.is_running and home not in self.frozen:
                self.insist(answered == [home], f"{call_id} was on {home}, its re-INVITE went to {served}")
            self.homes[call_id] = answered[0], named
        self.routes_only = False

    def serves(self, shown: dict[str, Any]) -> bool:
        """Whether `show` says that a node serves the calls on it, and the module agrees that it can."""
        return bool(shown["admin"] != DISABLED and shown["health"] != "down" and shown["module"] == "active")

    def hang_up(self, step: Step | None) -> None:
        if self.held is None:
            return
        outcome = self.held.hang_up()
        self.held.stop()
        self.held = None
        self.insist(outcome.failed == 0, f"held calls failed:\n{outcome.caller}\n{outcome.callee}")

    # --- steps: commands ---------------------------------------------------------------------------------------------

    def place(self, step: Step) -> Place:
        node = step.choose(0, *self.nodes.values())
        return Place(node["name"], node["url"])

    def places(self) -> list[Place]:
        return [Place(node["name"], node["url"]) for node in self.nodes.values()]

    def decision(self, step: Step) -> tuple[Decision, list[str]]:
        """A decision, and the command for it."""
        place, name = self.place(step), step.choose(1, *COMMANDS)
        seconds = step.choose(2, None, None, 8, 20)
        until = int(time.time()) + seconds if seconds else None
        arguments = [name, place.name, "--reason", "soak", "--by", "soak"]
        return Decision(*place, COMMANDS[name], until), arguments + (["--for", f"{seconds}s"] if seconds else [])

    def command(self, step: Step) -> None:
        decision, arguments = self.decision(step)
        self.say(f"   kemi-rtp {' '.join(arguments)}")
        with self.striking(decision):
            done = self.world.kemi_rtp(*arguments)
        self.insist(done.returncode == 0, f"{done}")  # also while nodes.yaml is faulty: by its last good version
        self.decided(decision)

    def decided(self, decision: Decision) -> None:
        """A command has returned: what it decided holds at once."""
        decision = self.as_stored(decision)
        self.people.command(decision, self.places(), time.time())
        name = self.named[decision.url]
        if self.allowed(Place(decision.node, decision.url)) <= {DRAINING, DISABLED}:
            self.closed = name, self.world.mark()
        if self.is_out(name):
            assert self.world.wire is not None
            self.out_since.setdefault(name, self.world.wire.mark())
        for node in self.shown():
            if (node["name"], node["url"]) == (decision.node, decision.url):
                allowed = self.allowed(Place(decision.node, decision.url))
                self.insist(node["admin"] in allowed, f"after the command {node['name']} is {node['admin']}: {node}")

    def as_stored(self, decision: Decision) -> Decision:
        """The decision with the end that it was stored with: seconds may have moved on since the plan."""
        stored = (read(self.world.state_dir / "registry.yaml") or {}).get(decision.node)
        return replace(decision, until=stored.until) if stored and stored.until in _around(decision) else decision

    @contextlib.contextmanager
    def striking(self, decision: Decision) -> Iterator[None]:
        """A decision that may take a node out excuses the calls on it; one that may let it in ends its being out."""
        if decision.state == DISABLED:
            self.struck.nodes.add(self.named[decision.url])
        else:
            self.see_wire()
            self.out_since.pop(self.named[decision.url], None)
        yield
        if decision.until:
            self.struck.nodes.add(self.named[decision.url])

    def killed_command(self, step: Step) -> None:
        """kill -9 of the command at any time: all of it is decided, or nothing."""
        decision, arguments = self.decision(step)
        if self.nodes_faulty:
            return
        self.struck.nodes.add(self.named[decision.url])
        self.see_wire()
        self.out_since.pop(self.named[decision.url], None)
        command = [sys.executable, "-m", "kemi_rtp.command.main", "--nodes", str(self.world.nodes_file), *arguments]
        with subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
            with contextlib.suppress(subprocess.TimeoutExpired):
                running.wait(step.draw[3] * 0.4)
            running.kill()
        self.say(f"   killed: kemi-rtp {' '.join(arguments)}")
        now = time.time()
        before = at(self.people.registry, now)
        registry = self.world.state_dir / "registry.yaml"
        self.people.crash(None if self.spoilt() else read(registry), read(registry.with_name("registry.yaml.good")))
        after = at(self.people.registry, now)
        # The seconds may have moved on between the plan and the command.
        wanted = [decide(before, replace(decision, until=until), self.places(), now) for until in _around(decision)]
        self.insist(after in (before, *wanted), f"neither before nor after: {before}, {after}")

    def spoilt(self) -> bool:
        """Whether the registry file is still the faulty one."""
        path = self.world.state_dir / "registry.yaml"
        return self.people.is_faulty and (not path.exists() or path.read_text() in FAULTY)

    def command_while_down(self, step: Step) -> None:
        self.struck.everything = True
        self.write_nodes()
        self.world.kamailio.stop()
        decision, arguments = self.decision(step)
        done = self.world.kemi_rtp(*arguments)
        self.insist(done.returncode in (0, 3), f"{done}")
        self.say(f"   Kamailio is down: kemi-rtp {' '.join(arguments)}")
        self.people.command(self.as_stored(decision), self.places(), time.time())
        self.out_since = {name: since for name, since in self.out_since.items() if self.is_out(name)}
        assert self.world.wire is not None
        for name in self.world.nodes:
            if self.is_out(name):
                self.out_since.setdefault(name, self.world.wire.mark())
        self.start_kamailio()

    def reload(self, step: Step) -> None:
        done = self.world.kemi_rtp("reload")
        if self.nodes_faulty or self.people.is_faulty:
            self.insist(done.returncode == 1, f"a faulty file: {done}")
        else:
            self.insist(done.returncode == 0, f"{done}")

    # --- steps: files ------------------------------------------------------------------------------------------------

    def edit_registry(self, step: Step) -> None:
        decision, _ = self.decision(step)
        now = time.time()
        with self.striking(decision):
            after = decide(self.people.registry, replace(decision, until=None), self.places(), now)
            if decision.state != ENABLED:
                after[decision.node] = decision
            self.write_registry("version: 1\nnodes: " + json.dumps({name: _plain(one) for name, one in after.items()}))
        self.people.edit(after)
        self.say(f"   by hand: {decision.node} {decision.state}{' for a time' if decision.until else ''}")

    def spoil_registry(self, step: Step) -> None:
        if (self.world.state_dir / "registry.yaml.good").exists():
            self.write_registry(step.choose(0, *FAULTY))
            self.people.spoil()

    def write_registry(self, text: str | None) -> None:
        path = self.world.state_dir / "registry.yaml"
        if text is None:
            path.unlink(missing_ok=True)
        else:
            draft = path.with_suffix(".edited")
            draft.write_text(text)
            draft.replace(path)

    def edit_nodes(self, step: Step) -> None:
        name = step.choose(0, *self.world.nodes)
        nodes = {each: dict(node) for each, node in self.nodes.items()}
        what = step.choose(1, "add or remove", "weight", "tier", "rename")
        if what == "add or remove":
            if nodes.pop(name, None) is None:
                nodes[name] = {"name": name, "url": self.url(name), "weight": 1, "tier": 0}
        elif name in nodes and what == "rename":
            nodes[name]["name"] = {name: f"node{name}"}.get(nodes[name]["name"], name)
        elif name in nodes:
            nodes[name][what] = step.choose(2, 0, 1, 2) if what == "weight" else step.choose(2, 0, 0, 1)
        if len(nodes) > 1:
            self.nodes = nodes
            self.write_nodes()
            self.configs.append(self.config(list(nodes.values())))
            self.say(f"   nodes.yaml: {what} {name}")

    def spoil_nodes(self, step: Step) -> None:
        self.world.nodes_file.write_text("pools: [")
        self.nodes_faulty = True

    def write_nodes(self) -> None:
        settings = {
            "state_dir": str(self.world.state_dir),
            "rpc_socket": str(self.world.rpc_socket),
            **SETTINGS,
        }
        text = yaml.safe_dump({"settings": settings, "pools": {"default": list(self.nodes.values())}})
        draft = self.world.nodes_file.with_suffix(".draft")
        draft.write_text(text)
        draft.replace(self.world.nodes_file)
        self.nodes_faulty = False

    @contextlib.contextmanager
    def good_nodes_file(self) -> Iterator[None]:
        """No command finds Kamailio without a good nodes.yaml: `show` gets a copy."""
        if not self.nodes_faulty:
            yield
            return
        faulty = self.world.nodes_file
        self.world.nodes_file = faulty.with_name("good.yaml")
        self.write_nodes()
        try:
            yield
        finally:
            self.world.nodes_file = faulty
            self.nodes_faulty = True

    # --- steps: the module -------------------------------------------------------------------------------------------

    def native_enable(self, step: Step) -> None:
        place, flag = self.place(step), step.choose(1, 0, 1)
        name = self.named[place.url]
        self.say(f"   rtpengine.enable {name} {flag}")
        if flag == 0:
            self.struck.nodes.add(name)
        else:
            self.wait_natively()
        with contextlib.suppress(RpcError):
            self.world.native("enable", place.url, flag)
        if flag == 0 and any(node["url"] == place.url for node in self.shown()):
            registry = self.world.state_dir / "registry.yaml"
            wait_until(
                lambda: (
                    any(one.state == DISABLED and one.url == place.url for one in (read(registry) or {}).values())
                    or self.is_out(name)
                ),
                f"the native disable of {name} is adopted",
                8,
            )

    def wait_natively(self) -> None:
        """The module waits for a frozen node while it holds its locks: for that long no worker can send anything."""
        self.struck.everything |= bool(self.frozen)

    def native_ping(self, step: Step) -> None:
        self.wait_natively()
        with contextlib.suppress(RpcError):
            self.world.native("ping", step.choose(1, "all", self.place(step).url))

    def native_reload(self, step: Step) -> None:
        self.wait_natively()
        self.say("   accepted" if self.world.try_native_reload() else "   refused: too early")

    def adopt(self) -> None:
        """Decisions in the registry that came from a native disable are people's."""
        found = read(self.world.state_dir / "registry.yaml") or {}
        for name, decision in found.items():
            by = self.by(name)
            if by.startswith("rtpengine.enable@") and decision != self.people.registry.get(name):
                self.people.adopt(Place(name, decision.url), self.places(), time.time())
                self.struck.nodes.add(self.named[decision.url])

    def by(self, name: str) -> str:
        text = (self.world.state_dir / "registry.yaml").read_text()
        return str(yaml.safe_load(text)["nodes"][name].get("by", ""))

    # --- steps: daemons and Kamailio ---------------------------------------------------------------------------------

    def crash(self, step: Step) -> None:
        name = step.choose(0, *self.world.nodes)
        self.struck.nodes.add(name)
        self.bring_back(name)
        self.world.nodes[name].kill()
        self.say(f"   {name} is killed")

    def freeze(self, step: Step) -> None:
        name = step.choose(0, *self.world.nodes)
        if self.world.nodes[name].process.is_running:
            self.struck.nodes.add(name)
            self.world.nodes[name].freeze()
            self.frozen.add(name)
            self.say(f"   {name} is frozen")

    def come_back(self, step: Step) -> None:
        for name, node in self.world.nodes.items():
            if name in self.frozen or not node.process.is_running:
                self.struck.nodes.add(name)
                self.bring_back(name)
                self.say(f"   {name} is back")
                return

    def all_back(self, step: Step) -> None:
        """Everything comes back, and every node in force is enabled."""
        for name in self.world.nodes:
            self.struck.nodes.add(name)
            self.bring_back(name)
        self.write_nodes()
        for place in self.places():
            decision = Decision(*place, ENABLED)
            with self.striking(decision):
                self.world.command("enable", place.name, "--by", "soak")
            self.decided(decision)

    def bring_back(self, name: str) -> None:
        node = self.world.nodes[name]
        node.thaw()
        self.frozen.discard(name)
        if not node.process.is_running:
            node.start()

    def restart(self, step: Step) -> None:
        self.struck.everything = True
        self.write_nodes()
        self.world.kamailio.stop()
        self.start_kamailio()

    def kill(self, step: Step) -> None:
        """kill -9 of all of Kamailio's processes."""
        self.struck.everything = True
        self.write_nodes()
        self.world.kamailio.kill()
        self.start_kamailio()

    def start_kamailio(self) -> None:
        self.world.kamailio.start()
        self.routes_only = True
        self.configs = [self.config(list(self.nodes.values()))]

    def reload_script(self, step: Step) -> None:
        """Loading takes a worker some tens of milliseconds: the calls ring and last longer than that."""
        self.world.kamailio.rpc("app_python.reload")

    def pause(self, step: Step) -> None:
        with contextlib.suppress(TimedOutError):
            wait_until(lambda: False, "time passes", step.draw[0] * 5)

    # --- small things ------------------------------------------------------------------------------------------------

    def url(self, name: str) -> str:
        return self.world.nodes[name].url

    def config(self, nodes: list[dict[str, Any]]) -> set[tuple[object, ...]]:
        return {tuple(node[key] for key in ("name", "url", "weight", "tier")) for node in nodes}

    def summary(self) -> str:
        return (
            f"{sum(self.steps.values())} steps, {self.calls} calls, {self.failed} failed where {self.excused} might, "
            f"{self.reinvites} re-INVITEs"
        )


def _around(decision: Decision) -> list[int | None]:
    return [None] if decision.until is None else [decision.until + late for late in (-1, 0, 1, 2)]


def _plain(decision: Decision) -> dict[str, object]:
    plain: dict[str, object] = {"state": decision.state, "url": decision.url}
    if decision.until:
        plain["until"] = datetime.fromtimestamp(decision.until, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if decision.then:
        plain["then"] = _plain(decision.then)
    return plain


def walk(line: Line, seed: int, seconds: float, say: Callable[[str], None] = print) -> str:
    """One walk; its summary. Raises ViolationError, with Kamailio's last words."""
    with World(nodes=NODES, line=line, config=PINGING) as world, world.wiretap():
        soak = Soak(world, seed, say)
        try:
            soak.run(seconds)
        except BaseException as error:
            error.add_note(f"after {soak.summary()}; Kamailio's log ends with\n{world.kamailio.log()[-4000:]}")
            raise
        finally:
            world.stop_calls()
        return soak.summary()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.lab.soak", description=__doc__.split("\n")[0])
    parser.add_argument("--line", default="6.0", choices=lines.NAMES)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 16))
    parser.add_argument("--seconds", type=float, default=900.0)
    options = parser.parse_args()
    line = lines.get(options.line)
    about = f"soak on Kamailio {line.version()}, seed {options.seed}"
    print(about, flush=True)
    try:
        with foreground():
            summary = walk(line, options.seed, options.seconds, lambda text: print(text, flush=True))
    except (ViolationError, AssertionError) as error:
        print(f"{error}\n" + "\n".join(getattr(error, "__notes__", ())))
        print(f"{about}: VIOLATION: {str(error).splitlines()[0]}")
        return 1
    print(f"{about}: all invariants held: {summary}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
