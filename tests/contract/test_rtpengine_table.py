"""rtpengine nodes from a database: what is loaded, what a reload does and refuses, what the ping timer of 6.x does.

Kamailio refuses a reload within ten seconds of its start or of the last one: the tests of this file come last.
"""

from collections.abc import Callable

from .scenario import Check, Scenario, checks

SCENARIOS = [
    Scenario(
        "the table at the start",
        """
        rtpengine.set_rtpengine_set(1)
        rtpengine.set_rtpengine_set(2)
        rtpengine.rtpengine_offer("")
        pv.get("$avp(served_by)")
        rpc("rtpengine.show", "{SECOND}")
        rpc("rtpengine.show", "{FIRST}")
        """,
        with_table=True,
    ),
    Scenario(
        "the ping timer and a permanent disable",
        """
        rpc("rtpengine.enable", "{CLOSED}", 0)
        rpc("rtpengine.show", "{CLOSED}")
        sleep(2.6)
        rpc("rtpengine.show", "{CLOSED}")
        rpc("rtpengine.show", "{FIRST}")
        rpc("rtpengine.show", "{SECOND}")
        """,
        with_table=True,
    ),
    Scenario(
        "reload",
        """
        until_reload()
        table((1, "{FIRST}", 5, 0), (7, "{SECOND}", 1, 0), (2, "{SECOND}", 1, 1), (3, "{CLOSED}", 1, 1))
        rpc("rtpengine.reload")
        rpc("rtpengine.reload")
        [(n["url"], n["set"], n["index"], n["weight"], n["disabled"]) for n in rpc("rtpengine.show", "all")]
        rtpengine.set_rtpengine_set(7)
        rtpengine.rtpengine_offer("")
        pv.get("$avp(served_by)") == "{SECOND}"
        rtpengine.rtpengine_delete("")
        rpc("rtpengine.enable", "{FIRST}", 0)
        until_reload()
        table((1, "{FIRST}", 5, 0), (2, "{SECOND}", 1, 1))
        rpc("rtpengine.reload")
        [(n["url"], n["set"], n["index"], n["weight"], n["disabled"]) for n in rpc("rtpengine.show", "all")]
        rpc("rtpengine.show", "{CLOSED}")
        rtpengine.set_rtpengine_set(7)
        rtpengine.rtpengine_offer("")
        rtpengine.set_rtpengine_set(1)
        rtpengine.rtpengine_offer("")
        rtpengine.rtpengine_delete("")
        """,
        with_table=True,
    ),
]


@checks(SCENARIOS)
def test_table(agree: Callable[[Check], None], check: Check) -> None:
    agree(check)
