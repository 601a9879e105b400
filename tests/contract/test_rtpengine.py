"""KSR.rtpengine and its RPCs, with real daemons on one side and fake ones on the other.

Sets: 1 and 2 have a living daemon each, 3 a port where nobody listens, 4 the daemon of 1 and the closed port, 5 a
daemon that is frozen.
"""

from collections.abc import Callable

from .scenario import INVITE, Check, Scenario, checks

ENABLE_ALL = 'rpc("rtpengine.enable", "all", 1) is not None\n'
IN_DIALOG = INVITE.replace("<sip:bob@biloxi.example>", "<sip:bob@biloxi.example>;tag=to-tag")
BAD_SDP = "this is no SDP\r\n"
SCENARIOS = [
    Scenario(
        "sets",
        ENABLE_ALL
        + """
        rtpengine.set_rtpengine_set(1)
        rtpengine.set_rtpengine_set(99)
        rtpengine.set_rtpengine_set(-1)
        rtpengine.set_rtpengine_set("1")
        rtpengine.set_rtpengine_set()
        rtpengine.set_rtpengine_set(1, 2)
        rtpengine.rtpengine_offer("replace-origin")
        pv.get("$avp(served_by)") == "{FIRST}"
        rtpengine.rtpengine_delete("")
        rtpengine.set_rtpengine_set2(1, 2)
        rtpengine.set_rtpengine_set2(1, 99)
        rtpengine.set_rtpengine_set2(99, 1)
        """,
    ),
    Scenario(
        "no set selected",
        ENABLE_ALL
        + """
        rtpengine.rtpengine_offer("")
        rtpengine.rtpengine_delete("")
        pv.get("$avp(served_by)")
        """,
    ),
    Scenario(
        "an offer, an answer and a delete",
        ENABLE_ALL
        + """
        rtpengine.set_rtpengine_set(1)
        rtpengine.rtpengine_offer("replace-origin replace-session-connection")
        pv.get("$avp(served_by)") == "{FIRST}"
        rpc("rtpengine.get_hash_total")
        pv.get("$rb") is not None
        pv.unset("$avp(served_by)")
        rtpengine.rtpengine_answer("replace-origin")
        pv.get("$avp(served_by)") == "{FIRST}"
        rtpengine.rtpengine_query("")
        rtpengine.rtpengine_delete("")
        rpc("rtpengine.get_hash_total")
        rtpengine.rtpengine_delete("")
        rtpengine.rtpengine_answer("")
        rtpengine.rtpengine_query("")
        rtpengine.rtpengine_delete0()
        """,
        IN_DIALOG,
    ),
    Scenario(
        "an answer without offer",
        ENABLE_ALL
        + """
        rtpengine.set_rtpengine_set(1)
        rtpengine.rtpengine_answer("")
        pv.get("$avp(served_by)") == "{FIRST}"
        rpc("rtpengine.show", "{FIRST}")
        """,
        IN_DIALOG,
    ),
    Scenario(
        "an answer without to-tag",
        ENABLE_ALL
        + """
        rtpengine.set_rtpengine_set(1)
        rtpengine.rtpengine_answer("")
        pv.get("$avp(served_by)")
        """,
    ),
    Scenario(
        "an SDP that is refused",
        ENABLE_ALL
        + """
        rtpengine.set_rtpengine_set(1)
        rtpengine.rtpengine_offer("")
        pv.get("$avp(served_by)") == "{FIRST}"
        rpc("rtpengine.show", "{FIRST}")
        rpc("rtpengine.get_hash_total")
        """,
        body=BAD_SDP,
    ),
    Scenario(
        "no SDP",
        ENABLE_ALL
        + """
        rtpengine.set_rtpengine_set(1)
        rtpengine.rtpengine_offer("")
        rtpengine.rtpengine_manage("")
        rtpengine.rtpengine_answer("")
        pv.get("$avp(served_by)")
        rtpengine.rtpengine_delete("")
        """,
        body="",
    ),
    Scenario(
        "a dead node",
        ENABLE_ALL
        + """
        rtpengine.set_rtpengine_set(3)
        rtpengine.rtpengine_offer("")
        pv.get("$avp(served_by)")
        rpc("rtpengine.show", "{CLOSED}")
        rtpengine.rtpengine_offer("")
        rtpengine.rtpengine_delete("")
        rtpengine.set_rtpengine_set(3)
        """,
    ),
    Scenario(
        "a frozen node",
        ENABLE_ALL
        + """
        rpc("rtpengine.show", "{FROZEN}")
        rtpengine.set_rtpengine_set(5)
        rtpengine.rtpengine_offer("")
        pv.get("$avp(served_by)")
        rpc("rtpengine.enable", "{FROZEN}", 0)
        rtpengine.rtpengine_offer("")
        rpc("rtpengine.show", "{FROZEN}")
        rpc("rtpengine.ping", "{FROZEN}")
        rpc("rtpengine.show", "{FROZEN}")
        """,
    ),
    Scenario(
        "a living node beside a dead one",
        ENABLE_ALL
        + """
        rtpengine.set_rtpengine_set(4)
        rtpengine.rtpengine_offer("")
        pv.get("$avp(served_by)") == "{FIRST}"
        rtpengine.rtpengine_delete("")
        """,
    ),
    Scenario(
        "another set moves a call",
        ENABLE_ALL
        + """
        rtpengine.set_rtpengine_set(1)
        rtpengine.rtpengine_offer("")
        rtpengine.set_rtpengine_set(2)
        rtpengine.rtpengine_offer("")
        pv.get("$avp(served_by)") == "{SECOND}"
        rpc("rtpengine.get_hash_total")
        rtpengine.set_rtpengine_set(1)
        rtpengine.rtpengine_delete("")
        pv.get("$avp(served_by)") == "{FIRST}"
        rpc("rtpengine.get_hash_total")
        rtpengine.set_rtpengine_set(2)
        rtpengine.rtpengine_delete("")
        """,
    ),
    Scenario(
        "a node that is disabled",
        ENABLE_ALL
        + """
        rpc("rtpengine.enable", "{FIRST}", 0)
        rpc("rtpengine.show", "{FIRST}")
        rtpengine.set_rtpengine_set(1)
        rtpengine.rtpengine_offer("")
        pv.get("$avp(served_by)")
        rpc("rtpengine.enable", "{FIRST}", 1)
        rpc("rtpengine.show", "{FIRST}")
        rtpengine.rtpengine_offer("")
        rpc("rtpengine.enable", "{FIRST}", 0)
        rtpengine.rtpengine_delete("")
        rpc("rtpengine.enable", "{FIRST}", 1)
        rtpengine.rtpengine_delete("")
        """,
    ),
    Scenario(
        "a permanent disable is lost to a ping",
        ENABLE_ALL
        + """
        rpc("rtpengine.enable", "{CLOSED}", 0)
        rpc("rtpengine.show", "{CLOSED}")
        rpc("rtpengine.ping", "{CLOSED}")
        rpc("rtpengine.show", "{CLOSED}")
        rpc("rtpengine.enable", "{CLOSED}", 0)
        rpc("rtpengine.enable", "{CLOSED}", 1)
        rpc("rtpengine.show", "{CLOSED}")
        rpc("rtpengine.enable", "{SECOND}", 0)
        rpc("rtpengine.ping", "{SECOND}")
        rpc("rtpengine.show", "{SECOND}")
        rpc("rtpengine.ping", "all")
        rpc("rtpengine.show", "all")
        """,
    ),
    Scenario(
        "RPCs that are not right",
        ENABLE_ALL
        + """
        rpc("rtpengine.show", "nope")
        rpc("rtpengine.show")
        rpc("rtpengine.enable", "all")
        rpc("rtpengine.enable")
        rpc("rtpengine.enable", "nope", 0)
        rpc("rtpengine.enable", "{FIRST}", "1")
        rpc("rtpengine.show", "{FIRST}")
        rpc("rtpengine.enable", "allx", 1)
        rpc("rtpengine.ping", "nope")
        rpc("rtpengine.ping")
        rpc("rtpengine.reload")
        """,
    ),
    Scenario(
        "flags that are not right",
        ENABLE_ALL
        + """
        rtpengine.set_rtpengine_set(1)
        rtpengine.rtpengine_offer("via-branch")
        rtpengine.rtpengine_offer("via-branch=x")
        rtpengine.rtpengine_offer("call-id")
        rtpengine.rtpengine_offer("from-tag")
        rtpengine.rtpengine_answer("force-answer")
        rtpengine.rtpengine_offer("repacketize=x")
        rtpengine.rtpengine_offer("via-branch=2")
        pv.get("$avp(served_by)")
        rtpengine.rtpengine_offer("via-branch=1 ICE=remove trust-address RTP/AVP")
        rtpengine.rtpengine_delete("via-branch=1")
        rtpengine.rtpengine_offer(1)
        rtpengine.rtpengine_offer()
        rtpengine.rtpengine_nothing("")
        """,
    ),
    Scenario(
        "manage",
        ENABLE_ALL
        + """
        rtpengine.set_rtpengine_set(1)
        rtpengine.rtpengine_manage("replace-origin")
        rpc("rtpengine.get_hash_total")
        rtpengine.rtpengine_manage0()
        rtpengine.rtpengine_offer0()
        rtpengine.rtpengine_delete0()
        """,
    ),
    Scenario(
        "manage of a method that has no media",
        ENABLE_ALL
        + """
        rtpengine.set_rtpengine_set(1)
        rtpengine.rtpengine_manage("")
        pv.get("$avp(served_by)")
        """,
        INVITE.replace("INVITE", "OPTIONS"),
    ),
    Scenario(
        "manage of a BYE",
        ENABLE_ALL
        + """
        rtpengine.set_rtpengine_set(1)
        rtpengine.rtpengine_manage("")
        pv.get("$avp(served_by)") == "{FIRST}"
        """,
        INVITE.replace("INVITE", "BYE"),
        body="",
    ),
    Scenario(
        "media commands",
        ENABLE_ALL
        + """
        rtpengine.set_rtpengine_set(1)
        rtpengine.block_media("")
        rtpengine.rtpengine_offer("")
        rtpengine.block_media("")
        rtpengine.unblock_media("")
        rtpengine.block_dtmf0()
        rtpengine.unblock_dtmf("")
        rtpengine.silence_media("")
        rtpengine.rtpengine_query("")
        rtpengine.rtpengine_delete("")
        """,
    ),
]


@checks(SCENARIOS)
def test_rtpengine(agree: Callable[[Check], None], check: Check) -> None:
    agree(check)
