"""KSR.jsonrpcs with the RPCs of htable, and what a broken request gets; KSR.xhttp."""

from collections.abc import Callable

from .scenario import Check, Scenario, checks

HTTP = """\
POST /path?x=1 HTTP/1.1
Host: {listen}
X-Call: {call_id}
X-Two: two
Content-Type: text/plain
"""
SCENARIOS = [
    Scenario(
        "htable RPCs",
        """
        rpc("htable.sets", "t", "k1", "v1")
        rpc("htable.seti", "t", "k2", 5)
        rpc("htable.get", "t", "k1")
        rpc("htable.get", "t", "k2")
        rpc("htable.get", "t", "nope")
        rpc("htable.get", "none", "k")
        rpc("htable.get", "t")
        rpc("htable.get")
        rpc("htable.get", 1, 2)
        rpc("htable.dump", "t")
        rpc("htable.dump", "none")
        rpc("htable.dump")
        rpc("htable.sets", "t", "a", 5)
        htable.sht_get("t", "a")
        rpc("htable.seti", "t", "a", "x")
        htable.sht_get("t", "a")
        rpc("htable.seti", "t", "a", "12")
        htable.sht_get("t", "a")
        rpc("htable.sets", "t", "a")
        rpc("htable.sets", "none", "a", "b")
        rpc("htable.delete", "t", "a")
        rpc("htable.delete", "t", "a")
        rpc("htable.delete", "none", "a")
        rpc("htable.delete", "t")
        rpc("htable.setex", "long", "a", 5)
        rpc("htable.setxs", "long", "b", "v", 50)
        rpc("htable.setxi", "long", "c", 1, 50)
        htable.sht_get("long", "b"), htable.sht_get("long", "c")
        rpc("htable.setxi", "none", "c", 1, 5)
        rpc("htable.setxs", "long", "b", "v")
        rpc("htable.dump", "long")
        rpc("htable.listTables")
        rpc("htable.stats")
        rpc("htable.flush", "t")
        rpc("htable.dump", "t")
        rpc("htable.flush", "none")
        rpc("htable.flush")
        rpc("htable.reload", "t")
        rpc("htable.store", "t")
        rpc("htable.nothing")
        rpc("core.version").split()[1]
        """,
    ),
    Scenario(
        "the order of a dump",
        """
        [htable.sht_sets("big", name, name) for name in ("one", "two", "three", "four", "five", "six", "seven")]
        [htable.sht_sets("big", "key-%d@host" % number, "v") for number in range(30)][0]
        rpc("htable.dump", "big")
        rpc("htable.stats")
        """,
    ),
    Scenario(
        "the text of an answer",
        """
        rpc("htable.sets", "t", "k", 'quote " slash \\\\ line \\n tab \\t ä')
        jsonrpcs.exec('{"jsonrpc": "2.0", "method": "htable.get", "params": ["t", "k"], "id": 1}')
        pv.get("$jsonrpl(body)")
        pv.get("$jsonrpl(code)")
        pv.get("$jsonrpl(text)")
        jsonrpcs.response() == pv.get("$jsonrpl(body)")
        jsonrpcs.exec('{"jsonrpc": "2.0", "method": "htable.dump", "params": ["t"], "id": 2}')
        jsonrpcs.response()
        jsonrpcs.exec('{"jsonrpc": "2.0", "method": "htable.get", "params": ["t", "nope"], "id": 3}')
        jsonrpcs.response()
        pv.get("$jsonrpl(code)")
        pv.get("$jsonrpl(text)")
        jsonrpcs.execx('{"jsonrpc": "2.0", "method": "htable.dump", "params": ["count"], "id": 2}')
        jsonrpcs.response()
        """,
    ),
    Scenario(
        "requests that are not right",
        """
        rpc("htable.sets", "t", "k", "v")
        jsonrpcs.exec("{bad")
        jsonrpcs.exec("")
        jsonrpcs.exec('{"jsonrpc":"2.0","method":"htable.get","params":["t","k"]}')
        jsonrpcs.response()
        jsonrpcs.exec('{"method":"htable.get","params":["t","k"],"id":"s"}')
        jsonrpcs.response()
        jsonrpcs.exec('{"jsonrpc":"1.0","method":"htable.get","params":["t","k"],"id":"s"}')
        jsonrpcs.response()
        jsonrpcs.exec('{"jsonrpc":"2.0","method":"htable.get","params":{"a":"t","b":"k"},"id":7}')
        jsonrpcs.response()
        jsonrpcs.exec('[{"jsonrpc":"2.0","method":"htable.get","params":["t","k"],"id":1}]')
        jsonrpcs.response()
        jsonrpcs.exec('{"jsonrpc":"2.0","id":1}')
        jsonrpcs.response()
        jsonrpcs.exec('{"jsonrpc":"2.0","method":"htable.get","params":"t","id":1}')
        jsonrpcs.response()
        jsonrpcs.exec('{"jsonrpc":"2.0","method":"nope.nope","params":[],"id":1}')
        jsonrpcs.response()
        jsonrpcs.exec(1)
        jsonrpcs.exec()
        """,
    ),
    Scenario(
        "an HTTP request",
        """
        pv.get("$hu")
        xhttp.get_hu()
        pv.get("$rm")
        pv.get("$ru")
        pv.get("$rb")
        pv.get("$hdr(Host)")
        hdr.get("X-Two")
        is_GET(), is_POST(), is_INVITE(), is_method_in("GT")
        textops.has_body()
        pv.get("$cT")
        pv.get("$ci")
        hdr.append_to_reply("X-Reply: 1\\r\\n")
        xhttp.xhttp_reply(200, "OK", "text/plain", "hello")
        """,
        HTTP,
        body="ask",
        sent=True,
    ),
    Scenario(
        "an HTTP reply without body",
        """
        xhttp.xhttp_reply(404, "Not Found", "", "")
        """,
        HTTP.replace("POST", "GET"),
        body="",
        sent=True,
    ),
    Scenario(
        "what is no HTTP request",
        """
        pv.get("$hu")
        xhttp.xhttp_reply(200)
        xhttp.xhttp_reply("200", "OK", "text/plain", "x")
        xhttp.xhttp_reply(200, "OK", "text/plain")
        """,
    ),
]


@checks(SCENARIOS)
def test_rpc(agree: Callable[[Check], None], check: Check) -> None:
    agree(check)
