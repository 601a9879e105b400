"""Durations and times as people write them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kemi_rtp.model.times import format_timestamp, parse_duration, parse_timestamp, utc_now
from tests.unit.strategies import modest, moments

NOON = datetime(2026, 6, 15, 12, 0, tzinfo=UTC)


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The machine's local time is that of Berlin: UTC+1, in summer UTC+2, without needing a time zone database."""
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("250ms", 0.25),
        ("30s", 30),
        ("45m", 2700),
        ("2h", 7200),
        ("3d", 259200),
        ("1w", 604800),
        ("1h30m", 5400),
        (" 1h 30m ", 5400),
        ("2H", 7200),
        ("1.5h", 5400),
        ("90", 90),
        ("0.5", 0.5),
    ],
)
def test_a_duration_is_numbers_with_units_and_a_bare_number_is_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["", " ", "h", "2 hours", "1h30", "-5m", "1h-5m", "2y", "1:30", "5,5s", "nan", "inf", "1e3"]
)
def test_anything_else_is_no_duration_and_the_message_names_it_and_a_valid_one(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration such as 250ms, 30s") as caught:
        parse_duration(text)
    assert repr(text.strip()) in str(caught.value)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-22T18:30:00Z", datetime(2026, 11, 22, 18, 30, tzinfo=UTC)),
        ("2026-11-22T18:30:00+01:00", datetime(2026, 11, 22, 17, 30, tzinfo=UTC)),
        ("2026-11-22T18:30:00.999Z", datetime(2026, 11, 22, 18, 30, tzinfo=UTC)),
        ("2026-11-22T18:30", datetime(2026, 11, 22, 17, 30, tzinfo=UTC)),
        ("2026-06-22 18:30", datetime(2026, 6, 22, 16, 30, tzinfo=UTC)),
        ("18:30", datetime(2026, 6, 15, 16, 30, tzinfo=UTC)),
        ("18:30:15", datetime(2026, 6, 15, 16, 30, 15, tzinfo=UTC)),
    ],
)
@pytest.mark.usefixtures("berlin")
def test_a_time_without_a_zone_is_local_and_every_time_is_returned_in_utc(text: str, moment: datetime) -> None:
    parsed = parse_timestamp(text, NOON)
    assert parsed == moment
    assert parsed.utcoffset() == timedelta(0)


@pytest.mark.parametrize(("text", "day"), [("13:59", 16), ("14:00", 16), ("14:01", 15), ("9:05", 16)])
@pytest.mark.usefixtures("berlin")
def test_a_time_of_day_is_the_next_such_time_and_never_now(text: str, day: int) -> None:
    """At noon UTC it is 14:00 in Berlin's summer."""
    moment = parse_timestamp(text, NOON)
    assert moment > NOON
    assert moment.astimezone().day == day


@pytest.mark.usefixtures("berlin")
def test_a_time_of_day_means_the_clock_on_the_wall_also_over_the_end_of_summer_time() -> None:
    """The clocks go back in the night of 25 October 2026: 18:30 is 17:30 UTC then; an hour early frees a node early."""
    saturday_evening = datetime(2026, 10, 24, 18, 0, tzinfo=UTC)
    assert parse_timestamp("18:30", saturday_evening) == datetime(2026, 10, 25, 17, 30, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "soon", "25:00", "12:60", "2026-13-01T00:00:00Z", "18", "1:2:3:4", "9999-99-99"])
def test_anything_else_is_no_time_and_the_message_names_it_and_a_valid_one(text: str) -> None:
    with pytest.raises(ValueError, match="is not a time such as 2026-11-22T18:30:00Z") as caught:
        parse_timestamp(text, NOON)
    assert repr(text) in str(caught.value)


@given(moments)
@modest(50)
def test_a_written_time_reads_back_as_the_same_second(moment: datetime) -> None:
    assert parse_timestamp(format_timestamp(moment), NOON) == moment


@given(st.datetimes(timezones=st.just(UTC)))
@modest(50)
def test_a_time_of_any_year_reads_back(moment: datetime) -> None:
    """A year with a digit missing, 0206, is a valid time by hand; what is written then must stay readable."""
    moment = moment.replace(microsecond=0)
    assert datetime.fromisoformat(format_timestamp(moment)) == moment


def fault_of(parse: Callable[[str], object], text: str) -> str | None:
    try:
        parse(text)
    except ValueError as error:
        return str(error)
    return None


@given(st.text(max_size=30))
@modest(100)
def test_no_text_raises_anything_but_a_value_error_that_shows_it(text: str) -> None:
    for parse, shown in (
        (parse_duration, text.strip().lower()),
        (lambda text: parse_timestamp(text, NOON), text.strip()),
    ):
        told = fault_of(parse, text)
        assert told is None or told.startswith(repr(shown))


@pytest.mark.usefixtures("berlin")
def test_a_written_time_is_in_utc_wherever_the_machine_stands() -> None:
    assert format_timestamp(NOON) == format_timestamp(NOON.astimezone()) == "2026-06-15T12:00:00Z"


def test_now_is_in_utc_to_the_second() -> None:
    now = utc_now()
    assert now.utcoffset() == timedelta(0)
    assert now.microsecond == 0
