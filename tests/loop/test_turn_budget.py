"""Commands hold the loop for a few milliseconds of a turn, and whoever waits comes in order."""

import pytest
from hand_loop import HandLoop

from wsserver.loop.loop_port import LoopPort
from wsserver.loop.turn_budget import SECONDS, TurnBudget


class Desk:
    """Serves parties, each for as long as the test says."""

    def __init__(self) -> None:
        self.now = 0.0
        self.loop = HandLoop()
        port = LoopPort()
        port.bind(self.loop)
        self.served: list[str] = []
        self.budget = TurnBudget[str](port, self.go_on, clock=lambda: self.now)

    def ask(self, party: str, seconds: float = SECONDS / 2) -> None:
        if self.budget.is_spent:
            self.budget.wait(party)
        else:
            self.budget.charge(lambda: self.serve(party, seconds))

    def go_on(self, party: str) -> None:
        self.ask(party)

    def serve(self, party: str, seconds: float) -> None:
        self.now += seconds
        self.served.append(party)

    def turn(self) -> None:
        self.loop.turn()


def test_what_fits_into_a_turn_is_done_at_once() -> None:
    desk = Desk()
    desk.ask("a")
    desk.ask("b")
    assert desk.served == ["a", "b"]
    assert desk.budget.is_spent


def test_the_rest_waits_for_later_turns_and_keeps_its_order() -> None:
    desk = Desk()
    for party in "abcde":
        desk.ask(party)
    assert desk.served == ["a", "b"]
    assert len(desk.budget) == 3
    desk.turn()
    assert desk.served == ["a", "b", "c", "d"]
    desk.turn()
    assert desk.served == list("abcde")
    assert len(desk.budget) == 0


def test_a_new_turn_has_new_time_though_nobody_waits() -> None:
    desk = Desk()
    desk.ask("a", SECONDS)
    assert desk.budget.is_spent
    desk.turn()
    assert not desk.budget.is_spent


def test_work_that_fails_is_charged_all_the_same() -> None:
    desk = Desk()

    def fail() -> None:
        desk.now += SECONDS
        raise KeyError

    with pytest.raises(KeyError):
        desk.budget.charge(fail)
    assert desk.budget.is_spent


def test_a_budget_may_have_a_time_of_its_own() -> None:
    now = [0.0]
    budget = TurnBudget[str](LoopPort(), lambda _: None, seconds=0.5, clock=lambda: now[0])

    def work() -> None:
        now[0] += 0.25

    budget.charge(work)
    assert not budget.is_spent
    budget.charge(work)
    assert budget.is_spent
