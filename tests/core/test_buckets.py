"""Token buckets against an obvious twin, and what the twin does not say."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsserver_core.buckets import BYTES, KINDS, MESSAGES, SHARED_KINDS, SUBSCRIBES, Buckets, RateLimits


class Twin:
    """A bucket as a level in exact fractions: filled by time up to the burst, in debt down to minus that."""

    def __init__(self, rate: Fraction, burst: Fraction) -> None:
        self.rate, self.burst = rate, burst
        self.level = burst
        self.at = Fraction(0)

    def _fill(self, now: Fraction) -> None:
        self.level = min(self.burst, self.level + max(Fraction(0), now - self.at) * self.rate)
        self.at = now

    def spend(self, cost: Fraction, now: Fraction) -> Fraction:
        self._fill(now)
        cost = min(cost, self.burst)
        if cost > self.level:
            return (cost - self.level) / self.rate
        self.level -= cost
        return Fraction(0)

    def charge(self, cost: Fraction, now: Fraction) -> Fraction:
        self._fill(now)
        short = cost > self.level
        self.level = max(-self.burst, self.level - cost)
        return (self.burst / 2 - self.level) / self.rate if short else Fraction(0)


# Powers of two, so that the doubles of the core are exact as well and no tolerance hides a fault.
binary = st.integers(0, 6).map(lambda exponent: Fraction(2) ** exponent)
quarters = st.integers(0, 400).map(lambda number: Fraction(number, 4))
steps = st.lists(st.tuples(st.sampled_from(["spend", "charge"]), quarters, quarters), max_size=60)


@given(
    rate=binary,
    burst=st.integers(1, 300).map(lambda n: Fraction(n, 2)),
    steps=steps,
    start=st.integers(0, 2**20),
)
def test_it_does_what_a_level_of_tokens_does(
    rate: Fraction, burst: Fraction, steps: list[tuple[str, Fraction, Fraction]], start: int
) -> None:
    limits = RateLimits()
    limits.set(MESSAGES, float(rate), float(burst))
    buckets, twin = Buckets(), Twin(rate, burst)
    now = twin.at = Fraction(start)
    for call, cost, elapsed in steps:
        now += elapsed / 16
        expected = getattr(twin, call)(cost, now)
        assert getattr(limits, call)(buckets, MESSAGES, float(cost), float(now)) == expected
        assert limits.are_full(buckets, float(now)) == (twin.level == burst)


@given(st.floats(0.01, 1e6), st.integers(1, 10_000), st.floats(0, 1e8), st.integers(1, 300))
def test_whoever_waits_as_long_as_told_is_not_refused_again(
    rate: float, burst: int, start: float, rounds: int
) -> None:
    limits = RateLimits()
    limits.set(MESSAGES, rate, burst)
    buckets, now = Buckets(), start
    assert limits.spend(buckets, MESSAGES, burst, now) == 0
    for _ in range(rounds):
        wait = limits.spend(buckets, MESSAGES, 1.0, now)
        now += wait
        assert wait == 0 or limits.spend(buckets, MESSAGES, 1.0, now) == 0


@given(st.lists(st.floats(0, 2), min_size=1, max_size=200))
def test_in_no_stretch_of_time_does_more_pass_than_burst_and_rate_allow(gaps: list[float]) -> None:
    rate, burst = 5.0, 7
    limits = RateLimits()
    limits.set(MESSAGES, rate, burst)
    buckets, now, passed = Buckets(), 0.0, list[float]()
    for gap in gaps:
        now += gap
        if limits.spend(buckets, MESSAGES, 1.0, now) == 0:
            passed.append(now)
    for first in range(len(passed)):
        for last in range(first, len(passed)):
            assert last - first + 1 <= burst + rate * (passed[last] - passed[first]) + 1e-6


def test_a_new_bucket_is_full_at_any_time() -> None:
    limits = RateLimits()
    limits.set(MESSAGES, 1.0, 3.0)
    for now in (0.0, 1.0, 1e9):
        buckets = Buckets()
        assert [limits.spend(buckets, MESSAGES, 1.0, now) for _ in range(4)] == [0, 0, 0, 1]


def test_new_limits_limit_nothing_and_forget_everything() -> None:
    limits, buckets = RateLimits(), Buckets()
    assert [limits.spend(buckets, BYTES, 1e12, 0.0), limits.charge(buckets, BYTES, 1e12, 0.0)] == [0, 0]
    assert limits.are_full(buckets, 0.0)


def test_kinds_do_not_share_anything() -> None:
    limits = RateLimits()
    for kind in (MESSAGES, SUBSCRIBES):
        limits.set(kind, 1.0, 1.0)
    buckets = Buckets()
    assert [limits.spend(buckets, kind, 1.0, 0.0) for kind in (MESSAGES, SUBSCRIBES, MESSAGES)] == [0, 0, 1]


def test_a_raised_rate_shortens_old_debts_and_switching_off_ends_them() -> None:
    limits = RateLimits()
    limits.set(BYTES, 1.0, 1000.0)
    buckets = Buckets()
    limits.charge(buckets, BYTES, 2000.0, 0.0)
    limits.set(BYTES, 100.0, 100.0)
    assert limits.spend(buckets, BYTES, 100.0, 0.0) == 2.0, "a debt of one bucket at most"
    limits.set(BYTES, 0.0, 100.0)
    assert limits.spend(buckets, BYTES, 100.0, 0.0) == 0
    assert limits.are_full(buckets, 0.0)


def test_a_lowered_rate_counts_at_once() -> None:
    limits = RateLimits()
    limits.set(MESSAGES, 50.0, 200.0)
    buckets = Buckets()
    limits.set(MESSAGES, 1.0, 2.0)
    assert [limits.spend(buckets, MESSAGES, 1.0, 0.0) for _ in range(3)] == [0, 0, 1]


@pytest.mark.parametrize(
    ("kind", "rate", "burst"),
    [
        (-1, 1.0, 1.0), (KINDS, 1.0, 1.0), (MESSAGES, -1.0, 1.0), (MESSAGES, 1.0, 0.0),
        (MESSAGES, float("nan"), 1.0), (MESSAGES, float("inf"), 1.0), (MESSAGES, 1.0, float("nan")),
    ],
)  # fmt: skip
def test_limits_that_are_none_are_refused(kind: int, rate: float, burst: float) -> None:
    with pytest.raises(ValueError, match="no such"):
        RateLimits().set(kind, rate, burst)


def test_unknown_kinds_are_refused() -> None:
    limits = RateLimits()
    for take in (limits.spend, limits.charge):
        for kind in (-1, SHARED_KINDS):
            with pytest.raises(ValueError, match="no such kind"):
                take(Buckets(), kind, 1.0, 0.0)
