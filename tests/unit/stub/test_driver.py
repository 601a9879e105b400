"""The stub drives a script as app_python3 and tm do: start, workers, routes by name, replies, timers, reload."""

import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import KSR
from KSR.testing import KemiFault, Ksr


class Proxy:
    """A small proxy that notes what it was called for."""

    def __init__(self) -> None:
        self.seen: list[object] = []

    def child_init(self, rank: int) -> int:
        self.seen.append(rank)
        return 0

    def ksr_request_route(self, msg: Any) -> int:
        self.seen.append(msg.Method)
        if KSR.is_CANCEL():
            if KSR.tm.t_check_trans() > 0:
                KSR.tm.t_relay()
            return 1
        if KSR.tm.t_check_trans() == 0:
            return 1
        if KSR.siputils.has_totag() > 0:
            KSR.rr.loose_route()
        else:
            KSR.rr.record_route()
            KSR.pv.sets("$avp(kept)", "from the request")
        KSR.tm.t_on_reply("on_reply")
        KSR.tm.t_on_branch("on_branch")
        KSR.tm.t_on_failure("on_failure")
        KSR.tm.t_relay()
        return 1

    def on_branch(self, msg: Any) -> int:
        self.seen.append("branch")
        return 1

    def on_reply(self, msg: Any) -> int:
        self.seen.append((msg.Status, KSR.pv.get("$avp(kept)")))
        return 1

    def on_failure(self, msg: Any) -> int:
        self.seen.append(("failure", KSR.tm.t_get_status_code(), KSR.tm.t_is_canceled(), KSR.tm.t_any_timeout()))
        return 1

    def ksr_reply_route(self, msg: Any) -> int:
        return 1

    def ksr_onsend_route(self, msg: Any) -> int:
        return 1

    def on_event(self, msg: Any, event: str) -> int:
        self.seen.append((event, KSR.pv.get("$shtrecord(key)")) if "expired" in event else event)
        return 1


PROXY: Any = SimpleNamespace(mod_init=Proxy)


def test_a_start_runs_mod_init_once_and_child_init_in_each_process(ksr: Ksr) -> None:
    worker = ksr.start(PROXY, workers=3)
    assert worker is ksr.workers[0]
    assert [process.script.seen for process in ksr.workers] == [[1], [2], [3]]
    assert ksr.main.handler.seen == [0]  # type: ignore[attr-defined]


def test_workers_share_tables_and_not_their_script_objects_or_variables(ksr: Ksr) -> None:
    ksr.htable("t=>size=4;")
    ksr.start(PROXY, workers=2)
    first, second = ksr.workers
    ksr.process = first.process
    KSR.htable.sht_sets("t", "k", "shared")
    KSR.pv.sets("$var(x)", "private")
    KSR.pv.sets("$shv(x)", "shared")
    ksr.process = second.process
    assert KSR.htable.sht_get("t", "k") == "shared"
    assert KSR.pv.get("$var(x)") == 0
    assert KSR.pv.get("$shv(x)") == "shared"
    assert first.script is not second.script
    assert KSR.pv.get("$pp") == second.process.pid != first.process.pid


def test_a_process_id_that_the_main_process_asks_for_is_that_of_all_processes(ksr: Ksr) -> None:
    """Seen on 5.6.3, 6.0.1 and 6.1.5: os.getpid() tells them apart."""

    class Asking:
        def mod_init(self) -> Proxy:
            assert KSR.pv.get("$pp") == ksr.main.pid
            return Proxy()

    ksr.start(Asking(), workers=2)
    for worker in ksr.workers:
        ksr.process = worker.process
        assert KSR.pv.get("$pp") == ksr.main.pid


def test_tables_have_no_memory_yet_while_mod_init_runs(ksr: Ksr) -> None:
    results: list[object] = []

    def mod_init() -> Proxy:
        results.append(KSR.htable.sht_sets("t", "k", "v"))
        results.append(KSR.htable.sht_get("t", "k"))
        return Proxy()

    ksr.htable("t=>size=4;")
    ksr.start(SimpleNamespace(mod_init=mod_init))
    assert results == [-1, None]
    assert KSR.htable.sht_sets("t", "k", "v") == 1


def test_mod_init_that_returns_nothing_does_not_start(ksr: Ksr) -> None:
    with pytest.raises(KemiFault, match="would not start"):
        ksr.start(SimpleNamespace(mod_init=lambda: None))


def test_a_call_from_invite_to_bye(ksr: Ksr) -> None:
    ksr.start(PROXY, workers=2)
    caller, callee = ksr.workers
    invite = ksr.invite("sip:bob@192.0.2.20")
    routed = caller.request(invite)
    assert [reply.code for reply in routed.replies] == [100]
    assert routed.request.header("Record-Route") is not None
    assert len(routed.request.headers("Via")) == 2
    # Replies may come to any worker.
    ringing = callee.reply(ksr.reply_to(routed.request, 180))
    assert ringing.reply.code == 180
    answered = callee.reply(ksr.reply_to(routed.request, 200, sdp=True))
    assert len(answered.reply.headers("Via")) == 1
    assert callee.script.seen[1:] == [("180", "from the request"), ("200", "from the request")]
    ack = caller.request(ksr.in_dialog("ACK", invite, routed.request))
    assert ack.request.method == "ACK"
    bye = callee.request(ksr.from_callee("BYE", invite, routed.request))
    assert bye.request.header("Route") is None


def test_a_retransmission_gets_the_last_reply_again(ksr: Ksr) -> None:
    worker = ksr.start(PROXY)
    invite = ksr.invite("sip:bob@192.0.2.20")
    routed = worker.request(invite)
    worker.reply(ksr.reply_to(routed.request, 180))
    again = worker.request(invite)
    assert again.reply.code == 180
    assert not again.relayed


def test_a_refused_call_runs_the_failure_route_and_the_refusal_goes_back(ksr: Ksr) -> None:
    worker = ksr.start(PROXY)
    routed = worker.request(ksr.invite("sip:bob@192.0.2.20"))
    refused = worker.reply(ksr.reply_to(routed.request, 486))
    assert worker.script.seen[-1] == ("failure", 486, -1, -1)
    assert refused.request.method == "ACK"
    assert refused.reply.code == 486


def test_a_timeout_runs_the_failure_route_with_408(ksr: Ksr) -> None:
    worker = ksr.start(PROXY)
    routed = worker.request(ksr.invite("sip:bob@192.0.2.20"))
    timed_out = worker.timeout(routed.request)
    assert worker.script.seen[-1] == ("failure", 408, -1, 1)
    assert timed_out.reply.code == 408


def test_a_cancel_is_answered_and_goes_to_the_branch(ksr: Ksr) -> None:
    worker = ksr.start(PROXY)
    invite = ksr.invite("sip:bob@192.0.2.20")
    routed = worker.request(invite)
    canceled = worker.request(ksr.cancel(invite))
    assert [(sent.method, sent.is_reply) for sent in canceled.sent] == [("CANCEL", True), ("CANCEL", False)]
    worker.reply(ksr.reply_to(routed.request, 487))
    assert worker.script.seen[-1] == ("failure", 487, 1, -1)


def test_an_expired_item_runs_the_event_route_with_its_key(ksr: Ksr) -> None:
    ksr.modparam("htable", "event_callback", "on_event")
    ksr.htable("t=>size=4;autoexpire=30")
    ksr.start(PROXY)
    KSR.htable.sht_sets("t", "k", "v")
    ksr.clock.advance(60)
    assert ksr.main.handler.seen == ["htable:mod-init", 0, ("htable:expired:t", "k")]  # type: ignore[attr-defined]


def test_an_rtimer_route_runs_in_a_process_of_its_own(ksr: Ksr) -> None:
    ksr.modparam("rtimer", "timer", "name=tick;interval=500000u;mode=1;")
    ksr.modparam("rtimer", "exec", "timer=tick;route=on_event")
    ksr.start(PROXY, timers=True)
    timer = next(process for process in ksr.processes if process.rank == -1)
    ksr.clock.advance(2)
    assert timer.handler.seen == [-1, "rtimer", "rtimer", "rtimer", "rtimer"]  # type: ignore[attr-defined]
    assert ksr.workers[0].script.seen == [1]


def test_app_python_reload_runs_the_script_again_at_the_next_route(
    ksr: Ksr, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    path = tmp_path / "reloaded_script.py"
    text = """
        import KSR

        class Script:
            def child_init(self, rank):
                return 0

            def ksr_request_route(self, msg):
                KSR.sl.send_reply({code}, "x")
                return 1

        def mod_init():
            return Script()
        """
    path.write_text(textwrap.dedent(text).replace("{code}", "404"))
    worker = ksr.start(path)
    assert worker.request(ksr.invite()).reply.code == 404
    # Another length, so that the import system sees a change within the same second.
    path.write_text(textwrap.dedent(text).replace("{code}", "480") + "# changed\n")
    assert worker.request(ksr.invite()).reply.code == 404
    KSR.jsonrpcs.exec('{"jsonrpc": "2.0", "method": "app_python.reload", "id": 1}')
    assert worker.request(ksr.invite()).reply.code == 480
    sys.modules.pop("reloaded_script", None)


def test_a_configuration_brings_tables_defines_and_the_loaded_modules(ksr: Ksr, tmp_path: Path) -> None:
    (tmp_path / "more.cfg").write_text('modparam("htable", "htable", "NAME=>size=4;")\n')
    (tmp_path / "kamailio.cfg").write_text(
        '#!trydefenvs WHERE\n#!define NAME calls\n#!ifdef KAMAILIO_5\nloadmodule "tm.so"\n#!else\nloadmodule "sl.so"\n'
        '#!endif\nloadmodule "htable.so"\nlisten=udp:192.0.2.9:5070\nalias=example.org\ninclude_file "more.cfg"\n'
        'modparam("nathelper|registrar", "received_avp", "$avp(received)")\n'
        'modparam("htable", "htable", "other=>size=4;") # for more\n'
    )
    ksr.configure(tmp_path / "kamailio.cfg", WHERE="/somewhere")
    assert ksr.defines["WHERE"] == '"/somewhere"'
    assert {"NAME", "calls"} & set(ksr.htables)
    assert hasattr(KSR, "tm")
    assert not hasattr(KSR, "sl")
    assert ksr.params["registrar", "received_avp"] == "$avp(received)"
    with ksr.handling(ksr.invite("sip:x@example.org")):
        assert KSR.is_myself_ruri()
        assert KSR.is_myself("sip:192.0.2.9:5070")
        assert not KSR.is_myself("sip:192.0.2.9:5071")


def test_tests_extend_the_rpc_table(ksr: Ksr) -> None:
    ksr.rpc.register("my.command", lambda process, params: {"got": params})
    KSR.jsonrpcs.exec('{"jsonrpc": "2.0", "method": "my.command", "params": [1, "a"], "id": 1}')
    assert '"got":\t[1, "a"]' in str(KSR.jsonrpcs.response())


def test_an_http_request_runs_the_event_callback(ksr: Ksr) -> None:
    class Web(Proxy):
        def on_http(self, msg: Any, event: str) -> int:
            KSR.xhttp.xhttp_reply(200, "OK", "text/plain", f"{event} {KSR.pv.get('$hu')}")
            return 1

    ksr.modparam("xhttp", "event_callback", "on_http")
    worker = ksr.start(SimpleNamespace(mod_init=Web))
    worker.http("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    assert ksr.http_replies[0].body == "xhttp:request /metrics"
