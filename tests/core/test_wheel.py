"""The timing wheel against a twin: a dictionary that is looked through at every tick."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from wsserver_core.wheel import Wheel

ROUND = 1024


@pytest.fixture
def wheel() -> Wheel:
    return Wheel()


def turn_until_due(wheel: Wheel) -> list[int]:
    while True:
        wheel.turn()
        if found := wheel.due():
            return found


def test_a_number_is_due_once_at_its_tick(wheel: Wheel) -> None:
    wheel.put(7, 3)
    assert turn_until_due(wheel) == [7]
    assert (wheel.tick, wheel.count) == (3, 0)
    for _ in range(2 * ROUND):
        wheel.turn()
        assert wheel.due() == []


@pytest.mark.parametrize("due", [1, ROUND - 1, ROUND, ROUND + 1, 5 * ROUND + 3])
def test_more_than_a_round_ahead_is_passed_over(wheel: Wheel, due: int) -> None:
    wheel.put(0, due)
    assert turn_until_due(wheel) == [0]
    assert wheel.tick == due


def test_what_should_have_been_is_due_at_the_next_tick(wheel: Wheel) -> None:
    for _ in range(10):
        wheel.turn()
    wheel.put(1, 0)
    wheel.put(2, 10)
    wheel.turn()
    assert sorted(wheel.due()) == [1, 2]


def test_the_last_turn_that_was_given_counts(wheel: Wheel) -> None:
    wheel.put(1, 5)
    wheel.put(1, 2)
    assert wheel.count == 1
    assert turn_until_due(wheel) == [1]
    assert wheel.tick == 2


def test_what_is_not_taken_at_its_tick_is_due_at_a_later_one(wheel: Wheel) -> None:
    wheel.put(1, 1)
    for _ in range(3):
        wheel.turn()
    assert wheel.due() == [1]


def test_what_is_not_there_cannot_be_removed(wheel: Wheel) -> None:
    assert not wheel.remove(0)
    wheel.put(90, 1)
    assert not wheel.remove(89)
    assert not wheel.remove(5000)
    assert wheel.remove(90)
    assert not wheel.remove(90)
    wheel.turn()
    assert wheel.due() == []


class WheelAgainstItsTwin(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.wheel = Wheel()
        self.twin: dict[int, int] = {}
        self.tick = 0

    @rule(index=st.integers(0, 40) | st.integers(0, 300), ahead=st.integers(0, 8) | st.integers(0, 3 * ROUND))
    def put(self, index: int, ahead: int) -> None:
        self.wheel.put(index, self.tick + ahead)
        self.twin[index] = max(self.tick + ahead, self.tick + 1)

    @rule(index=st.integers(0, 40))
    def remove(self, index: int) -> None:
        assert self.wheel.remove(index) == (self.twin.pop(index, None) is not None)

    @rule(ticks=st.integers(1, 10) | st.integers(1, 2 * ROUND), taken=st.booleans())
    def turn(self, ticks: int, taken: bool) -> None:
        for _ in range(ticks):
            self.wheel.turn()
            self.tick += 1
            if taken:
                self.take()
        self.take()

    def take(self) -> None:
        due = [index for index, tick in self.twin.items() if tick <= self.tick]
        assert sorted(self.wheel.due()) == sorted(due)
        for index in due:
            del self.twin[index]
        assert (self.wheel.tick, self.wheel.count) == (self.tick, len(self.twin))


WheelAgainstItsTwin.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestWheelAgainstItsTwin = WheelAgainstItsTwin.TestCase
