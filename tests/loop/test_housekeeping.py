"""The one timer and its chores."""

import logging

import pytest
from fake_clock import FakeClock
from hand_loop import HandLoop

from wsserver.loop.housekeeping import TICK, Housekeeping


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def housekeeping(clock: FakeClock) -> Housekeeping:
    return Housekeeping(clock)


def test_a_chore_is_done_at_its_interval_and_one_without_at_every_tick(
    clock: FakeClock, housekeeping: Housekeeping
) -> None:
    done = {"always": 0, "hourly": 0}
    housekeeping.every(0, lambda: done.update(always=done["always"] + 1))
    housekeeping.every(3600, lambda: done.update(hourly=done["hourly"] + 1))
    for _ in range(4):
        clock.advance(900)
        housekeeping.tick()
    assert done == {"always": 4, "hourly": 1}
    clock.advance(3599)
    housekeeping.tick()
    assert done["hourly"] == 1
    clock.advance(1)
    housekeeping.tick()
    assert done["hourly"] == 2


def test_an_interval_may_change_meanwhile(clock: FakeClock, housekeeping: Housekeeping) -> None:
    seconds = [100.0]
    done = []
    housekeeping.every(lambda: seconds[0], lambda: done.append(clock.monotonic()))
    clock.advance(50)
    housekeeping.tick()
    seconds[0] = 50.0
    housekeeping.tick()
    assert len(done) == 1


def test_a_chore_that_fails_is_logged_and_holds_up_neither_others_nor_itself(
    clock: FakeClock, housekeeping: Housekeeping, caplog: pytest.LogCaptureFixture
) -> None:
    done = []

    def fail() -> None:
        done.append("failed")
        raise KeyError

    housekeeping.every(0, fail)
    housekeeping.every(0, lambda: done.append("next"))
    with caplog.at_level(logging.ERROR):
        housekeeping.tick()
        housekeeping.tick()
    assert done == ["failed", "next"] * 2
    assert len(caplog.records) == 2


def test_it_ticks_until_it_is_stopped(housekeeping: Housekeeping) -> None:
    loop = HandLoop()
    done = []
    housekeeping.every(0, lambda: done.append(1))
    housekeeping.start(loop)
    for _ in range(3):
        ((delay, turn),) = loop.later
        assert delay == TICK
        loop.later.clear()
        turn()
    assert len(done) == 3
    housekeeping.stop()
    assert loop.later == []
    housekeeping.stop()


def test_after_a_stall_the_loop_reads_first_and_then_deadlines_are_looked_at(
    clock: FakeClock, housekeeping: Housekeeping
) -> None:
    loop, done = HandLoop(), []
    housekeeping.every(0, lambda: done.append(clock.monotonic()))
    began = clock.monotonic()

    def turn(seconds: float) -> None:
        clock.advance(seconds)
        ((delay, callback),), loop.later = loop.later, []
        assert delay == TICK
        callback()

    housekeeping.start(loop)
    turn(2 * TICK)
    turn(60.0)
    assert [moment - began for moment in done] == [0.5]
    turn(TICK)
    assert [moment - began for moment in done] == [0.5, 60.75]


def test_a_loop_that_is_late_all_the_time_leaves_out_one_tick(
    clock: FakeClock, housekeeping: Housekeeping
) -> None:
    loop, done = HandLoop(), []
    housekeeping.every(0, lambda: done.append(1))
    housekeeping.start(loop)
    for _ in range(10):
        clock.advance(1.0)
        ((_, callback),), loop.later = loop.later, []
        callback()
    assert len(done) == 9
