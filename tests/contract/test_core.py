"""The functions of KSR itself, KSR.siputils, KSR.maxfwd, KSR.corex, KSR.nathelper and KSR.registrar."""

from collections.abc import Callable

from .scenario import INVITE, Check, Scenario, checks

NO_NAT = INVITE.replace("Subject", "X-Subject")
PRIVATE = INVITE.replace("Contact: <sip:alice@{uac}>", "Contact: <sip:alice@10.1.2.3:5099>").replace(
    "UDP {uac};", "UDP 10.1.2.3:5099;"
)
REGISTER = """\
REGISTER sip:proxy.example SIP/2.0
Via: SIP/2.0/UDP {uac};branch=z9hG4bK{number};rport
From: <sip:{number}@proxy.example>;tag=from-tag
To: <sip:{number}@proxy.example>
Call-ID: {call_id}
CSeq: 7 REGISTER
Contact: <sip:reg@{uac}>;expires=120
Max-Forwards: 70
"""
SCENARIOS = [
    Scenario(
        "methods",
        """
        is_INVITE(), is_ACK(), is_BYE(), is_CANCEL(), is_REGISTER(), is_OPTIONS(), is_UPDATE(), is_PRACK(), is_NOTIFY()
        is_method("INVITE"), is_method("invite"), is_method("BYE"), is_method("NOPE")
        is_method_in("I"), is_method_in("ABC"), is_method_in("CAI"), is_method_in(""), is_method_in("i")
        is_method_in("IX")
        is_UDP(), is_TCP(), is_TLS(), is_WS(), is_IPv4(), is_IPv6(), is_WSX()
        is_proto("U"), is_proto("u"), is_proto("T"), is_proto("TU"), is_proto("")
        siputils.has_totag(), siputils.is_request(), siputils.is_reply()
        siputils.is_first_hop()
        corex.has_ruri_user(), corex.has_user_agent(), corex.is_faked_msg()
        """,
    ),
    Scenario(
        "myself",
        """
        is_myself_ruri(), is_myself_furi(), is_myself_turi()
        is_myself("sip:{listen}")
        is_myself("sip:proxy.example")
        is_myself("sip:alice@proxy.example:5999")
        is_myself("sip:127.0.0.1")
        is_myself("sip:127.0.0.1:9")
        is_myself("sip:other.example")
        is_myself("nonsense")
        is_myself("sip:localhost")
        seturi("sip:x@{listen}")
        is_myself_ruri()
        is_myself_duri()
        setdsturi("sip:{listen}")
        is_myself_duri()
        is_myself_nhuri()
        is_myself_srcip()
        """,
    ),
    Scenario(
        "flags",
        """
        isflagset(5)
        setflag(5)
        isflagset(5)
        pv.get("$mf")
        setflag(31)
        pv.get("$mF")
        resetflag(5)
        isflagset(5)
        setflag(32)
        isflagset(32)
        setflag(-1)
        setbflag(3)
        isbflagset(3)
        isbflagset(4)
        pv.get("$bf")
        resetbflag(3)
        isbflagset(3)
        setflag("5")
        setflag()
        """,
    ),
    Scenario(
        "log",
        """
        info("text\\n")
        err("text\\n")
        dbg("text\\n")
        crit("text\\n")
        notice("text\\n")
        warn("text\\n")
        log("info", "text\\n")
        xlog.xinfo("$ci\\n")
        xlog.xlog("L_INFO", "$ci\\n")
        info("a", "b")
        info(1)
        info()
        log("info")
        """,
    ),
    Scenario(
        "a log level of the process's own",
        """
        kex.setdebug(-3)
        err("hidden\\n")
        kex.resetdebug()
        kex.setdebug(-9)
        kex.setdebug(9)
        kex.resetdebug()
        kex.resetdebug()
        kex.setdebug("3")
        """,
    ),
    Scenario(
        "max-forwards",
        """
        maxfwd.is_maxfwd_lt(70)
        maxfwd.is_maxfwd_lt(71)
        maxfwd.process_maxfwd(10)
        hdr.get("Max-Forwards")
        tm.t_relay()
        """,
        sent=True,
    ),
    Scenario(
        "max-forwards that has run out",
        "maxfwd.process_maxfwd(10)",
        INVITE.replace("Max-Forwards: 70", "Max-Forwards: 0"),
    ),
    Scenario(
        "max-forwards that is not there",
        """
        maxfwd.is_maxfwd_lt(10)
        maxfwd.process_maxfwd(10)
        tm.t_relay()
        """,
        INVITE.replace("Max-Forwards: 70\n", ""),
        sent=True,
    ),
    Scenario(
        "strings and URIs",
        """
        siputils.is_numeric("123"), siputils.is_numeric("12a"), siputils.is_numeric("")
        siputils.is_alphanum("a1"), siputils.is_alphanum("a-1")
        siputils.is_alphanumex("a-1", "-"), siputils.is_alphanumex("a_1", "-")
        siputils.is_tel_number("+4912"), siputils.is_tel_number("49x"), siputils.is_tel_number("4912")
        siputils.is_uri("sip:a@b"), siputils.is_uri("nonsense")
        siputils.cmp_uri("sip:a@b;x=1", "sip:a@B;x=1"), siputils.cmp_uri("sip:a@b", "sip:c@b")
        siputils.cmp_aor("sip:a@b:5070", "sip:a@B"), siputils.cmp_aor("sip:a@b", "sip:c@b")
        siputils.uri_param("transport"), siputils.uri_param("nope")
        siputils.uri_param_value("transport", "udp"), siputils.uri_param_value("transport", "tcp")
        siputils.add_uri_param("x=1")
        pv.get("$(ru{uri.param,x})")
        """,
    ),
    Scenario(
        "a client that is not behind NAT",
        """
        [nathelper.nat_uac_test(test) for test in (1, 2, 4, 8, 16, 32, 64, 128, 19)]
        nathelper.is_rfc1918("10.1.2.3"), nathelper.is_rfc1918("192.168.1.1"), nathelper.is_rfc1918("8.8.8.8")
        nathelper.is_rfc1918("172.31.0.1"), nathelper.is_rfc1918("172.32.0.1"), nathelper.is_rfc1918("host.example")
        nathelper.set_contact_alias()
        nathelper.handle_ruri_alias()
        nathelper.fix_nated_register()
        force_rport()
        add_local_rport()
        tm.t_relay()
        """,
        sent=True,
    ),
    Scenario(
        "a client behind NAT",
        """
        [nathelper.nat_uac_test(test) for test in (1, 2, 4, 8, 16, 32, 64, 128, 19)]
        nathelper.set_contact_alias()
        force_rport()
        tm.t_relay()
        """,
        PRIVATE,
        sent=True,
    ),
    Scenario(
        "a client behind NAT whose contact is rewritten",
        """
        nathelper.fix_nated_contact()
        tm.t_relay()
        """,
        PRIVATE,
        sent=True,
    ),
    Scenario(
        "an alias in the request URI",
        """
        nathelper.handle_ruri_alias()
        pv.get("$ru")
        pv.get("$du")
        nathelper.handle_ruri_alias()
        """,
        INVITE.replace("sip:bob@{uas};transport=udp", "sip:bob@10.1.1.1;alias=192.0.2.3~5099~2;x=1"),
    ),
    Scenario(
        "registration",
        """
        registrar.registered_uri("location", pv.get("$tu"))
        registrar.save("location", 0)
        registrar.registered_uri("location", pv.get("$tu"))
        seturi(pv.get("$tu"))
        registrar.lookup("location")
        pv.get("$ru")
        registrar.registered("location")
        seturi("sip:nobody@proxy.example")
        registrar.lookup("location")
        registrar.registered("location")
        registrar.unregister("location", pv.get("$tu"))
        registrar.unregister("location", pv.get("$tu"))
        registrar.registered_uri("location", pv.get("$tu"))
        """,
        REGISTER,
        body="",
    ),
    Scenario(
        "a registration with its reply",
        """
        registrar.save("location", 0)
        """,
        REGISTER.replace("{number}@proxy", "fixed@proxy"),
        body="",
        sent=True,
    ),
    Scenario(
        "a registration that ends, and one that asks",
        """
        registrar.save("location", 2)
        """,
        REGISTER.replace("expires=120", "expires=0"),
        body="",
        sent=True,
    ),
    Scenario(
        "a registration without contact",
        """
        registrar.save("location", 2)
        """,
        REGISTER.replace("Contact: <sip:reg@{uac}>;expires=120\n", ""),
        body="",
        sent=True,
    ),
]


@checks(SCENARIOS)
def test_core(agree: Callable[[Check], None], check: Check) -> None:
    agree(check)
