"""Repeated lines: the first ones are written, the others are counted, and the count is told."""

import logging

import pytest
from fake_clock import FakeClock
from hypothesis import given
from hypothesis import strategies as st

from wsserver.load.repeat_limit import ERRORS, MAX_PLACES, WARNINGS, WINDOW, RepeatLimit


def record(line: int = 1, level: int = logging.WARNING) -> logging.LogRecord:
    text = "a client of %s failed"
    return logging.LogRecord("wsserver.test", level, "/here.py", line, text, ("values",), None)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def limit(clock: FakeClock) -> RepeatLimit:
    return RepeatLimit(clock)


def written(limit: RepeatLimit, count: int, **what: int) -> int:
    return sum(limit.admits(record(**what)) for _ in range(count))


def test_the_first_of_a_place_pass_and_the_rest_is_told_as_a_number(
    clock: FakeClock, limit: RepeatLimit
) -> None:
    assert written(limit, 10_000) == WARNINGS
    assert limit.due() == []
    clock.advance(WINDOW)
    (told,) = limit.due()
    assert told.getMessage() == "held back, more of: a client of %s failed"
    assert (told.name, told.levelno) == ("wsserver.test", logging.WARNING)
    assert vars(told)["lines"] == 10_000 - WARNINGS
    assert vars(told)["seconds"] == WINDOW
    assert limit.due() == []


def test_after_the_window_the_place_may_speak_again(clock: FakeClock, limit: RepeatLimit) -> None:
    assert written(limit, 100) == WARNINGS
    clock.advance(WINDOW)
    limit.due()
    assert written(limit, 100) == WARNINGS


def test_what_is_rare_is_never_held_back_and_nothing_is_told_of_it(
    clock: FakeClock, limit: RepeatLimit
) -> None:
    for _ in range(100):
        assert limit.admits(record())
        clock.advance(WINDOW / WARNINGS + 0.1)
        assert limit.due() == []
    assert len(limit) <= 1


def test_places_do_not_count_against_each_other(limit: RepeatLimit) -> None:
    assert written(limit, 1000, line=1) == WARNINGS
    assert written(limit, 1, line=2) == 1


def test_errors_may_be_more_for_each_may_be_an_incident(limit: RepeatLimit) -> None:
    assert written(limit, 1000, level=logging.ERROR) == ERRORS
    assert written(limit, 1000, level=logging.CRITICAL, line=2) == ERRORS


@pytest.mark.parametrize("level", [logging.DEBUG, logging.INFO])
def test_below_a_warning_nothing_is_held_back_or_remembered(limit: RepeatLimit, level: int) -> None:
    assert written(limit, 1000, level=level) == 1000
    assert len(limit) == 0


def test_its_memory_is_bounded_and_a_forgotten_count_is_told(limit: RepeatLimit) -> None:
    written(limit, WARNINGS + 3, line=0)
    told = []
    for line in range(1, 3 * MAX_PLACES):
        limit.admits(record(line=line))
        told += limit.due()
        assert len(limit) <= MAX_PLACES
    assert [vars(one)["lines"] for one in told] == [3]


def test_values_are_not_kept(limit: RepeatLimit) -> None:
    large = record()
    large.args = ("x" * 1000,)
    written(limit, WARNINGS)
    limit.admits(large)
    (told,) = limit.due(everything=True)
    assert told.args is None or not told.args
    assert "x" * 10 not in told.getMessage()


@given(
    st.lists(st.tuples(st.floats(0, 2 * WINDOW), st.integers(0, 3), st.booleans()), max_size=200),
)
def test_every_line_is_written_or_told_and_written_lines_are_bounded(
    steps: list[tuple[float, int, bool]],
) -> None:
    clock = FakeClock()
    limit = RepeatLimit(clock)
    passed: list[tuple[float, int]] = []
    told = 0
    for pause, line, many in steps:
        clock.advance(pause)
        told += sum(vars(one)["lines"] for one in limit.due())
        passing = sum(limit.admits(record(line=line)) for _ in range(30 if many else 1))
        passed += [(clock.monotonic(), line)] * passing
    told += sum(vars(one)["lines"] for one in limit.due(everything=True))
    assert len(passed) + told == sum(30 if many else 1 for _, _, many in steps)
    # A span as long as a window touches two of them at most.
    for moment, line in passed:
        assert sum(moment <= other < moment + WINDOW for other, its in passed if its == line) <= 2 * WARNINGS
