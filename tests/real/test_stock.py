"""What Kamailio alone does to a node that an operator disabled with `rtpengine.enable URL 0`: why kemi_rtp exists.

No kemi_rtp here. These tests pass when the fault shows: the node "comes back", the module sends it calls though nobody
enabled it. On versions whose behaviour is known it must show, or not, exactly as known; a later version may have mended
it, and then the table at the end says so in plain words.
"""

from collections.abc import Callable, Iterator

import pytest

from tests.lab import situations
from tests.lab.kamailio import Line
from tests.lab.process import TimedOutError, wait_until
from tests.lab.stock import Stock

Observe = Callable[[str], None]
KNOWN = ("5.6.3", "6.0.1")


@pytest.fixture(scope="module")
def module_stock(kamailio_line: Line) -> Iterator[Stock]:
    with Stock(kamailio_line) as stock:
        yield stock


@pytest.fixture
def stock(module_stock: Stock) -> Stock:
    """Three nodes, up and enabled."""
    module_stock.put_in_order()
    return module_stock


def disable(stock: Stock) -> None:
    stock.native("enable", stock.nodes["rtp2"].url, 0)
    assert stock.is_permanent("rtp2")
    assert not takes_calls(stock)


def takes_calls(stock: Stock) -> bool:
    """Whether rtp2 gets any of 12 calls, four times its share."""
    since = stock.mark()
    stock.call("plain", calls=12, rate=50).assert_ok()
    return stock.counts(since)["rtp2"]["offer"] > 0


def takes_calls_again(stock: Stock) -> bool:
    """The same within some seconds: a node whose mark was lost is tested from time to time."""
    try:
        wait_until(lambda: takes_calls(stock), "rtp2 takes calls")
    except TimedOutError:
        return False
    return True


def pass_timer_pings(stock: Stock) -> None:
    """The ping timer has looked at all nodes, where there is one: seen at a node that is up."""
    if stock.has_ping_timer:
        stock.wait_for_pings("rtp1", number=3)


def conclude(stock: Stock, observe: Observe, *, lost: bool, back: bool, known: tuple[str, ...]) -> None:
    """Write down what was seen, and insist on it where it is known; `known`: the versions that have the fault."""
    version = stock.kamailio.line.version()
    if lost and back:
        observe("comes back")
    elif lost:
        observe("mark lost, takes no calls")
    else:
        observe("stays out" if version in KNOWN else "mended: stays out")
    assert lost or not back, "it takes calls though the module holds it for permanently disabled"
    if version in KNOWN:
        assert (lost, back) == (version in known, version in known), f"Kamailio {version}: {lost=}, {back=}"


@pytest.mark.situation(situations.TIMER, "stock")
def test_the_ping_timer_brings_a_disabled_node_back(stock: Stock, observe: Observe) -> None:
    """Kamailio issue 4247, on 6.0.1: `disabled: 1` is lost while it is down, and it is `active: 1` once it is up."""
    stock.nodes["rtp2"].stop()
    disable(stock)
    pass_timer_pings(stock)
    lost = not stock.is_permanent("rtp2")
    if lost:
        state = stock.native_state("rtp2")
        assert (state["disabled"], state["active"]) == (0, 0)
    stock.nodes["rtp2"].start()
    pass_timer_pings(stock)
    if not stock.has_ping_timer:
        observe("no timer")
    back = takes_calls_again(stock) if lost else takes_calls(stock)
    assert stock.is_active("rtp2") is back
    conclude(stock, observe, lost=lost, back=back, known=("6.0.1",))


@pytest.mark.situation(situations.PING, "stock")
def test_a_ping_by_hand_brings_a_disabled_node_back(stock: Stock, observe: Observe) -> None:
    """`rtpengine.ping all` while it is down: 5.6.3 (`1(permanent)` becomes `1`), 6.0.1, and 6.1.5 too."""
    stock.nodes["rtp2"].stop()
    disable(stock)
    stock.native("ping", "all")
    lost = not stock.is_permanent("rtp2")
    stock.nodes["rtp2"].start()
    back = takes_calls_again(stock) if lost else takes_calls(stock)
    conclude(stock, observe, lost=lost, back=back, known=KNOWN)


@pytest.mark.situation(situations.RELOAD, "stock")
def test_a_reload_forgets_a_disable(stock: Stock, observe: Observe) -> None:
    """`rtpengine.reload`: what the database says replaces what the operator said."""
    disable(stock)
    stock.native_reload()
    lost = not stock.is_permanent("rtp2")
    conclude(stock, observe, lost=lost, back=takes_calls(stock), known=KNOWN)


@pytest.mark.situation(situations.RESTART, "stock")
def test_a_restart_forgets_a_disable(stock: Stock, observe: Observe) -> None:
    disable(stock)
    stock.kamailio.restart()
    lost = not stock.is_permanent("rtp2")
    conclude(stock, observe, lost=lost, back=takes_calls(stock), known=KNOWN)


@pytest.mark.situation(situations.ENABLE, "stock")
def test_an_enable_by_hand_leaves_no_trace_of_the_disable(stock: Stock, observe: Observe) -> None:
    """That the node takes calls is what was asked for; that somebody else had a reason, nobody is told."""
    disable(stock)
    stock.native("enable", stock.nodes["rtp2"].url, 1)
    assert takes_calls(stock)
    observe("comes back")


@pytest.mark.situation(situations.DISABLE, "stock")
def test_a_disable_by_hand_twice_is_one(stock: Stock, observe: Observe) -> None:
    disable(stock)
    disable(stock)
    observe("stays out")


@pytest.mark.situation(situations.ALL_AT_ONCE, "stock")
def test_a_cron_job_and_an_operator_at_once_bring_a_disabled_node_back(stock: Stock, observe: Observe) -> None:
    """Pings, a node that comes and goes, `rtpengine.reload`: what test_drift.py does, but for the native enables."""
    load = stock.begin("plain", calls=None, rate=30, ring_ms=200, pause_ms=300)
    disable(stock)
    since = stock.mark()
    stock.nodes["rtp2"].stop()
    stock.native("ping", "all")
    stock.nodes["rtp2"].start()
    stock.native("ping", "all")
    stock.native_reload()
    back = True
    try:
        wait_until(lambda: stock.counts(since)["rtp2"]["offer"] > 0, "rtp2 takes calls")
    except TimedOutError:
        back = False
    load.finish()
    conclude(stock, observe, lost=not stock.is_permanent("rtp2"), back=back, known=KNOWN)
