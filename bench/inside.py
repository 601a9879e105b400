"""Runs inside Kamailio, in place of routes.py: times choosing and binding in the embedded interpreter.

The timer's process does it between two ticks, when the file $BENCH_FOLDER/request asks for it; the answer is written
beside it. All that this bench knows of kemi_rtp's inside is in `Steps`.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterable
from random import Random
from types import SimpleNamespace
from typing import Any

import KSR

sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import kemi_rtp

kemi_rtp.forget_modules()
from kemi_rtp.model.times import utc_now  # noqa: E402
from kemi_rtp.module import commands  # noqa: E402
from kemi_rtp.routes import Routes  # noqa: E402
from kemi_rtp.shm import layout  # noqa: E402
from kemi_rtp.shm.standings import build  # noqa: E402
from kemi_rtp.worker import relay, route  # noqa: E402

POOL = "default"
FOLDER = os.environ["BENCH_FOLDER"]


class Steps:
    """What a new call costs beside the command to its node: the steps of relay.offer, one by one and as a whole."""

    def __init__(self, routes: Routes) -> None:
        self.state = routes.rtp.state
        self.rtp = routes.rtp
        self.view = self.state.view()
        node = self.view.choose(POOL, "any")
        assert node is not None, "no node is routable"
        self.node = node
        self._call_id = ""

    def choose_and_bind(self, call_id: str) -> None:
        """The whole: is the call bound already? choose, note the command in flight, look again, bind.

        As relay.offer does it, without what SIP adds.
        """
        state = self.state
        state.binding(call_id)
        chosen_from = state.seen
        node = chosen_from.choose(POOL, call_id)
        assert node is not None
        waiting = state.begin_command(node.set_id)
        view = state.view()
        found = view.by_set.get(node.set_id)
        assert found is not None
        if view is not chosen_from or waiting > view.settings.max_waiting or not found[1].routable:
            raise RuntimeError(f"{node.name} must not be used: {waiting} commands in flight")
        state.end_command(answered=True)
        state.bind(call_id, node.set_id)

    def look(self, call_id: str) -> None:
        self.state.view()

    def choose(self, call_id: str) -> None:
        self.view.choose(POOL, call_id)

    def note(self, call_id: str) -> None:
        self.state.begin_command(self.node.set_id)
        self.state.end_command(answered=True)

    def bind(self, call_id: str) -> None:
        self.state.bind(call_id, self.node.set_id)

    def rebuild(self, call_id: str) -> None:
        """What a worker pays once after each change: its copy of the view is made anew."""
        build(lambda key: KSR.htable.sht_get(layout.STATE, key), utc_now())

    def relay_offer(self, call_id: str) -> None:
        """relay.offer() as it is, with a command that returns at once in place of the module's."""
        self._call_id = call_id
        self.rtp.offer("", POOL)

    def prepare_relay_offer(self) -> None:
        """The timer's message is none to add a Record-Route parameter to, and has one Call-ID for ever."""
        setattr(commands.Sender, "send", lambda sender, command, node, flags: commands.DONE)  # noqa: B010
        substitute = SimpleNamespace(
            pv=SimpleNamespace(get=lambda name: self._call_id),
            siputils=KSR.siputils,
            tmx=KSR.tmx,
            rtpengine=KSR.rtpengine,
            rr=SimpleNamespace(add_rr_param=lambda parameter: 1),
        )
        for room in (relay, route):  # what asks for the message
            setattr(room, "KSR", substitute)  # noqa: B010

    def routable(self) -> int:
        """How many nodes may take a call now."""
        return sum(standing.routable for _, standing in self.state.view())

    def forget(self, call_ids: Iterable[str]) -> None:
        for call_id in call_ids:
            self.state.unbind(call_id)


# Name of the figure, its step, share of the calls that were asked for
FIGURES: tuple[tuple[str, Callable[[Steps, str], None], float], ...] = (
    ("choose and bind", Steps.choose_and_bind, 1.0),
    ("look at the view", Steps.look, 1.0),
    ("choose", Steps.choose, 1.0),
    ("command in flight", Steps.note, 1.0),
    ("bind", Steps.bind, 1.0),
    ("relay.offer", Steps.relay_offer, 1.0),
    ("view made anew", Steps.rebuild, 0.005),
)
PASSES = 6
"""Each figure is taken in so many parts, in turn with the others; the first one warms up and does not count."""


def percentiles(times: list[float]) -> dict[str, float]:
    times.sort()
    return {"median": times[len(times) // 2], "p99": times[len(times) * 99 // 100], "max": times[-1]}


def timed(step: Callable[[Steps, str], None], steps: Steps, call_ids: list[str]) -> list[float]:
    """Microseconds of each call."""
    clock = time.perf_counter
    times = []
    for call_id in call_ids:
        began = clock()
        step(steps, call_id)
        times.append((clock() - began) * 1e6)
    return times


def round_of(steps: Steps, request: dict[str, Any]) -> dict[str, dict[str, float]]:
    # As random as real ones.
    random = Random(request["id"])
    call_ids = [f"{random.getrandbits(128):032x}@host.example.com" for _ in range(request["calls"] // (PASSES - 1))]
    times: dict[str, list[float]] = {name: [] for name, _, _ in FIGURES}
    for number in range(PASSES):
        for name, step, share in FIGURES:
            taken = timed(step, steps, call_ids[: max(1, int(len(call_ids) * share))])
            steps.forget(call_ids)
            if number:
                times[name] += taken
    return {name: percentiles(values) for name, values in times.items()}


class Bench(Routes):
    served: str | None = None

    def ksr_timer_event(self, msg: object, timer: str = "") -> int:  # as Kamailio calls it
        Routes.ksr_timer_event(self, msg, timer)
        try:
            self.serve()
        except Exception as error:
            answer({"id": self.served, "error": f"{type(error).__name__}: {error}"})
        return 1

    def serve(self) -> None:
        try:
            with open(f"{FOLDER}/request") as file:
                request = json.load(file)
        except FileNotFoundError:
            return
        if request["id"] == self.served:
            return
        self.served = request["id"]
        steps = Steps(self)
        figures = {}
        if request["calls"]:
            steps.prepare_relay_offer()
            figures = round_of(steps, request)
        answer({"id": request["id"], "routable": steps.routable(), "figures": figures})


def answer(content: dict[str, Any]) -> None:
    with open(f"{FOLDER}/answer.new", "w") as file:
        json.dump(content, file)
    os.replace(f"{FOLDER}/answer.new", f"{FOLDER}/answer")


def mod_init() -> Bench:
    return Bench.load()
