"""KSR.htable and $sht: types, missing keys and tables, counting, expiry, iterators, wrong arguments."""

from collections.abc import Callable

from .scenario import Check, Scenario, checks

SCENARIOS = [
    Scenario(
        "a missing key",
        """
        htable.sht_get("t", "nope")
        htable.sht_gete("t", "nope")
        htable.sht_getw("t", "nope")
        htable.sht_is_null("t", "nope")
        htable.sht_inc("t", "nope")
        htable.sht_dec("t", "nope")
        htable.sht_get("t", "nope")
        htable.sht_rm("t", "nope")
        htable.sht_setex("t", "nope", 5)
        pv.get("$sht(t=>nope)")
        pv.get("$shtinc(t=>nope)")
        """,
    ),
    Scenario(
        "a missing table",
        """
        htable.sht_get("none", "k")
        htable.sht_gete("none", "k")
        htable.sht_getw("none", "k")
        htable.sht_is_null("none", "k")
        htable.sht_inc("none", "k")
        htable.sht_sets("none", "k", "v")
        htable.sht_seti("none", "k", 1)
        htable.sht_setxs("none", "k", "v", 1)
        htable.sht_setxi("none", "k", 1, 1)
        htable.sht_setex("none", "k", 1)
        htable.sht_rm("none", "k")
        htable.sht_reset("none")
        htable.sht_lock("none", "k")
        htable.sht_unlock("none", "k")
        htable.sht_rm_name_re("none", "k")
        htable.sht_rm_value_re("none", "k")
        htable.sht_rm_name("none", "re", "k")
        htable.sht_match_name("none", "eq", "k")
        htable.sht_iterator_start("it", "none")
        htable.sht_iterator_next("it")
        htable.sht_iterator_end("it")
        pv.get("$sht(none=>k)")
        """,
    ),
    Scenario(
        "text and numbers",
        """
        htable.sht_sets("t", "k", "text")
        htable.sht_get("t", "k")
        htable.sht_is_null("t", "k")
        htable.sht_inc("t", "k")
        htable.sht_seti("t", "k", 5)
        htable.sht_get("t", "k")
        htable.sht_gete("t", "k")
        htable.sht_getw("t", "k")
        htable.sht_inc("t", "k")
        htable.sht_dec("t", "k")
        htable.sht_dec("t", "k")
        htable.sht_sets("t", "k", "")
        htable.sht_get("t", "k")
        htable.sht_is_null("t", "k")
        htable.sht_sets("t", "", "empty key")
        htable.sht_get("t", "")
        htable.sht_sets("t", "K", "other key")
        htable.sht_get("t", "k")
        htable.sht_sets("t", "ümläut", "größe")
        htable.sht_get("t", "ümläut")
        htable.sht_seti("t", "n", -2147483648)
        htable.sht_dec("t", "n")
        htable.sht_setxi("t", "x", 3, 10)
        htable.sht_get("t", "x")
        htable.sht_setxs("t", "x", "s", 10)
        htable.sht_get("t", "x")
        htable.sht_reset("t")
        htable.sht_get("t", "x")
        """,
    ),
    Scenario(
        "wrong arguments",
        """
        htable.sht_get("t")
        htable.sht_get("t", "k", "x")
        htable.sht_get(1, "k")
        htable.sht_get("t", 1)
        htable.sht_get("t", None)
        htable.sht_get("t", b"k")
        htable.sht_seti("t", "k", "1")
        htable.sht_seti("t", "k", 1.5)
        htable.sht_seti("t", "k", True)
        htable.sht_seti("t", "k", None)
        htable.sht_get("t", "k")
        htable.sht_seti("t", "k", 2147483648)
        htable.sht_seti("t", "k", -2147483649)
        htable.sht_sets("t", "k", 1)
        htable.sht_sets("t", "k", "a\\0b")
        htable.sht_setxi("t", "k", 4294967297, 0)
        htable.sht_get("t", "k")
        htable.sht_setxi("t", "k", 1)
        htable.sht_setxi("t", "k", "1", 1)
        htable.sht_reset()
        htable.sht_reset(5)
        htable.sht_nothing("t")
        is_INVITE(1, 2, 3)
        """,
    ),
    Scenario(
        "a table with an initial value",
        """
        htable.sht_get("count", "k")
        htable.sht_is_null("count", "k")
        htable.sht_inc("count", "k")
        htable.sht_inc("count", "k")
        htable.sht_dec("count", "other")
        htable.sht_get("count", "k")
        htable.sht_sets("count", "k", "s")
        htable.sht_inc("count", "k")
        pv.get("$sht(count=>new)")
        """,
    ),
    Scenario(
        "expiry",
        """
        htable.sht_sets("ex", "a", "v")
        htable.sht_seti("ex", "n", 1)
        htable.sht_setxs("ex", "long", "v", 60)
        htable.sht_setxi("ex", "longer", 1, 60)
        htable.sht_sets("keep", "a", "v")
        htable.sht_sets("keep", "renewed", "v")
        htable.sht_setex("keep", "a", 60)
        pv.get("$shtex(ex=>long)")
        pv.get("$shtex(ex=>nope)")
        pv.get("$shtex(t=>nope)")
        htable.sht_sets("ex", "renewed", "v")
        sleep(1.5)
        htable.sht_sets("keep", "renewed", "w")
        htable.sht_sets("ex", "renewed", "u")
        sleep(1.7)
        htable.sht_get("ex", "a")
        htable.sht_get("ex", "renewed")
        htable.sht_get("ex", "n")
        htable.sht_inc("ex", "n")
        htable.sht_is_null("ex", "n")
        htable.sht_get("ex", "long")
        htable.sht_get("ex", "longer")
        htable.sht_get("keep", "a")
        htable.sht_get("keep", "renewed")
        htable.sht_sets("ex", "n", "back")
        htable.sht_get("ex", "n")
        """,
    ),
    Scenario(
        "expiry of a value that is replaced by a longer one",
        """
        htable.sht_setxs("long", "a", "v", 50)
        htable.sht_setxs("long", "a", "longer than before", 70)
        pv.get("$shtex(long=>a)") in (70, 69) or pv.get("$shtex(long=>a)") < -1000000
        htable.sht_sets("long", "a", "longer than before it was")
        pv.get("$shtex(long=>a)") in (3600, 3599)
        htable.sht_setex("long", "a", 0)
        pv.get("$shtex(long=>a)") < -1000000
        htable.sht_setex("long", "a", -5)
        htable.sht_get("long", "a")
        """,
    ),
    Scenario(
        "an iterator",
        """
        htable.sht_seti("big", "alpha", 1)
        htable.sht_sets("big", "beta", "two")
        htable.sht_seti("big", "gamma", 3)
        htable.sht_sets("big", "Alpha", "other case")
        htable.sht_seti("big", "delta", 4)
        htable.sht_seti("big", "call-1@host.example", 5)
        htable.sht_iterator_start("it", "big")
        pv.get("$shtitkey(it)")
        [(htable.sht_iterator_next("it"), pv.get("$shtitkey(it)"), pv.get("$shtitval(it)")) for _ in range(7)]
        htable.sht_iterator_next("it")
        htable.sht_iterator_sets("it", "changed")
        pv.get("$shtitval(it)")
        htable.sht_iterator_seti("it", 9)
        pv.get("$shtitval(it)")
        htable.sht_iterator_setex("it", 9)
        htable.sht_iterator_rm("it")
        pv.get("$shtitkey(it)")
        htable.sht_iterator_rm("it")
        htable.sht_iterator_rm("it")
        htable.sht_iterator_rm("it")
        htable.sht_iterator_rm("it")
        htable.sht_iterator_rm("it")
        htable.sht_iterator_rm("it")
        htable.sht_iterator_next("it")
        htable.sht_iterator_end("it")
        htable.sht_iterator_end("it")
        htable.sht_iterator_next("it")
        htable.sht_iterator_rm("it")
        htable.sht_iterator_sets("it", "x")
        """,
    ),
    Scenario(
        "more iterators than there are places",
        """
        [htable.sht_iterator_start(name, "t") for name in ("a", "b", "c", "d", "e")]
        htable.sht_iterator_start("a", "big")
        htable.sht_iterator_start("f" * 40, "t")
        [htable.sht_iterator_end(name) for name in ("a", "b", "c", "d", "e")]
        htable.sht_iterator_start("f" * 32, "t")
        htable.sht_iterator_start("f" * 31, "t")
        htable.sht_iterator_end("f" * 31)
        htable.sht_iterator_start("", "t")
        htable.sht_iterator_start("x", "")
        """,
    ),
    Scenario(
        "locks of the own process",
        """
        htable.sht_lock("t", "k")
        htable.sht_sets("t", "k", "v")
        htable.sht_lock("t", "k")
        htable.sht_unlock("t", "k")
        htable.sht_get("t", "k")
        htable.sht_unlock("t", "k")
        htable.sht_get("t", "k")
        """,
    ),
    Scenario(
        "removal and matching by name and value",
        """
        [htable.sht_sets("t", name, name.upper()) for name in ("abc", "abd", "xyz", "x.z")]
        htable.sht_seti("t", "number", 5)
        htable.sht_match_name("t", "eq", "abc")
        htable.sht_match_name("t", "eq", "ab")
        htable.sht_match_name("t", "ne", "abc")
        htable.sht_match_name("t", "sw", "ab")
        htable.sht_match_name("t", "re", "^X")
        htable.sht_match_name("t", "xx", "abc")
        htable.sht_match_name("t", "eq", "")
        htable.sht_match_str_value("t", "eq", "ABC")
        htable.sht_match_str_value("t", "eq", "5")
        htable.sht_match_str_value("t", "sw", "XY")
        htable.sht_match_str_value("t", "re", "[")
        htable.sht_cn("t", "~~", "^ab")
        htable.sht_cn("t", "", "^ab")
        htable.sht_cn("t", "%~", "ab")
        htable.sht_cn("t", "~", "ab")
        htable.sht_cn("nope", "~~", "ab")
        pv.get("$shtcn(t=>~~^ab)")
        pv.get("$shtcn(t=>%~ab)")
        pv.get("$shtcn(t=>~%z)")
        pv.get("$shtcn(t=>==abc)")
        pv.get("$shtcn(t=>**)")
        pv.get("$shtcv(t=>eq5)")
        pv.get("$shtcv(t=>~~C)")
        pv.get("$shtcn(t=>b)")
        htable.sht_rm_name("t", "eq", "abc")
        htable.sht_rm_name("t", "sw", "ab")
        htable.sht_get("t", "abd")
        htable.sht_rm_value_re("t", "^X[.]")
        htable.sht_get("t", "x.z")
        htable.sht_rm_name_re("t", "[")
        htable.sht_rm_value("t", "sw", "XY")
        htable.sht_rm_name_re("t", "UMB")
        pv.get("$shtcn(t=>**)")
        """,
    ),
]


@checks(SCENARIOS)
def test_htable(agree: Callable[[Check], None], check: Check) -> None:
    agree(check)
