"""The share of failed operations in the last minute."""

import pytest

from wsserver.observe.error_rate import LEAST, WINDOW, ErrorRate


def test_there_is_no_rate_without_enough_operations():
    rate = ErrorRate()
    assert rate.percent() is None
    rate.note(0, 0, 0)
    rate.note(1, LEAST - 1, LEAST - 1)
    assert rate.percent() is None
    rate.note(2, LEAST, LEAST - 1)
    assert rate.percent() == pytest.approx(98.0)


def test_what_was_before_the_window_does_not_count():
    rate = ErrorRate()
    for second in range(200):
        # Everything fails in the first hundred seconds, nothing after them.
        rate.note(second, 10 * second, 10 * min(second, 100))
        if second in (90, 100):
            assert rate.percent() == 100
        if second == 130:
            assert rate.percent() == pytest.approx(50)
        if second >= 100 + WINDOW:
            assert rate.percent() == 0
    assert len(rate._totals) <= WINDOW + 1


def test_the_totals_at_the_start_are_no_news():
    rate = ErrorRate()
    rate.note(0, 1_000_000, 900_000)
    assert rate.percent() is None
    rate.note(1, 1_000_100, 900_000)
    assert rate.percent() == 0


def test_more_failures_than_operations_are_all():
    rate = ErrorRate()
    rate.note(0, 0, 0)
    rate.note(1, 100, 150)
    assert rate.percent() == 100
