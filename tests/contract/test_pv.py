"""KSR.pv: parts of the message, variables that keep state, setting, transformations, what is no variable."""

from collections.abc import Callable

from .scenario import Check, Scenario, checks

SCENARIOS = [
    Scenario(
        "who and where",
        """
        [pv.get(name) for name in ("$ft", "$tt", "$fu", "$fU", "$fd", "$fn", "$tu", "$tU", "$td", "$tn")]
        [pv.get(name) for name in ("$from", "$to", "$from.user", "$to.domain", "$ruri.user", "$ruri.domain")]
        [pv.get(name) for name in ("$ru", "$rU", "$rd", "$rp", "$rP", "$rz", "$ruri")]
        [pv.get(name) for name in ("$ou", "$oU", "$od", "$op", "$oP")]
        [pv.get(name) for name in ("$du", "$dd", "$dp", "$dP", "$duri")]
        [pv.get(name) for name in ("$si", "$sp", "$su", "$sut", "$sas", "$pr", "$proto", "$siz", "$src_ip")]
        [pv.get(name) for name in ("$Ri", "$Rp", "$Ru", "$Rut", "$Ras")]
        [pv.get(name) for name in ("$rm", "$cs", "$csb", "$cl", "$cT", "$ct", "$ua", "$rv", "$mt", "$rmid", "$bs")]
        [pv.get(name) for name in ("$rs", "$rr", "$mf", "$mF", "$bf", "$sf", "$rt")]
        pv.get("$rb")
        pv.get("$route_uri")
        pv.get("$(route_uri{uri.param,x})")
        pv.get("$T_branch_idx")
        pv.get("$T_reply_code")
        pv.get("$via0(host)")
        pv.get("$via0(proto)")
        pv.get("$via1(host)")
        """,
    ),
    Scenario(
        "headers",
        """
        pv.get("$hdr(X-Two)")
        pv.get("$(hdr(X-Two)[1])")
        pv.get("$(hdr(X-Two)[-1])")
        pv.get("$(hdr(X-Two)[-2])")
        pv.get("$(hdr(X-Two)[-3])")
        pv.get("$(hdr(X-Two)[2])")
        pv.get("$(hdr(X-Two)[*])")
        pv.get("$hdrc(X-Two)")
        pv.get("$hdrc(nope)")
        pv.get("$hdr(x-two)")
        pv.get("$hdr(X-CASE)")
        pv.get("$hdr(s)")
        pv.get("$hdr(nope)")
        pv.getw("$hdr(nope)")
        pv.gete("$hdr(nope)")
        pv.get("$(hdr(X-Two){s.len})")
        """,
    ),
    Scenario(
        "AVPs",
        """
        pv.get("$avp(a)")
        pv.is_null("$avp(a)")
        pv.sets("$avp(a)", "1")
        pv.sets("$avp(a)", "2")
        pv.seti("$avp(a)", 3)
        pv.get("$avp(a)")
        pv.get("$(avp(a)[0])")
        pv.get("$(avp(a)[1])")
        pv.get("$(avp(a)[2])")
        pv.get("$(avp(a)[3])")
        pv.get("$(avp(a)[*])")
        pv.is_null("$avp(a)")
        pv.unset("$avp(a)")
        pv.get("$avp(a)")
        pv.unset("$(avp(a)[*])")
        pv.get("$avp(a)")
        pv.sets("$avp(s:b)", "x")
        pv.get("$avp(b)")
        pv.sets("$(avp(b)[*])", "only")
        pv.get("$(avp(b)[*])")
        pv.sets("$avp(e)", "")
        pv.get("$avp(e)")
        pv.is_null("$avp(e)")
        pv.seti("$avp(n)", -5)
        pv.get("$avp(n)")
        pvx.avp_sets("p", "v")
        pvx.avp_get("p")
        pv.get("$avp(p)")
        pvx.avp_is_null("p")
        pvx.avp_rm("p")
        pvx.avp_get("p")
        pvx.avp_gete("p")
        pvx.avp_getw("p")
        pvx.avp_is_null("p")
        """,
    ),
    Scenario(
        "script and shared variables",
        """
        pv.get("$var(fresh)")
        pv.is_null("$var(fresh)")
        pv.sets("$var(v)", "text")
        pv.get("$var(v)")
        pv.seti("$var(v)", 7)
        pv.get("$var(v)")
        pv.unset("$var(v)")
        pv.get("$var(v)")
        pv.get("$vn(fresh)")
        pv.sets("$vn(w)", "x")
        pv.get("$vn(w)")
        pv.unset("$vn(w)")
        pv.get("$vn(w)")
        pv.get("$shv(fresh)")
        pv.seti("$shv(s)", 5)
        pv.get("$shv(s)")
        pv.sets("$shv(s)", "abc")
        pv.get("$shv(s)")
        pvx.var_sets("pvx", "1")
        pvx.var_get("pvx")
        pvx.shv_seti("pvxs", 3)
        pvx.shv_get("pvxs")
        """,
    ),
    Scenario(
        "XAVPs",
        """
        pv.get("$xavp(a)")
        pv.get("$xavp(a=>x)")
        pv.sets("$xavp(a=>x)", "1")
        pv.get("$xavp(a=>x)")
        pv.get("$xavp(a=>nope)")
        pv.sets("$xavp(a[0]=>y)", "2")
        pv.get("$xavp(a=>y)")
        pv.sets("$xavp(a=>x)", "3")
        pv.get("$xavp(a=>x)")
        pv.get("$xavp(a=>y)")
        pv.get("$xavp(a[1]=>x)")
        pv.get("$xavp(a[1]=>y)")
        pv.get("$xavp(a[2]=>y)")
        pv.get("$xavp(A=>x)")
        pv.seti("$xavp(a[0]=>n)", 5)
        pv.get("$xavp(a=>n)")
        pv.unset("$xavp(a[0]=>x)")
        pv.get("$xavp(a=>x)")
        pv.unset("$xavp(a)")
        pv.get("$xavp(a=>x)")
        pv.get("$xavp(a=>y)")
        pvx.xavp_child_sets("c", "k", "v")
        pv.get("$xavp(c=>k)")
        pvx.xavp_child_sets("c", "k", "w")
        pvx.xavp_child_seti("c", "n", 7)
        pvx.xavp_child_get("c", "k")
        pvx.xavp_child_get("c", "n")
        pvx.xavp_child_get("c", "nope")
        pvx.xavp_child_get("nope", "k")
        pvx.xavp_child_gete("c", "nope")
        pvx.xavp_child_getw("c", "nope")
        pvx.xavp_child_is_null("c", "k")
        pvx.xavp_child_is_null("c", "nope")
        pvx.xavp_child_rm("c", "k")
        pvx.xavp_child_get("c", "k")
        pvx.xavp_is_null("c")
        pvx.xavp_rm("c")
        pvx.xavp_is_null("c")
        pvx.xavp_sets("r", "root")
        pvx.xavp_get("r")
        pvx.xavp_seti("r", 3)
        pvx.xavp_get("r")
        pvx.xavp_gete("nope")
        pvx.xavp_getw("nope")
        pv.get("$xavp(r)")
        pvx.xavp_rm("r")
        pvx.xavp_get("r")
        pvx.xavp_rm("nope")
        pvx.xavp_child_rm("nope", "x")
        """,
    ),
    Scenario(
        "defines",
        """
        pv.get("$def(TEXT)")
        pv.get("$def(NUMBER)")
        pv.get("$def(NOPE)")
        pv.get("$defn(NUMBER)")
        kx.get_def("TEXT")
        kx.get_def("NOPE")
        kx.get_defn("NUMBER")
        kx.ifdef("TEXT")
        kx.ifdef("NOPE")
        kx.ifndef("NOPE")
        """,
    ),
    Scenario(
        "setting the request URI",
        """
        pv.sets("$ru", "sip:z@y.example:5070;x=1")
        [pv.get(name) for name in ("$ru", "$rU", "$rd", "$rp", "$ou")]
        pv.sets("$rU", "w")
        pv.get("$ru")
        pv.sets("$rd", "q.example")
        pv.get("$ru")
        pv.seti("$rp", 5071)
        pv.get("$ru")
        pv.sets("$rp", "5072")
        pv.get("$ru")
        pv.unset("$rp")
        pv.get("$ru")
        pv.unset("$rU")
        pv.get("$ru")
        pv.get("$rU")
        pv.seti("$ru", 3)
        pv.unset("$ru")
        pv.sets("$ru", "sip:host.example")
        pv.get("$rp")
        pv.get("$rU")
        pv.sets("$rU", "back")
        pv.get("$ru")
        pv.sets("$du", "sip:192.0.2.3:5061;transport=tcp")
        [pv.get(name) for name in ("$du", "$dd", "$dp", "$dP")]
        pv.sets("$du", "sip:host.example")
        [pv.get(name) for name in ("$du", "$dd", "$dp", "$dP")]
        pv.unset("$du")
        pv.get("$du")
        isdsturiset()
        setdsturi("sip:192.0.2.3")
        isdsturiset()
        resetdsturi()
        isdsturiset()
        seturi("sip:a@b")
        pv.get("$ru")
        setuser("c")
        pv.get("$ru")
        sethost("d.example")
        pv.get("$ru")
        """,
    ),
    Scenario(
        "setting what cannot be set, reading what is none",
        """
        pv.sets("$ci", "x")
        pv.get("$ci") != "x"
        pv.sets("$hdr(X-Two)", "x")
        pv.get("$hdr(X-Two)")
        pv.sets("$rs", "1")
        pv.sets("$mf", "3")
        pv.seti("$mf", 3)
        pv.get("$mf")
        pv.get("$mF")
        isflagset(0), isflagset(1), isflagset(2)
        pv.get("$nope")
        pv.get("hello")
        pv.get("$ci $ft")
        pv.get("$")
        pv.get("")
        pv.get("$ci ")
        pv.get("$(ci")
        pv.get("$hdr(X-Two")
        pv.sets("$nope", "x")
        pv.unset("$nope")
        pv.is_null("$nope")
        pv.getw("$nope")
        pv.gete("$nope")
        pv.getvs("$nope", "other")
        pv.getvn("$nope", 3)
        pv.geti("$nope")
        pv.geti("$cs")
        pv.geti("$ci")
        pv.geti("$rp")
        pv.getvs("$avp(nope)", "other")
        pv.getvn("$avp(nope)", 3)
        pv.getvn("$cs", 3)
        pv.get(1)
        pv.get()
        pv.seti("$avp(a)", "1")
        pv.sets("$avp(a)", 1)
        pv.get("$sht(none=>k)")
        pv.sets("$sht(none=>k)", "x")
        pv.sets("$sht(t=>k)", "x")
        pv.get("$sht(t=>k)")
        pv.unset("$sht(t=>k)")
        pv.get("$sht(t=>k)")
        pv.sets("$var(k)", "dyn")
        pv.seti("$sht(t=>$var(k))", 8)
        pv.get("$sht(t=>dyn)")
        pv.get("$null")
        pv.get("$true")
        pv.get("$_s(a$fU-$tU)")
        pv.get("$cnt($fU)")
        """,
    ),
    Scenario(
        "transformations",
        """
        pv.sets("$var(x)", "sip:joe:pw@host.example:5066;lr;x=abc;transport=TCP?Subject=hi")
        [pv.get("$(var(x){uri.%s})" % part) for part in ("user", "passwd", "host", "port", "params", "headers")]
        [pv.get("$(var(x){uri.param,%s})" % name) for name in ("x", "lr", "nope", "transport")]
        pv.get("$(var(x){uri.scheme})")
        pv.get("$(var(x){uri.transport})")
        pv.sets("$var(y)", "abcdef")
        pv.get("$(var(y){s.len})")
        pv.get("$(var(y){s.substr,1,3})")
        pv.get("$(var(y){s.substr,2,0})")
        pv.get("$(var(y){s.substr,-2,2})")
        pv.get("$(var(y){s.substr,-2,0})")
        pv.get("$(var(y){s.toupper})")
        pv.get("$(var(y){s.toupper}{s.tolower}{s.len})")
        pv.get("$(var(y){s.strip,2})")
        pv.get("$(var(y){s.striptail,2})")
        pv.get("$(var(y){s.md5})")
        pv.get("$(var(y){s.encode.hexa})")
        pv.get("$(var(y){s.rm,cd})")
        pv.get("$(var(y){s.replace,cd,X})")
        pv.sets("$var(l)", "a,b,c")
        pv.get("$(var(l){s.select,1,,})")
        pv.get("$(var(l){s.select,-1,,})")
        pv.sets("$var(n)", "42abc")
        pv.get("$(var(n){s.int})")
        pv.sets("$var(s)", "  spaces  ")
        pv.get("$(var(s){s.trim})")
        pv.get("$(var(s){s.ltrim})")
        pv.get("$(var(s){s.rtrim})")
        pv.sets("$var(p)", "a=1;b=2;c")
        [pv.get("$(var(p){param.value,%s})" % name) for name in ("a", "b", "c", "d")]
        pv.get("$(var(p){param.name,1})")
        pv.get("$(var(p){param.count})")
        pv.sets("$var(na)", '"Joe D." <sip:joe@host.example>;tag=17')
        [pv.get("$(var(na){nameaddr.%s})" % part) for part in ("name", "uri", "len")]
        [pv.get("$(var(na){tobody.%s})" % part) for part in ("uri", "tag", "display", "params")]
        pv.get("$(ru{nope})")
        pv.get("$(ru{s.nope})")
        pv.get("$(avp(nope){s.len})")
        pv.get("$(avp(nope){s.toupper})")
        pv.get("$(fU{s.len})")
        pv.get("$(fU)")
        pv.get("$fU{s.len}")
        pv.sets("$var(e)", "a b&c")
        pv.get("$(var(e){s.escape.param})")
        pv.get("$(var(y){re.subst,/c.e/X/})")
        pv.get("$(var(y){re.subst,/[a-c]/X/g})")
        """,
    ),
    Scenario(
        "kx",
        """
        [getattr(kx, "get_" + name)() for name in ("callid",)][0] is not None
        [getattr(kx, "get_" + name)() for name in ("fhost", "furi", "fuser", "thost", "turi", "tuser")]
        [getattr(kx, "get_" + name)() for name in ("rhost", "ruri", "ruser")]
        [getattr(kx, "get_" + name)() for name in ("method", "proto", "srcip", "srcport", "rcvip", "rcvport", "ua")]
        [getattr(kx, "get_" + name)() for name in ("ouri", "nhuri", "duri", "cturi", "bodylen", "msgtype", "status")]
        [getattr(kx, "gete_" + name)() for name in ("duri", "ua", "fuser", "au")]
        [getattr(kx, "getw_" + name)() for name in ("duri", "ua", "fuser", "au")]
        kx.gets_status()
        kx.get_body() == pv.get("$rb")
        kx.get_srcuri()
        setdsturi("sip:192.0.2.3:5")
        kx.get_duri()
        kx.get_nhuri()
        """,
    ),
]


@checks(SCENARIOS)
def test_pv(agree: Callable[[Check], None], check: Check) -> None:
    agree(check)
