"""The lag of a loop, with clock and loop moved by hand; once with a real one."""

import asyncio
import time

import pytest
from fake_clock import FakeClock
from hand_loop import HandLoop

from wsserver.clock import SystemClock
from wsserver.observe.loop_lag import INTERVAL, WINDOW, LoopLag


class Measured:
    def __init__(self) -> None:
        self.clock, self.loop = FakeClock(), HandLoop()
        self.lag = LoopLag(self.clock)
        self.lag.start(self.loop)

    def turn(self, late: float = 0.0) -> None:
        """Let the timer fire, so much later than it was due."""
        self.clock.advance(INTERVAL + late)
        ((_, callback),) = self.loop.later
        self.loop.later.clear()
        callback()


@pytest.fixture
def measured() -> Measured:
    return Measured()


def test_a_loop_in_time_has_no_lag(measured):
    for _ in range(20):
        measured.turn()
    assert measured.lag.worst() == pytest.approx(0, abs=1e-9)
    assert measured.lag.average == pytest.approx(0, abs=1e-9)


def test_a_stall_is_remembered_for_the_window(measured):
    measured.turn(late=2.0)
    assert measured.lag.worst() == pytest.approx(2.0)
    for _ in range(round(WINDOW / INTERVAL)):
        measured.turn()
        assert measured.lag.worst() == pytest.approx(2.0)
    measured.turn()
    assert measured.lag.worst() == pytest.approx(0, abs=1e-9)


def test_the_worst_of_several_counts(measured):
    for late in (0.1, 0.5, 0.2, 0.3):
        measured.turn(late)
    assert measured.lag.worst() == pytest.approx(0.5)
    for _ in range(45):
        measured.turn()
    # The half second has left the window, what came after it has not.
    assert measured.lag.worst() == pytest.approx(0.3)


def test_the_worst_since_a_moment_leaves_out_what_was_before(measured):
    measured.turn(late=0.5)
    moment = measured.clock.monotonic()
    assert measured.lag.worst_since(moment) == pytest.approx(0, abs=1e-9)
    measured.turn(late=0.1)
    measured.turn(late=0.2)
    measured.turn(late=0.1)
    assert measured.lag.worst_since(moment) == pytest.approx(0.2)
    assert measured.lag.worst_since(moment - 1e-6) == pytest.approx(0.5)
    measured.clock.advance(INTERVAL + 3.0)
    assert measured.lag.worst_since(moment) == pytest.approx(3.0)


def test_a_stall_that_is_still_going_on_counts_already(measured):
    measured.turn()
    measured.clock.advance(INTERVAL + 1.5)
    assert measured.lag.worst() == pytest.approx(1.5)
    assert measured.lag.take() == pytest.approx(1.5)


def test_taking_begins_anew(measured):
    measured.turn(late=0.7)
    measured.turn()
    assert measured.lag.take() == pytest.approx(0.7)
    assert measured.lag.take() == pytest.approx(0, abs=1e-9)


def test_what_is_kept_is_bounded(measured):
    for number in range(1000):
        measured.turn(late=0.001 * (1000 - number))
    assert len(measured.lag._recent) <= WINDOW / INTERVAL + 1


def test_the_average_follows_slowly(measured):
    for _ in range(50):
        measured.turn(late=0.2)
    assert measured.lag.average == pytest.approx(0.2, rel=0.02)


def test_it_stops_and_forgets(measured):
    measured.turn(late=1.0)
    measured.lag.stop()
    measured.clock.advance(10)
    assert measured.lag.worst() == measured.lag.take() == measured.lag.average == 0
    assert measured.loop.later == []


async def test_a_blocked_loop_is_noticed_by_whoever_comes_next():
    lag = LoopLag(SystemClock())
    lag.start(asyncio.get_running_loop())
    time.sleep(INTERVAL + 0.15)  # the fault that is looked for
    assert lag.worst() >= 0.15
    lag.stop()
