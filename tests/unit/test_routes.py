"""The SIP routes, driven as Kamailio drives them."""

import pytest
from pytest_mock import MockerFixture

from kemi_rtp.routes import Routes
from KSR.testing import State
from tests.unit.site import Site


def test_a_call_goes_through_offer_answer_and_delete_on_one_node(site: Site) -> None:
    worker = site.start()
    invite, routed = site.call(worker, "c1")
    site.answer(worker, routed.request)
    worker.request(site.ksr.in_dialog("ACK", invite, routed.request))
    worker.request(site.ksr.in_dialog("BYE", invite, routed.request))
    (name,) = site.serving("c1")
    assert [command.command for command in site.daemon(name).commands("offer", "answer", "delete")] == [
        "offer",
        "answer",
        "delete",
    ]


def test_both_sides_get_the_nodes_media_address(site: Site) -> None:
    worker = site.start()
    _, routed = site.call(worker, "c1")
    host = site.node(site.serving("c1")[0]).address[0]
    reply = site.answer(worker, routed.request).sent[0]
    assert f"c=IN IP4 {host}" in routed.request.body
    assert f"c=IN IP4 {host}" in reply.body


def test_an_exception_is_logged_with_its_traceback_and_answered_with_500(site: Site, mocker: MockerFixture) -> None:
    worker = site.start()
    mocker.patch.object(Routes, "pool", side_effect=RuntimeError("no such thing"))
    _, routed = site.call(worker, "c1")
    assert routed.reply.code == 500
    log = "".join(site.ksr.log_at("err"))
    assert "Traceback" in log
    assert "RuntimeError: no such thing" in log


def test_an_exception_in_a_reply_route_lets_the_reply_pass(site: Site, mocker: MockerFixture) -> None:
    worker = site.start()
    _, routed = site.call(worker, "c1")
    mocker.patch.object(Routes, "media", side_effect=RuntimeError("no such thing"))
    assert site.answer(worker, routed.request).reply.code == 200


def test_an_ack_is_never_answered_even_after_an_exception(site: Site, mocker: MockerFixture) -> None:
    worker = site.start()
    mocker.patch.object(Routes, "check_request", side_effect=RuntimeError)
    assert not worker.request(site.ksr.message("ACK")).sent


@pytest.mark.parametrize("route", ["ksr_reply_route", "ksr_onsend_route", "ksr_branch_route", "ksr_failure_route"])
def test_every_route_that_kamailio_5_asks_for_is_there(site: Site, route: str) -> None:
    assert site.start().run(route).result == 1


def test_nothing_of_tm_touches_a_retransmission_of_what_another_worker_handles(
    site: Site, mocker: MockerFixture
) -> None:
    """Kamailio 6.1.5 would drop that transaction: it has no branch yet while the other worker waits for a node."""
    worker = site.start()
    mocker.patch("KSR.tmx.t_precheck_trans", return_value=1)
    again = worker.request(site.ksr.invite(call_id="c1"))
    assert not again.sent
    assert not [call.name for call in again.calls if call.name.startswith("tm.")]


@pytest.mark.parametrize(
    ("method", "too_early"),
    [("OPTIONS", ["tmx.t_precheck_trans"]), ("INVITE", ["tmx.t_precheck_trans", "tm.t_check_trans"])],
)
def test_a_retransmission_is_not_relayed_however_late_it_is_recognised(
    site: Site, mocker: MockerFixture, method: str, too_early: list[str]
) -> None:
    """Another worker may make the transaction while this one is on its way through the route."""
    worker = site.start()
    invite = site.ksr.invite(call_id="c1") if method == "INVITE" else site.ksr.message(method, call_id="c1")
    assert worker.request(invite).relayed
    for function in too_early:
        mocker.patch(f"KSR.{function}", return_value=-1)
    again = worker.request(invite)
    assert not again.relayed
    assert "tm.t_relay" not in [call.name for call in again.calls]
    assert sum(len(site.daemon(name).commands("offer")) for name in ("rtp1", "rtp2", "rtp3")) == (method == "INVITE")


def test_a_request_outside_a_dialog_that_needs_one_is_refused(site: Site) -> None:
    worker = site.start()
    assert worker.request(site.ksr.message("BYE")).reply.code == 481


def test_an_in_dialog_request_that_was_not_routed_here_is_refused(site: Site) -> None:
    worker = site.start()
    assert worker.request(site.ksr.message("BYE", to_tag="there")).reply.code == 404


def test_too_many_hops_are_refused(site: Site) -> None:
    worker = site.start()
    invite = site.ksr.invite(call_id="c1")
    assert worker.request(invite.text.replace("Max-Forwards: 70", "Max-Forwards: 0")).reply.code == 483
    assert site.serving("c1") == []


def test_a_registered_user_is_found(site: Site) -> None:
    worker = site.start()
    register = site.ksr.message(
        "REGISTER",
        "sip:127.0.0.1",
        to_uri="sip:bob@127.0.0.1",
        from_uri="sip:bob@127.0.0.1",
        contact="<sip:bob@192.0.2.77:5070>",
    )
    assert worker.request(register).reply.code == 200
    _, routed = site.call(worker, "c1", uri="sip:bob@127.0.0.1")
    assert routed.request.uri.startswith("sip:bob@192.0.2.77:5070")


def test_an_unknown_user_costs_no_media_node_anything(site: Site) -> None:
    worker = site.start()
    _, routed = site.call(worker, "c1", uri="sip:nobody@127.0.0.1")
    assert routed.reply.code == 404
    assert site.serving("c1") == []


def test_hooks_choose_pool_flags_and_whether_to_relay(site: Site, mocker: MockerFixture) -> None:
    site.write_nodes(
        {
            "default": [{"name": "d", "url": "udp:192.0.2.1:2223"}],
            "eu": [{"name": "e", "url": "udp:192.0.2.2:2223"}],
        }
    )
    worker = site.start()
    mocker.patch.object(Routes, "pool", return_value="eu")
    mocker.patch.object(Routes, "flags", return_value="trust-address")
    site.call(worker, "c1")
    assert site.serving("c1") == ["e"]
    assert ("trust-address",) in site.ksr.args_of("rtpengine.rtpengine_offer")
    mocker.patch.object(Routes, "wants_media", return_value=False)
    _, routed = site.call(worker, "c2")
    assert site.serving("c2") == []
    assert "c=IN IP4 192.0.2.10" in routed.request.body


def test_a_call_without_a_node_gets_503_with_the_reason(site: Site) -> None:
    worker = site.start()
    for name in ("rtp1", "rtp2", "rtp3"):
        site.disable(name, reason='a "quoted" reason')
    _, routed = site.call(worker, "c1")
    assert routed.reply.code == 503
    reason = routed.reply.header("Reason") or ""
    assert reason.startswith('SIP;cause=503;text="')
    assert reason.count('"') == 2
    assert "rtp2 disabled by alice@lb1 since" in reason
    assert site.serving("c1") == []


def test_an_offer_that_nodes_refuse_gets_488_with_the_reason(site: Site) -> None:
    worker = site.start()
    for name in ("rtp1", "rtp2", "rtp3"):
        site.daemon(name).state = State.REFUSING
    _, routed = site.call(worker, "c1")
    assert routed.reply.code == 488
    assert "cause=488" in (routed.reply.header("Reason") or "")


def test_success_logs_nothing_above_debug(site: Site) -> None:
    worker = site.start()
    before = len(site.ksr.log_at("info", "notice", "warn", "err", "crit"))
    invite, routed = site.call(worker, "c1")
    site.answer(worker, routed.request)
    worker.request(site.ksr.in_dialog("BYE", invite, routed.request))
    assert len(site.ksr.log_at("info", "notice", "warn", "err", "crit")) == before


def test_a_sip_worker_reads_no_file(site: Site, mocker: MockerFixture) -> None:
    worker = site.start()
    site.disable("rtp1")
    for function in ("builtins.open", "os.stat", "os.open", "pathlib.Path.stat", "yaml.compose"):
        mocker.patch(function, side_effect=AssertionError(f"{function} was called"))
    _, routed = site.call(worker, "c1")
    site.answer(worker, routed.request)
    mocker.stopall()
    assert site.serving("c1")


def test_a_reload_of_the_script_keeps_bindings_and_decisions(site: Site) -> None:
    worker = site.start()
    invite, routed = site.call(worker, "c1")
    site.answer(worker, routed.request)
    (name,) = site.serving("c1")
    site.disable(next(n for n in ("rtp1", "rtp2", "rtp3") if n != name))
    site.ksr.rpc.execute(site.ksr.main, "app_python.reload", [])
    worker.request(site.ksr.in_dialog("INVITE", invite, routed.request, sdp=True))
    assert site.serving("c1") == [name]
    site.tick()
    assert sum(not standing.routable for _, standing in site.state(worker).view()) == 1
