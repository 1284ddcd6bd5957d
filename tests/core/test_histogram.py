"""Durations counted by size, held against counting them one by one."""

from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsserver_core.histogram import Histogram

BOUNDS = [float(f"{digit}e{power}") for power in range(-5, 1) for digit in (1, 2, 5)] + [10.0, inf]


def noted(durations: list[float]) -> Histogram:
    times = Histogram()
    for duration in durations:
        times.note(duration)
    return times


@given(st.lists(st.floats(0, 20) | st.sampled_from(BOUNDS[:-1])))
def test_each_bound_has_what_took_no_longer(durations: list[float]) -> None:
    times = noted(durations)
    assert times.figures() == [(bound, sum(one <= bound for one in durations)) for bound in BOUNDS]
    assert times.total == pytest.approx(sum(durations))


def test_the_thresholds_of_latency_are_bounds() -> None:
    assert {0.2, 0.5} < set(BOUNDS)
    assert dict(noted([0.2, 0.2000001, 0.5, 0.6]).figures())[0.2] == 1


@pytest.mark.parametrize("duration", [-1.0, -inf, nan])
def test_what_cannot_be_counts_as_nothing(duration: float) -> None:
    times = noted([duration, 3.0])
    assert times.total == 3.0
    assert times.figures()[0] == (1e-5, 1)


def test_what_takes_for_ever_is_under_the_last_bound_only() -> None:
    times = noted([11.0])
    assert [count for _, count in times.figures()] == [0] * (len(BOUNDS) - 1) + [1]
