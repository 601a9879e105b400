"""KSR.rr, KSR.sl, KSR.tm and KSR.tmx: record routing, replies, transactions with their routes, and what is sent."""

from collections.abc import Callable

from .scenario import INVITE, Check, Scenario, checks

IN_DIALOG = """\
BYE sip:bob@{uas} SIP/2.0
Via: SIP/2.0/UDP {uac};branch=z9hG4bK{number};rport
Route: <sip:{listen};lr;ftag=from-tag;node=abc;empty>
From: "Alice A." <sip:alice@atlanta.example>;tag=from-tag
To: <sip:bob@biloxi.example>;tag=to-tag
Call-ID: {call_id}
CSeq: 8 BYE
Max-Forwards: 70
"""
ACK = IN_DIALOG.replace("BYE", "ACK")
CANCEL = """\
CANCEL sip:bob@{uas};transport=udp SIP/2.0
Via: SIP/2.0/UDP {uac};branch=z9hG4bK{number};rport
From: "Alice A." <sip:alice@atlanta.example>;tag=from-tag
To: <sip:bob@biloxi.example>
Call-ID: {call_id}
CSeq: 7 CANCEL
Max-Forwards: 70
"""
NEGATIVE_ACK = CANCEL.replace("CANCEL", "ACK").replace("biloxi.example>", "biloxi.example>;tag=callee-tag")
E2E_ACK = (
    NEGATIVE_ACK.replace("bK{number}", "bKack{number}")
    .replace("sip:bob@{uas};transport=udp", "sip:bob@{uas}")
    .replace("From:", "Route: <sip:{listen};lr;ftag=from-tag>\nFrom:")
)
BASIC = """
    tm.t_on_reply("on_reply")
    tm.t_on_failure("on_failure")
    tm.t_on_branch("on_branch")
    tm.t_relay()
    tm.t_is_set("failure_route")
    tm.t_is_set("branch_route")
    tm.t_is_set("onreply_route")
    tm.t_is_set("nonsense")
    tm.t_get_status_code()
"""
SCENARIOS = [
    Scenario(
        "record-route",
        """
        rr.record_route()
        rr.record_route()
        rr.add_rr_param(";x=1")
        rr.add_rr_param(";y")
        hdr.get("Record-Route")
        tm.t_relay()
        """,
        sent=True,
    ),
    Scenario(
        "record-route parameters before the header",
        """
        rr.add_rr_param(";x=1")
        rr.add_rr_param(";y=2")
        rr.record_route()
        rr.add_rr_param(";z=3")
        hdr.insert("X-First: 1\\r\\n")
        tm.t_relay()
        """,
        sent=True,
    ),
    Scenario(
        "record-route with parameters of its own",
        """
        rr.record_route_params(";own=1")
        rr.record_route_params(";own=1")
        tm.t_relay()
        """,
        sent=True,
    ),
    Scenario(
        "a parameter without record-route",
        """
        rr.add_rr_param(";x=1")
        tm.t_relay()
        """,
        sent=True,
    ),
    Scenario(
        "loose route within a dialog",
        """
        siputils.has_totag()
        pv.get("$route_uri") is not None
        pv.get("$(route_uri{uri.param,node})")
        rr.check_route_param("node=abc")
        rr.loose_route()
        rr.check_route_param("node=abc")
        rr.check_route_param(";node=ab[cd]")
        rr.check_route_param("node=x")
        rr.check_route_param("[")
        rr.is_direction("downstream")
        rr.is_direction("upstream")
        rr.is_direction("sideways")
        rr.next_hop_route()
        pv.get("$(route_uri{uri.param,node})")
        pv.get("$du")
        hdr.get("Route") is not None
        rr.record_route()
        tm.t_relay()
        """,
        IN_DIALOG,
        body="",
        sent=True,
    ),
    Scenario(
        "loose route in the other direction",
        """
        rr.is_direction("upstream")
        rr.loose_route()
        rr.is_direction("downstream")
        rr.record_route()
        tm.t_relay()
        """,
        IN_DIALOG.replace("ftag=from-tag", "ftag=to-tag"),
        body="",
        sent=True,
    ),
    Scenario(
        "loose route with another proxy behind",
        """
        rr.loose_route()
        pv.get("$du")
        rr.next_hop_route()
        tm.t_relay()
        """,
        IN_DIALOG.replace(";empty>", ";empty>, <sip:{uas};lr;x=1>"),
        body="",
        sent=True,
    ),
    Scenario(
        "loose route with two Route headers",
        """
        rr.loose_route()
        pv.get("$du")
        tm.t_relay()
        """,
        IN_DIALOG.replace(";empty>", ";empty>\nRoute: <sip:{uas};lr;x=1>"),
        body="",
        sent=True,
    ),
    Scenario(
        "a Route that is not ours",
        """
        rr.check_route_param("node")
        rr.loose_route()
        pv.get("$du")
        rr.check_route_param("node")
        rr.is_direction("downstream")
        tm.t_relay()
        """,
        IN_DIALOG.replace("<sip:{listen};lr", "<sip:{uas};lr"),
        body="",
        sent=True,
    ),
    Scenario(
        "a strict router before us",
        """
        rr.loose_route()
        pv.get("$ru")
        pv.get("$du")
        tm.t_relay()
        """,
        IN_DIALOG.replace("BYE sip:bob@{uas}", "BYE sip:{listen};lr;node=abc").replace(
            "<sip:{listen};lr;ftag=from-tag;node=abc;empty>", "<sip:bob@{uas}>"
        ),
        body="",
        sent=True,
    ),
    Scenario(
        "no Route at all",
        """
        rr.loose_route()
        rr.loose_route_preloaded()
        rr.check_route_param("x")
        rr.is_direction("downstream")
        rr.is_direction("upstream")
        """,
    ),
    Scenario(
        "a preloaded Route",
        """
        rr.loose_route()
        pv.get("$du")
        hdr.remove("Route")
        tm.t_relay()
        """,
        INVITE.replace("From:", "Route: <sip:{listen};lr>\nFrom:"),
        sent=True,
    ),
    Scenario(
        "an ACK of a 2xx that went elsewhere",
        """
        tm.t_check_trans()
        rr.loose_route()
        tm.t_relay()
        """,
        ACK,
        body="",
        sent=True,
    ),
    Scenario(
        "stateless replies",
        """
        hdr.append_to_reply("X-Reply: 1\\r\\n")
        hdr.append_to_reply("X-Reply: 2\\r\\n")
        sl.sl_send_reply(404, "Not Found")
        """,
        sent=True,
    ),
    Scenario(
        "a reply with a body",
        """
        textops.set_reply_body("", "text/plain")
        textops.set_reply_body("hello", "text/plain")
        sl.send_reply(403, "Forbidden")
        """,
        sent=True,
    ),
    Scenario(
        "a reply without transaction",
        """
        tm.t_reply(404, "Not Found")
        tm.t_is_set("failure_route")
        tm.t_check_status("4..")
        tm.t_is_canceled()
        tm.t_get_status_code()
        tmx.t_precheck_trans()
        tm.t_check_trans()
        sl.send_reply("404", "Not Found")
        sl.send_reply(404)
        sl.send_reply(404, 404)
        sl.send_reply(480, "Gone")
        """,
        sent=True,
    ),
    Scenario(
        "a reply with a transaction",
        """
        tm.t_newtran()
        tm.t_newtran()
        tm.t_check_trans()
        sl.send_reply(180, "Ringing")
        tm.t_check_status("180")
        tm.t_get_status_code()
        tm.t_reply(486, "Busy")
        tm.t_check_status("4[0-9]6")
        tm.t_check_status("2..")
        tm.t_check_status("[")
        tm.t_reply(404, "Too late")
        """,
        sent=True,
    ),
    Scenario(
        "a reply that makes its transaction",
        """
        tm.t_send_reply(404, "Not Found")
        """,
        sent=True,
    ),
    Scenario("an error reply", "sl.sl_reply_error()", sent=True),
    Scenario("an ACK is not replied", 'sl.sl_send_reply(404, "x")\nsl.send_reply(404, "x")', ACK, body="", sent=True),
    Scenario(
        "arming routes",
        """
        tm.t_is_set("failure_route")
        tm.t_on_failure("on_failure")
        tm.t_is_set("failure_route")
        tm.t_is_set("f")
        tm.t_is_set("branch_route")
        tm.t_on_branch("on_branch")
        tm.t_is_set("branch_route")
        tm.t_on_reply("on_reply")
        tm.t_is_set("onreply_route")
        tm.t_on_reply("")
        tm.t_is_set("onreply_route")
        tm.t_is_set("nonsense")
        tm.t_on_failure(1)
        tmx.t_is_request_route()
        tmx.t_is_failure_route()
        tmx.t_is_branch_route()
        tmx.t_is_reply_route()
        """,
    ),
    Scenario(
        "nowhere to relay to",
        """
        seturi("sip:bob@does-not-resolve.invalid")
        tm.t_relay() < 0
        """,
        sent=True,
    ),
    Scenario(
        "ringing and answer",
        'pv.sets("$avp(kept)", "yes")\nsetflag(3)\n' + BASIC,
        routes={
            "on_branch": """
                hdr.append("X-Branch: 1\\r\\n")
                pv.get("$T_branch_idx")
                pv.get("$avp(kept)")
                tmx.t_is_branch_route()
                isflagset(3)
                is_INVITE()
                pv.get("$ru") is not None
            """,
            "on_reply": """
                pv.get("$rs")
                pv.get("$rr")
                pv.get("$T_reply_code")
                pv.get("$rm")
                pv.get("$ru")
                pv.get("$avp(kept)")
                is_INVITE()
                siputils.is_reply()
                siputils.is_request()
                siputils.has_totag()
                tm.t_check_status("200")
                tm.t_get_status_code()
                tm.t_is_canceled()
                tmx.t_is_reply_route()
                hdr.append("X-Reply: 1\\r\\n")
                pv.get("$T_branch_idx")
                sl.sl_send_reply(404, "x")
            """,
            "ksr_reply_route": """
                pv.get("$rs")
                pv.get("$avp(kept)")
                tm.t_check_trans()
                is_INVITE()
            """,
        },
        then=(180, 200),
        sent=True,
    ),
    Scenario(
        "a refused call",
        'pv.sets("$avp(kept)", "yes")\nsetflag(3)\n' + BASIC,
        routes={
            "on_failure": """
                pv.get("$rs")
                pv.get("$T_reply_code")
                pv.get("$rm")
                pv.get("$avp(kept)")
                isflagset(3)
                tm.t_check_status("486")
                tm.t_check_status("4[0-9][0-9]")
                tm.t_get_status_code()
                tm.t_is_canceled()
                tm.t_is_set("failure_route")
                tm.t_is_set("branch_route")
                tmx.t_is_failure_route()
                siputils.is_request()
                tm.t_any_replied()
                tm.t_branch_replied()
                tm.t_any_timeout()
                tm.t_branch_timeout()
            """,
            "on_reply": 'pv.get("$rs")',
        },
        then=(486,),
        sent=True,
    ),
    Scenario(
        "a call that rings and is refused",
        BASIC,
        routes={
            "on_failure": """
                tm.t_any_replied()
                tm.t_branch_replied()
                tm.t_grep_status(486)
                tm.t_grep_status(180)
            """,
            "on_reply": "tm.t_any_replied()\ntm.t_branch_replied()",
        },
        then=(180, 486),
        sent=True,
    ),
    Scenario(
        "a failure route that answers itself",
        BASIC,
        routes={"on_failure": 'tm.t_reply(404, "Other")'},
        then=(486,),
        sent=True,
    ),
    Scenario(
        "a failure route that relays again",
        BASIC,
        routes={
            "on_failure": """
                tm.t_is_set("failure_route")
                seturi("sip:second@{uas}")
                hdr.append("X-Second: 1\\r\\n")
                tm.t_relay()
            """,
        },
        then=(486, 200),
        sent=True,
    ),
    Scenario(
        "a retransmission",
        BASIC,
        routes={"ksr_request_route": "tm.t_check_trans()\n" + BASIC},
        then=(180, "again"),
        sent=True,
    ),
    Scenario(
        "a CANCEL while it rings",
        BASIC,
        routes={
            "ksr_request_route:CANCEL": """
                tm.t_lookup_cancel()
                tm.t_check_trans()
                tm.t_relay()
                tm.t_check_trans()
            """,
            "on_failure": """
                tm.t_is_canceled()
                tm.t_get_status_code()
            """,
        },
        then=(180, CANCEL, 487),
        sent=True,
    ),
    Scenario(
        "a CANCEL of nothing",
        """
        tm.t_lookup_cancel()
        tm.t_check_trans()
        is_CANCEL()
        """,
        CANCEL,
        body="",
    ),
    Scenario(
        "the ACK of a refusal",
        "tm.t_relay()",
        routes={"ksr_request_route:ACK": "tm.t_check_trans()"},
        then=(486, NEGATIVE_ACK),
        sent=True,
    ),
    Scenario(
        "the ACK of an answer",
        "rr.record_route()\ntm.t_relay()",
        routes={"ksr_request_route:ACK": "tm.t_check_trans()\nrr.loose_route()\ntm.t_relay()"},
        then=(200, E2E_ACK),
        sent=True,
    ),
    Scenario(
        "a BYE after the answer",
        "rr.record_route()\ntm.t_relay()",
        routes={"ksr_request_route:BYE": "tm.t_check_trans()\nrr.loose_route()\ntm.t_relay()"},
        then=(200, E2E_ACK.replace("ACK", "BYE").replace("CSeq: 7", "CSeq: 8"), 200),
        sent=True,
    ),
    Scenario(
        "several branches",
        """
        corex.append_branch_uri("sip:second@{uas}")
        tm.t_on_branch("on_branch")
        tm.t_relay()
        """,
        routes={"on_branch": 'pv.get("$T_branch_idx")\npv.get("$rU")'},
        sent=True,
    ),
]


@checks(SCENARIOS)
def test_routing(agree: Callable[[Check], None], check: Check) -> None:
    agree(check)
