"""KSR.hdr, KSR.textops and KSR.textopsx: reading, and edits that show only in what is sent."""

from collections.abc import Callable

from .scenario import Check, Scenario, checks

RELAY = "tm.t_relay()"
SCENARIOS = [
    Scenario(
        "reading headers",
        """
        hdr.get("X-Two")
        hdr.get("x-two")
        hdr.get("X-CASE")
        hdr.get("nope")
        hdr.gete("nope")
        hdr.getw("nope")
        hdr.get("Subject"), hdr.get("s"), hdr.get("S")
        hdr.get("i") == hdr.get("Call-ID")
        hdr.get("f") == hdr.get("From")
        hdr.get_idx("X-Two", 0)
        hdr.get_idx("X-Two", 1)
        hdr.get_idx("X-Two", 2)
        hdr.get_idx("X-Two", -1)
        hdr.get_idx("X-Two", -2)
        hdr.get_idx("X-Two", -3)
        hdr.gete_idx("X-Two", 2)
        hdr.getw_idx("X-Two", 2)
        hdr.is_present("X-Two")
        hdr.is_present("x-two")
        hdr.is_present("nope")
        hdr.is_present("m")
        hdr.match_content("X-Two", "eq", "ONE", "f")
        hdr.match_content("X-Two", "eq", "one", "l")
        hdr.match_content("X-Two", "eq", "two", "l")
        hdr.match_content("X-Two", "eq", "two", "o")
        hdr.match_content("X-Two", "in", "o", "a")
        hdr.match_content("X-Two", "ne", "three", "a")
        hdr.match_content("X-Two", "sw", "t", "a")
        hdr.match_content("X-Two", "re", "t", "a")
        hdr.match_content("X-Two", "xx", "t", "a")
        hdr.match_content("X-Two", "eq", "one", "x")
        hdr.match_content("nope", "eq", "one", "f")
        hdr.get(1)
        hdr.get()
        hdr.get("X-Two", 1)
        hdr.append(None)
        textops.is_present_hf("X-Two")
        textops.is_present_hf("nope")
        textops.is_present_hf("")
        textops.is_present_hf_re("^X-t")
        textops.is_present_hf_re("^nope")
        textops.is_present_hf_re("[")
        textops.search_hf("X-Two", "^t", "a")
        textops.search_hf("X-Two", "^t", "f")
        textops.search_hf("X-Two", "^t", "l")
        textops.search_hf("nope", "^t", "a")
        """,
    ),
    Scenario(
        "appended headers appear where they were put",
        """
        hdr.append("X-App: 1\\r\\n")
        hdr.append("X-App: 2\\r\\n")
        hdr.get("X-App")
        hdr.is_present("X-App")
        hdr.insert("X-Ins: 1\\r\\n")
        hdr.insert("X-Ins: 2\\r\\n")
        hdr.append_after("X-After: 1\\r\\n", "X-Two")
        hdr.append_after("X-After: 2\\r\\n", "X-Two")
        hdr.append_after("X-After: 3\\r\\n", "nope")
        hdr.insert_before("X-Before: 1\\r\\n", "X-Two")
        hdr.insert_before("X-Before: 2\\r\\n", "X-Two")
        hdr.insert_before("X-Before: 3\\r\\n", "nope")
        """
        + RELAY,
        sent=True,
    ),
    Scenario(
        "removed headers are there until the message is sent",
        """
        hdr.remove("Subject")
        hdr.get("Subject")
        hdr.is_present("Subject")
        hdr.remove("nope")
        hdr.rmappend("X-Two", "X-Two: three\\r\\n")
        hdr.get("X-Two")
        hdr.rminsert("User-Agent", "User-Agent: other\\r\\n")
        textops.remove_hf_re("^x-CA")
        textops.remove_hf_re("^nope")
        """
        + RELAY,
        sent=True,
    ),
    Scenario(
        "removal by number and with exceptions",
        """
        textops.remove_hf_idx("X-Two", 1)
        textops.remove_hf_idx("X-Two", 5)
        textops.remove_hf_idx("nope", 0)
        textops.remove_hf_idx("nope", -1)
        textops.remove_hf_exp("^X", "Two")
        textops.remove_hf_exp("^Q", "Two")
        textops.remove_hf("Subject")
        """
        + RELAY,
        sent=True,
    ),
    Scenario(
        "changes that are applied at once",
        """
        hdr.append("X-App: 1\\r\\n")
        hdr.remove("Subject")
        pv.sets("$rU", "carol")
        textopsx.msg_apply_changes()
        hdr.get("X-App")
        hdr.get("Subject")
        pv.get("$rU")
        pv.get("$ou")
        """
        + RELAY,
        sent=True,
    ),
    Scenario(
        "the body",
        """
        textops.has_body()
        textops.has_body_type("application/sdp")
        textops.has_body_type("text/plain")
        textops.has_body_type("nonsense")
        textops.search_body("RTP/AVP")
        textops.search_body("nothing")
        textops.search("User-Agent: con")
        textops.search("nothing here")
        sdpops.sdp_content()
        sdpops.sdp_with_media("audio")
        sdpops.sdp_with_media("video")
        sdpops.sdp_with_transport("RTP/AVP")
        sdpops.sdp_with_transport("RTP/SAVP")
        textops.replace_body("4000", "5000")
        textops.replace_body("nothing", "5000")
        pv.get("$rb")
        """
        + RELAY,
        sent=True,
    ),
    Scenario(
        "a replaced body",
        """
        textops.set_body("", "text/plain")
        textops.set_body("hello", "")
        textops.set_body("hello", "text/plain")
        """
        + RELAY,
        sent=True,
    ),
    Scenario(
        "substitutions in the request URI and in variables",
        r"""
        textops.subst_uri("/bob/carol/")
        pv.get("$ru")
        textops.subst_uri("/BOB/x/")
        textops.subst_uri("/CAROL/dave/i")
        pv.get("$ru")
        textops.subst_uri("#sip:([^@]+)@(.*)#sip:\\1-\\1@\\2#")
        pv.get("$ru")
        textops.subst_uri("/;transport=udp//")
        pv.get("$ru")
        textops.subst_uri("/a/b/x")
        textops.subst_uri("/[/b/")
        textops.subst_uri("/a")
        textops.subst_uri("/a/b")
        textops.subst_uri("")
        textops.subst_user("/dave/$rm/g")
        pv.get("$ru")
        textops.subst_user("/^/x/")
        textops.subst_user("/e/<$avp(none)>/")
        pv.get("$ru")
        textops.subst_user("/nothing/x/")
        textops.subst_v("a-b-c", "/-/+/", "$var(out)")
        pv.get("$var(out)")
        textops.subst_v("a-b-c", "/-/\\t$rm\\$x\\q/g", "$var(out)")
        pv.get("$var(out)")
        textops.subst_v("a-b-c", "/(b)?(z)?-/<\\1\\2\\7>/g", "$var(out)")
        pv.get("$var(out)")
        textops.subst_v("a-b-c", "/x/y/", "$var(out)")
        textops.subst_v("a-b-c", "/x*/y/", "$var(out)")
        textops.subst_v("a-b-c", "/a/\\u/", "$var(out)")
        pv.get("$var(out)")
        textops.str_any_in("abc", "xyc")
        textops.str_any_in("abc", "xyz")
        textops.str_any_in("", "xyz")
        textops.str_all_in("abc", "cab")
        textops.str_all_in("abc", "abd")
        textops.str_all_in("abc", "")
        """,
    ),
    Scenario(
        "substitutions in headers",
        r"""
        textops.subst_hf("X-Two", "/o/0/", "a")
        textops.subst_hf("X-Two", "/nothing/0/", "a")
        textops.subst_hf("nope", "/o/0/", "a")
        textops.subst_hf("", "/o/0/", "a")
        textops.subst_hf("Subject", "/l/L/g", "f")
        textops.subst_hf("Subject", "/h/<$rm>/", "f")
        textops.subst_hf("x-case", "/^(M)(.*)$/\\2\\1/", "l")
        hdr.get("Subject")
        """
        + RELAY,
        sent=True,
    ),
    Scenario(
        "substitutions in the first or the last header",
        r"""
        textops.subst_hf("X-Two", "/two/2/", "f")
        textops.subst_hf("X-Two", "/one/1/", "f")
        textops.subst_hf("X-Two", "/one/1/", "l")
        textops.subst_hf("X-Two", "/two/2/", "l")
        """
        + RELAY,
        sent=True,
    ),
    Scenario(
        "substitutions anywhere",
        r"""
        textops.subst("/contract/changed/")
        textops.subst("/sip:bob/x/g")
        textops.subst("/no such text/x/")
        textops.subst("/a=rtpmap:([0-9]+) /a=rtpmap:\\1\\1 /g")
        textops.subst_body("/192.168.7.7/192.0.2.99/g")
        textops.subst_body("/nothing/x/g")
        textops.subst_body("/m=audio 4000/m=audio 5000/")
        pv.get("$rb")
        """
        + RELAY,
        sent=True,
    ),
    Scenario(
        "replacements anywhere",
        r"""
        textops.replace("CONTRACT", "changed")
        textops.replace("nothing here", "changed")
        textops.replace("[", "changed")
        textops.replace_hdrs("hello", "good-bye")
        textops.replace_hdrs("a=rtpmap", "x")
        textops.replace_all("mixed|pcmu", "same")
        textops.replace_all("nothing here", "x")
        """
        + RELAY,
        sent=True,
    ),
    Scenario(
        "replacements of a plain text",
        r"""
        textops.replace_str("hello", "hi", "f")
        textops.replace_str("no such text", "hi", "f")
        textops.replace_str("", "hi", "f")
        textops.replace_hdrs_str("one", "1", "f")
        textops.replace_hdrs_str("RTP/AVP", "x", "f")
        textops.replace_body_str("192.168.7.7", "192.0.2.99", "a")
        textops.replace_body_str("no such text", "x", "a")
        textops.replace_hdrs_str("Mixed", "m=", "a")
        """
        + RELAY,
        sent=True,
    ),
    Scenario(
        "replacements of a body, one after the other",
        r"""
        textops.replace_body("4000", "5000")
        textops.replace_body("4000", "6000")
        textops.replace_body("a=rtpmap:0", "a=rtpmap:00")
        textops.replace_body_atonce("^c", "C")
        textops.replace_body_atonce("nothing", "x")
        textops.replace_body("no", "x", 1)
        """
        + RELAY,
        sent=True,
    ),
    Scenario(
        "replacements without a body",
        """
        textops.replace_body("4000", "5000")
        textops.replace_body_all("4000", "5000")
        textops.replace_body_str("4000", "5000", "a")
        textops.subst_body("/4000/5000/")
        """
        + RELAY,
        body="",
        sent=True,
    ),
    Scenario(
        "every replacement in a body",
        """
        textops.replace_body_all("a=", "b=")
        textops.replace_body_all("nothing", "5000")
        """
        + RELAY,
        sent=True,
    ),
    Scenario(
        "no body",
        """
        textops.has_body()
        textops.has_body_type("application/sdp")
        sdpops.sdp_content()
        pv.get("$rb")
        pv.get("$cl")
        textops.search_body("x")
        textops.set_body("new", "text/plain")
        """
        + RELAY,
        body="",
        sent=True,
    ),
    Scenario(
        "strings",
        """
        textops.cmp_str("a", "a")
        textops.cmp_str("a", "b")
        textops.cmp_str("b", "a")
        textops.cmp_str("a", "ab")
        textops.cmp_str("ab", "a")
        textops.cmp_istr("A", "a")
        textops.cmp_istr("A", "b")
        textops.starts_with("abc", "ab")
        textops.starts_with("abc", "b")
        textops.starts_with("bbc", "a")
        textops.starts_with("a", "ab")
        textops.ends_with("abc", "bc")
        textops.ends_with("abc", "cc")
        textops.ends_with("a", "bc")
        textops.str_find("hello", "l")
        textops.str_find("hello", "x")
        textops.str_find("a", "abc")
        textops.str_ifind("heLlo", "L")
        textops.in_list("b", "a, b ,c", ",")
        textops.in_list("x", "a, b ,c", ",")
        textops.in_list("a", "a;b", ";")
        textops.in_list_prefix("4912", "44 49", " ")
        textops.in_list_prefix("3912", "44 49", " ")
        textops.search_str("hello", "^he")
        textops.search_str("hello", "^lo")
        textops.search_str("hello", "[")
        textops.in_list("a", "", ",")
        """,
    ),
]


@checks(SCENARIOS)
def test_headers(agree: Callable[[Check], None], check: Check) -> None:
    agree(check)
