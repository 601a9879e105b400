"""Runs inside Kamailio, on top of plain.py: times the rtpengine module's own choice of a node in its set.

The module has no function that chooses and does nothing else. What can be timed is a whole command, here a delete for
a call that does not exist: to nodes that are all disabled, so that it ends as soon as the module has looked through its
set in vain, and to nodes that answer at once, so that it includes one round trip. What grows with the number of nodes
is the choice.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from random import Random
from typing import Any

import KSR

sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from bench.plain import Plain

FOLDER = os.environ["BENCH_FOLDER"]


class Bench(Plain):
    served: str | None = None

    def ksr_timer_event(self, msg: object, timer: str = "") -> int:
        try:
            with open(f"{FOLDER}/request") as file:
                request = json.load(file)
        except FileNotFoundError:
            return 1
        if request["id"] == self.served:
            return 1
        self.served = request["id"]
        figures = {
            "select a set": measure(request, lambda call_id: KSR.rtpengine.set_rtpengine_set(0)),
            "delete": measure(
                request, lambda call_id: KSR.rtpengine.rtpengine_delete(f"call-id={call_id} from-tag=bench")
            ),
        }
        with open(f"{FOLDER}/answer.new", "w") as file:
            json.dump({"id": request["id"], "figures": figures}, file)
        os.replace(f"{FOLDER}/answer.new", f"{FOLDER}/answer")
        return 1


def measure(request: dict[str, Any], step: Callable[[str], object]) -> dict[str, float]:
    """Microseconds per call; as many again before, which warm up and do not count."""
    clock = time.perf_counter
    random = Random(request["id"])
    for _ in range(2):
        times = []
        for _ in range(request["calls"]):
            call_id = f"{random.getrandbits(128):032x}@host.example.com"
            began = clock()
            step(call_id)
            times.append((clock() - began) * 1e6)
    times.sort()
    return {"median": times[len(times) // 2], "p99": times[len(times) * 99 // 100], "max": times[-1]}


def mod_init() -> Bench:
    return Bench()
