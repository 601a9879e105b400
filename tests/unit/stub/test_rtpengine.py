"""The fake rtpengine module: four generations, timeouts, selection, and what gets lost."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

import KSR
from KSR.testing import Ksr, State

A, B = "udp:192.0.2.1:2223", "udp:192.0.2.2:2223"
GENERATIONS = ["5.6.3", "6.0.1", "6.0.2", "6.1.5"]


def rpc(method: str, *params: object) -> Any:
    KSR.jsonrpcs.exec(json.dumps({"jsonrpc": "2.0", "method": method, "params": params, "id": 1}))
    answer = json.loads(str(KSR.jsonrpcs.response()))
    return answer.get("result", answer.get("error"))


def shown(url: str) -> tuple[bool, bool]:
    """Whether the module shows a node as permanently disabled, and as active, in either dialect."""
    row = rpc("rtpengine.show", url)[0]
    if "active" in row:
        return bool(row["disabled"]), bool(row["active"])
    return row["disabled"] == "1(permanent)", row["disabled"] == 0


def offer(ksr: Ksr, set_id: int, call_id: str = "c1") -> int:
    with ksr.handling(ksr.invite(call_id=call_id)):
        KSR.rtpengine.set_rtpengine_set(set_id)
        return KSR.rtpengine.rtpengine_offer("")


def two_nodes(ksr: Ksr) -> None:
    ksr.modparam("rtpengine", "rtp_inst_pvar", "$avp(served_by)")
    ksr.rtpengine.node(A, 1)
    ksr.rtpengine.node(B, 2)
    ksr.rtpengine.start()


@pytest.mark.parametrize("ksr", ["6.0.1"], indirect=True)
def test_a_timer_that_takes_longer_than_its_interval_never_has_to_catch_up(ksr: Ksr) -> None:
    ksr.modparam("rtpengine", "ping_interval", 1)
    ksr.modparam("rtpengine", "rtpengine_tout_ms", 900)
    two_nodes(ksr)
    ksr.rtpengine.daemon(A).state = State.DEAD
    for _ in range(100):
        ksr.clock.advance(1)
    assert len(ksr.rtpengine.daemon(B).commands("ping")) <= 102


@pytest.mark.parametrize("ksr", GENERATIONS, indirect=True)
def test_what_the_ping_timer_makes_of_a_permanent_disable(ksr: Ksr) -> None:
    """6.0.1 demotes it and then enables the node; 5.6 has no timer, 6.0.2 and 6.1 leave the node alone."""
    two_nodes(ksr)
    rpc("rtpengine.enable", A, 0)
    ksr.rtpengine.daemon(A).state = State.DEAD
    ksr.clock.advance(61)
    permanent_after_one_tick = shown(A)[0]
    ksr.rtpengine.daemon(A).state = State.ALIVE
    ksr.clock.advance(61)
    expected = {"6.0.1": (False, True)}.get(ksr.line.version, (True, False))
    assert shown(A) == expected
    assert permanent_after_one_tick == (ksr.line.version != "6.0.1")


@pytest.mark.parametrize("ksr", GENERATIONS, indirect=True)
def test_what_becomes_of_a_node_that_was_down_for_a_moment(ksr: Ksr) -> None:
    """6.0.2 never tries it again; the others do, 5.6 at a later call."""
    two_nodes(ksr)
    ksr.rtpengine.daemon(A).state = State.CLOSED
    assert offer(ksr, 1) == -1
    ksr.rtpengine.daemon(A).state = State.ALIVE
    ksr.clock.advance(61)
    assert offer(ksr, 1) == (-1 if ksr.line.version == "6.0.2" else 1)


@pytest.mark.parametrize("ksr", GENERATIONS, indirect=True)
def test_the_rpc_ping_demotes_a_permanent_disable_in_every_generation(ksr: Ksr) -> None:
    two_nodes(ksr)
    rpc("rtpengine.enable", A, 0)
    ksr.rtpengine.daemon(A).state = State.CLOSED
    assert rpc("rtpengine.ping", "all")["status"] in ("fail", "success")
    assert shown(A)[0] is False


@pytest.mark.parametrize("ksr", GENERATIONS, indirect=True)
def test_a_permanently_disabled_node_gets_nothing_from_routing(ksr: Ksr) -> None:
    two_nodes(ksr)
    rpc("rtpengine.enable", A, 0)
    before = len(ksr.rtpengine.daemon(A).log)
    assert offer(ksr, 1) == -1
    assert len(ksr.rtpengine.daemon(A).log) == before


def test_a_silent_node_costs_timeout_times_retries(ksr: Ksr) -> None:
    ksr.modparam("rtpengine", "rtpengine_tout_ms", 300)
    ksr.modparam("rtpengine", "rtpengine_retr", 2)
    two_nodes(ksr)
    daemon = ksr.rtpengine.daemon(A)
    daemon.state = State.DEAD
    before = ksr.clock.now
    assert offer(ksr, 1) == -1
    # With aggressive redetection, on in 5.6, the module pings it once more before it gives up.
    assert [command.command for command in daemon.log[-4:]] == ["offer", "offer", "ping", "ping"]
    assert ksr.clock.now - before == pytest.approx(1.2)


def test_a_node_that_refuses_has_answered(ksr: Ksr) -> None:
    two_nodes(ksr)
    ksr.rtpengine.daemon(A).state = State.REFUSING
    with ksr.handling(ksr.invite()):
        KSR.rtpengine.set_rtpengine_set(1)
        assert KSR.rtpengine.rtpengine_offer("") == -1
        assert KSR.pv.get("$avp(served_by)") == A
    assert shown(A) == (False, True)


@pytest.mark.parametrize("state", [State.FULL, State.OUT_OF_PORTS, State.LOAD_LIMIT])
def test_a_full_node_passes_the_call_on_within_its_set(ksr: Ksr, state: State) -> None:
    ksr.modparam("rtpengine", "rtp_inst_pvar", "$avp(served_by)")
    ksr.rtpengine.add_set(f"1 == {A} {B}")
    ksr.rtpengine.start()
    ksr.rtpengine.daemon(A).state = state
    for number in range(4):
        with ksr.handling(ksr.invite(call_id=f"call-{number}")):
            KSR.rtpengine.set_rtpengine_set(1)
            assert KSR.rtpengine.rtpengine_offer("") == 1
            assert KSR.pv.get("$avp(served_by)") == B
    assert shown(A) == (False, True)


def test_a_full_node_alone_in_its_set_is_minus_one(ksr: Ksr) -> None:
    two_nodes(ksr)
    ksr.rtpengine.daemon(A).state = State.FULL
    assert offer(ksr, 1) == -1


def test_a_call_stays_with_its_node_until_the_table_forgets_it(ksr: Ksr) -> None:
    ksr.modparam("rtpengine", "hash_table_tout", 100)
    ksr.rtpengine.add_set(f"1 == {A}=1 {B}=0")
    ksr.rtpengine.start()
    assert offer(ksr, 1) == 1
    ksr.rtpengine.find(A).weight = 0
    ksr.rtpengine.find(B).weight = 1
    assert offer(ksr, 1) == 1
    assert len(ksr.rtpengine.daemon(A).commands("offer")) == 2
    ksr.clock.advance(102)
    assert offer(ksr, 1) == 1
    assert len(ksr.rtpengine.daemon(B).commands("offer")) == 1


@pytest.mark.parametrize("ksr", ["5.6.3", "6.1.5"], indirect=True)
def test_weights_are_honoured_by_call_id(ksr: Ksr) -> None:
    ksr.rtpengine.add_set(f"1 == {A}=3 {B}=1")
    ksr.rtpengine.start()
    for number in range(400):
        assert offer(ksr, 1, f"call-{number:05}") == 1
    counts = [len(ksr.rtpengine.daemon(url).commands("offer")) for url in (A, B)]
    assert counts[0] > 2 * counts[1] > 0


def test_allow_op_lets_calls_use_a_disabled_node(ksr: Ksr) -> None:
    ksr.modparam("rtpengine", "rtpengine_allow_op", 2)
    two_nodes(ksr)
    assert offer(ksr, 1) == 1
    rpc("rtpengine.enable", A, 0)
    assert offer(ksr, 1) == 1
    assert offer(ksr, 1, "a new call") == -1


def write_table(path: Path, *rows: tuple[int, str, int, int], version: int = 1) -> None:
    path.unlink(missing_ok=True)
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE version (table_name, table_version)")
        database.execute("INSERT INTO version VALUES ('rtpengine', ?)", [version])
        database.execute("CREATE TABLE rtpengine (id, setid, url, weight, disabled, stamp)")
        database.executemany("INSERT INTO rtpengine VALUES (0, ?, ?, ?, ?, '')", rows)
    database.close()


@pytest.mark.parametrize("ksr", GENERATIONS, indirect=True)
def test_a_reload_replaces_runtime_marks_by_the_table(ksr: Ksr, tmp_path: Path) -> None:
    path = tmp_path / "rtpengine.sqlite"
    write_table(path, (1, A, 1, 0), (2, B, 1, 1))
    ksr.modparam("rtpengine", "db_url", f"sqlite:///{path}")
    ksr.rtpengine.start()
    assert not ksr.rtpengine.daemon(B).log, "a row with disabled=1 is not pinged at the start"
    assert rpc("rtpengine.reload")["message"] == "Too short reload interval - try later"
    rpc("rtpengine.enable", A, 0)
    ksr.clock.advance(10)
    write_table(path, (1, A, 1, 0))
    assert rpc("rtpengine.reload") == "Ok. Reload successful."
    assert [row["url"] for row in rpc("rtpengine.show", "all")] == [A]
    assert shown(A) == (False, True)
    assert rpc("rtpengine.show", B)["message"] == "Instance not found"


def test_a_table_of_the_wrong_version_changes_nothing(ksr: Ksr, tmp_path: Path) -> None:
    path = tmp_path / "rtpengine.sqlite"
    write_table(path, (1, A, 1, 0))
    ksr.modparam("rtpengine", "db_url", f"sqlite:///{path}")
    ksr.rtpengine.start()
    write_table(path, (1, B, 1, 0), version=2)
    ksr.clock.advance(11)
    assert rpc("rtpengine.reload")["message"] == "Failed reloading db"
    assert [row["url"] for row in rpc("rtpengine.show", "all")] == [A]


def test_a_process_that_missed_a_reload_pings_every_node_at_its_next_rpc(ksr: Ksr, tmp_path: Path) -> None:
    path = tmp_path / "rtpengine.sqlite"
    write_table(path, (1, A, 1, 0))
    ksr.modparam("rtpengine", "db_url", f"sqlite:///{path}")
    ksr.rtpengine.start()
    other = ksr.new_process(1)
    rpc("rtpengine.show", "all")
    ksr.clock.advance(11)
    rpc("rtpengine.reload")
    before = len(ksr.rtpengine.daemon(A).commands("ping"))
    ksr.process = other
    rpc("rtpengine.show", "all")
    assert len(ksr.rtpengine.daemon(A).commands("ping")) == before + 1


def test_ping_interval_stops_5_6_from_starting(ksr: Ksr) -> None:
    with pytest.raises(ValueError, match="does not exist"):
        ksr.modparam("rtpengine", "ping_interval", 60)


def test_manage_answers_an_offer_and_offers_after_an_invite_without_sdp(ksr: Ksr) -> None:
    two_nodes(ksr)
    daemon = ksr.rtpengine.daemon(A)
    for sdp, expected in ((True, ["offer", "answer"]), ("", ["offer"])):
        daemon.log.clear()
        with ksr.handling(ksr.invite(sdp=sdp)) as invite:
            KSR.tm.t_newtran()
            transaction = ksr.process.transaction
            KSR.rtpengine.set_rtpengine_set(1)
            KSR.rtpengine.rtpengine_manage("")
        with ksr.handling(ksr.reply_to(invite, 200, sdp=True), "reply"):
            ksr.process.transaction = transaction
            KSR.rtpengine.set_rtpengine_set(1)
            assert KSR.rtpengine.rtpengine_manage("") == 1
        assert [command.command for command in daemon.log] == expected
