"""The layout of closes and returns: never over the rate, never over the time."""

from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsserver.connections.return_schedule import CLOSES_PER_SECOND, LINGER, PAUSE, STEP, ReturnSchedule

counts = st.integers(0, 3000)
rates = st.floats(0.5, 5000)
windows = st.one_of(st.just(0.0), st.floats(0.001, 60))
restart_times = st.one_of(st.none(), st.floats(0, 30))
spans = st.floats(0.001, 30)


def schedule_of(
    count: int, rate: float = 500.0, window: float = 20.0, restart_time: float | None = None
) -> ReturnSchedule:
    return ReturnSchedule(count, rate=rate, window=window, restart_time=restart_time)


def most_within(moments: list[float], span: float) -> int:
    """The most of these ordered moments that any half-open window so long holds."""
    return max((bisect_left(moments, start + span) - place for place, start in enumerate(moments)), default=0)


@given(counts, rates, windows, restart_times, spans)
def test_no_window_ever_sees_more_returns_than_the_rate_allows(
    count: int, rate: float, window: float, restart_time: float | None, span: float
) -> None:
    schedule = schedule_of(count, rate, window, restart_time)
    # As a client sees it: closed, then so many whole milliseconds.
    back = [schedule.closes_after(place) + schedule.away_ms(place) / 1000 for place in range(count)]
    # One that begins the window, and one for the rounding to milliseconds at each end.
    assert most_within(sorted(back), span) <= rate * (span + 0.002) + 1


@given(counts, rates, windows, restart_times)
def test_all_are_closed_within_the_window_in_order_and_come_back_after_that(
    count: int, rate: float, window: float, restart_time: float | None
) -> None:
    schedule = schedule_of(count, rate, window, restart_time)
    closes = [schedule.closes_after(place) for place in range(count)]
    assert closes == sorted(closes)
    assert not closes or closes[0] == 0
    assert not closes or closes[-1] == pytest.approx(schedule.closing_time)
    assert schedule.closing_time <= window
    for place in range(count):
        assert schedule.away_ms(place) >= PAUSE * 1000 if restart_time is None else LINGER * 1000
    if restart_time is not None:
        assert schedule.first_return >= schedule.closing_time + LINGER + restart_time


@given(st.integers(1, 3000), st.floats(1, 5000), st.floats(1, 60), restart_times)
def test_closes_come_no_faster_than_they_must(
    count: int, rate: float, window: float, restart_time: float | None
) -> None:
    schedule = schedule_of(count, rate, window, restart_time)
    pace = max(rate if restart_time is None else CLOSES_PER_SECOND, count / window)
    assert schedule.portion <= pace * STEP + 1
    assert schedule.step >= STEP


def test_where_others_take_them_each_is_away_for_a_moment_only() -> None:
    schedule = schedule_of(5000, rate=500)
    assert schedule.closing_time == pytest.approx(9.9)
    assert schedule.portion == 50
    for place in range(5000):
        assert PAUSE * 1000 <= schedule.away_ms(place) <= (PAUSE + STEP) * 1000


def test_too_many_for_the_time_leave_faster_than_they_return_and_wait_outside() -> None:
    schedule = schedule_of(10_000, rate=100, window=10)
    assert schedule.closing_time <= 10
    assert schedule.away_ms(9_999) == pytest.approx(90_000, abs=500)


def test_before_a_restart_all_leave_at_once_and_return_when_the_successor_is_there() -> None:
    schedule = schedule_of(10_000, rate=500, restart_time=2.0)
    assert schedule.closing_time == pytest.approx(2.4)
    assert schedule.away_ms(0) == pytest.approx((2.4 + LINGER + 2) * 1000, abs=1)
    assert schedule.away_ms(9_999) == pytest.approx((LINGER + 2 + 9_999 / 500) * 1000, abs=1)


def test_without_time_all_are_closed_at_once_and_still_return_one_by_one() -> None:
    schedule = schedule_of(1000, window=0)
    assert schedule.closing_time == 0
    assert [schedule.closes_after(place) for place in (0, 999)] == [0, 0]
    assert schedule.away_ms(999) == pytest.approx(PAUSE * 1000 + 1998, abs=1)


def test_nobody_at_all_needs_no_time() -> None:
    assert schedule_of(0).closing_time == 0
