"""The stub refuses what Kamailio would punish, even when the script does not notice."""

from types import SimpleNamespace
from typing import Any

import pytest
from pytest_mock import MockerFixture

import KSR
from KSR.testing import KemiFault, Ksr, UnknownFunction, WouldHang


class Routes:
    """The methods that Kamailio asks a script for; a test replaces one of them."""

    def child_init(self, rank: int) -> int:
        return 0

    def ksr_request_route(self, msg: object) -> Any:
        return 1

    def ksr_reply_route(self, msg: object) -> Any:
        return 1

    def ksr_onsend_route(self, msg: object) -> Any:
        return 1


def script(**methods: Any) -> Any:
    """A script whose object has these methods in place of its own."""
    routes = type("Routes", (Routes,), methods)
    return SimpleNamespace(mod_init=routes)


def wrong_calls() -> list[tuple[str, tuple[object, ...]]]:
    return [
        ("sht_get", ("t",)),
        ("sht_get", ("t", "k", "x")),
        ("sht_get", ("t", 1)),
        ("sht_get", (None, "k")),
        ("sht_seti", ("t", "k", "1")),
        ("sht_seti", ("t", "k", 1.0)),
        ("sht_seti", ("t", "k", 2**31)),
    ]


@pytest.mark.parametrize(("function", "args"), wrong_calls())
def test_a_wrong_call_fails_the_test_and_says_what_kamailio_does(
    ksr: Ksr, function: str, args: tuple[object, ...]
) -> None:
    with pytest.raises(KemiFault, match=r"Kamailio 5\.x would raise SystemError"):
        getattr(KSR.htable, function)(*args)
    ksr.found_faults.clear()


@pytest.mark.ksr(version="6.0.1")
def test_on_6_the_message_names_the_false_that_is_returned(ksr: Ksr) -> None:
    with pytest.raises(KemiFault, match=r"6\.x would log .* and return False"):
        KSR.htable.sht_get("t", 1)  # type: ignore[arg-type]
    ksr.found_faults.clear()


@pytest.mark.ksr(faults="kamailio")
@pytest.mark.parametrize(("function", "args"), wrong_calls())
def test_in_kamailio_mode_5_raises_system_error(ksr: Ksr, function: str, args: tuple[object, ...]) -> None:
    with pytest.raises(SystemError, match="returned a result with an exception set"):
        getattr(KSR.htable, function)(*args)
    assert ksr.log_at("err")


@pytest.mark.ksr(version="6.1.5", faults="kamailio")
@pytest.mark.parametrize(("function", "args"), [call for call in wrong_calls() if call[1] != ("t", "k", "x")][:5])
def test_in_kamailio_mode_6_returns_false_and_logs(ksr: Ksr, function: str, args: tuple[object, ...]) -> None:
    assert getattr(KSR.htable, function)(*args) is False
    assert ksr.log_at("err")


@pytest.mark.ksr(version="6.1.5")
def test_6_does_not_look_at_surplus_arguments(ksr: Ksr) -> None:
    assert KSR.htable.sht_get("t", "k", "x") is None  # type: ignore[call-arg]


def test_a_fault_that_the_script_swallows_fails_the_test_all_the_same(ksr: Ksr) -> None:
    def careless(self: Routes, msg: object) -> int:
        try:
            KSR.htable.sht_get("t")  # type: ignore[call-arg]
        except Exception:
            return 1
        return 1

    worker = ksr.start(script(ksr_request_route=careless))
    with pytest.raises(KemiFault):
        worker.request(ksr.invite())


def test_an_unknown_function_fails_the_test(ksr: Ksr) -> None:
    with pytest.raises(UnknownFunction):
        _ = KSR.htable.sht_nothing  # type: ignore[attr-defined]
    with pytest.raises(AttributeError):
        _ = KSR.nothing  # type: ignore[attr-defined]
    ksr.found_faults.clear()


def test_asking_whether_a_function_exists_is_no_fault(ksr: Ksr) -> None:
    assert not hasattr(KSR, "nothing")
    assert not hasattr(KSR.rtpengine, "rtpengine_offer2")
    assert getattr(KSR.htable, "sht_nothing", None) is None
    assert hasattr(KSR.htable, "sht_get")


@pytest.mark.ksr(version="6.0.1")
def test_a_function_of_a_later_version_is_there_when_that_version_is_played(ksr: Ksr) -> None:
    assert hasattr(KSR.rtpengine, "rtpengine_offer2")
    assert "rtpengine_offer2" in dir(KSR.rtpengine)


def test_a_function_without_behaviour_returns_what_the_api_says_and_is_recorded(ksr: Ksr) -> None:
    assert KSR.pike.pike_check_req() == 1
    assert KSR.dialog.var_get("x") is None
    ksr.returns("pike.pike_check_req", -2)
    assert KSR.pike.pike_check_req() == -2
    assert [call.result for call in ksr.calls] == [1, None, -2]


def test_calls_are_recorded_in_order_with_arguments_and_results(ksr: Ksr) -> None:
    ksr.htable("t=>size=4;")
    KSR.htable.sht_seti("t", "k", 5)
    KSR.htable.sht_get("t", "k")
    KSR.info("done\n")
    assert [str(call) for call in ksr.calls] == [
        "KSR.htable.sht_seti('t', 'k', 5) -> 1",
        "KSR.htable.sht_get('t', 'k') -> 5",
        "KSR.info('done\\n') -> 0",
    ]
    ksr.assert_called("htable.sht_seti", "t", "k", 5)
    ksr.assert_not_called("htable.sht_rm")
    ksr.assert_order("htable.sht_seti", ("info", "done\n"))
    with pytest.raises(AssertionError):
        ksr.assert_order("info", "htable.sht_get")
    with pytest.raises(AssertionError):
        ksr.assert_called("htable.sht_seti", "t", "k", 6)


def test_spies_and_patches_of_pytest_mock_work_on_ksr_functions(ksr: Ksr, mocker: MockerFixture) -> None:
    spy = mocker.spy(KSR.htable, "sht_get")
    patched = mocker.patch.object(KSR.htable, "sht_inc", return_value=9)
    assert KSR.htable.sht_get("t", "k") is None
    assert KSR.htable.sht_inc("t", "k") == 9
    spy.assert_called_once_with("t", "k")
    patched.assert_called_once_with("t", "k")
    mocker.stopall()
    assert KSR.htable.sht_inc("t", "k") == -255


@pytest.mark.parametrize("result", [None, "1", 1.0])
def test_a_route_that_returns_no_int_fails_the_test(ksr: Ksr, result: object) -> None:
    worker = ksr.start(script(ksr_request_route=lambda self, msg: result))
    with pytest.raises(KemiFault, match="not an int"):
        worker.request(ksr.invite())
    ksr.found_faults.clear()


@pytest.mark.ksr(faults="kamailio")
def test_in_kamailio_mode_the_call_after_such_a_route_raises(ksr: Ksr) -> None:
    def calling(self: Routes, msg: object) -> None:
        KSR.info("x")

    worker = ksr.start(script(ksr_request_route=calling))
    worker.request(ksr.invite())
    ksr.process = worker.process
    with pytest.raises(SystemError):
        KSR.info("x")


def test_a_script_without_reply_route_fails_on_5(ksr: Ksr) -> None:
    worker = ksr.start(script(ksr_reply_route=None))
    with pytest.raises(KemiFault, match="has no ksr_reply_route"):
        worker.reply(ksr.reply_to(ksr.invite(), 200))
    ksr.found_faults.clear()


@pytest.mark.ksr(version="6.0.1")
def test_a_script_without_reply_route_is_fine_on_6(ksr: Ksr) -> None:
    worker = ksr.start(script(ksr_reply_route=None))
    assert worker.reply(ksr.reply_to(ksr.invite(), 200)).result == 1


def test_an_exception_of_the_script_reaches_the_test(ksr: Ksr) -> None:
    worker = ksr.start(script(ksr_request_route=lambda self, msg: 1 // 0))
    with pytest.raises(ZeroDivisionError):
        worker.request(ksr.invite())


@pytest.mark.ksr(faults="kamailio")
def test_in_kamailio_mode_an_exception_is_logged_and_nothing_is_sent(ksr: Ksr) -> None:
    worker = ksr.start(script(ksr_request_route=lambda self, msg: 1 // 0))
    routed = worker.request(ksr.invite())
    assert routed.result == -1
    assert not routed.sent
    assert "ZeroDivisionError" in ksr.log_at("err")[-1]


def test_sys_exit_ends_a_route_quietly(ksr: Ksr) -> None:
    def leave(self: Routes, msg: object) -> int:
        raise SystemExit

    assert ksr.start(script(ksr_request_route=leave)).request(ksr.invite()).result == -1


def test_a_lock_that_another_worker_holds_would_hang(ksr: Ksr) -> None:
    ksr.htable("t=>size=4;")
    ksr.start(script(), workers=2)
    first, second = (worker.process for worker in ksr.workers)
    ksr.process = first
    KSR.htable.sht_lock("t", "k")
    assert KSR.htable.sht_sets("t", "k", "own locks may be taken again") == 1
    ksr.process = second
    with pytest.raises(WouldHang):
        KSR.htable.sht_get("t", "k")
    with pytest.raises(KemiFault, match="which process of rank 1 has locked"):
        KSR.htable.sht_unlock("t", "k")
    ksr.found_faults.clear()


def test_an_unlock_without_lock_fails(ksr: Ksr) -> None:
    ksr.htable("t=>size=4;")
    with pytest.raises(KemiFault, match="nobody has locked"):
        KSR.htable.sht_unlock("t", "k")
    ksr.found_faults.clear()


def test_a_route_that_leaves_an_iterator_open_fails(ksr: Ksr) -> None:
    def leaky(self: Routes, msg: object) -> int:
        KSR.htable.sht_iterator_start("it", "t")
        KSR.htable.sht_iterator_next("it")
        return 1

    ksr.htable("t=>size=4;")
    KSR.htable.sht_sets("t", "k", "v")
    worker = ksr.start(script(ksr_request_route=leaky))
    with pytest.raises(KemiFault, match="left slot"):
        worker.request(ksr.invite())
    ksr.found_faults.clear()


def test_removing_the_item_an_iterator_stands_on_fails(ksr: Ksr) -> None:
    ksr.htable("t=>size=4;")
    KSR.htable.sht_sets("t", "k", "v")
    KSR.htable.sht_iterator_start("it", "t")
    KSR.htable.sht_iterator_next("it")
    with pytest.raises(KemiFault, match="freed memory"):
        KSR.htable.sht_rm("t", "k")
    with pytest.raises(KemiFault, match="freed memory"):
        KSR.htable.sht_sets("t", "k", "a longer value")
    assert KSR.htable.sht_sets("t", "k", "w") == 1
    assert KSR.htable.sht_iterator_rm("it") == -2
    ksr.found_faults.clear()


def test_a_variable_that_is_none_fails_and_so_does_setting_what_cannot_be_set(ksr: Ksr) -> None:
    for name in ("$nope", "nope", "$(ci"):
        with ksr.expects_fault("no pseudo-variable"):
            KSR.pv.get(name)
    with ksr.expects_fault("cannot be set"):
        KSR.pv.sets("$ci", "x")


def test_a_header_without_line_end_fails(ksr: Ksr) -> None:
    with ksr.handling(ksr.invite()), ksr.expects_fault("not a header line"):
        KSR.hdr.append("X-A: 1")
