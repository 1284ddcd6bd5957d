"""How long a publisher goes on trying."""

import random

from hand_clock import HandClock

from wsserver.client.retry_plan import RetryPlan


def test_waits_grow_and_end_with_patience() -> None:
    clock = HandClock()
    plan = RetryPlan(30.0, clock.monotonic, lambda: 1.0)
    waits = []
    while (wait := plan.wait(None)) is not None:
        waits.append(round(wait, 3))
        clock.now += wait
    assert waits == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0, 5.0]


def test_the_server_s_word_is_the_least_and_never_longer_than_patience() -> None:
    clock = HandClock()
    plan = RetryPlan(30.0, clock.monotonic, lambda: 0.0)
    assert plan.wait(7.0) == 7.0
    assert plan.wait(31.0) is None


def test_no_patience_is_one_attempt() -> None:
    assert RetryPlan(0.0, HandClock().monotonic, lambda: 0.0).wait(None) is None


def test_many_do_not_come_back_together() -> None:
    dice = random.Random(1)
    waits = {RetryPlan(30.0, HandClock().monotonic, dice.random).wait(None) for _ in range(100)}
    assert len(waits) == 100
    assert all(0.05 <= wait <= 0.1 for wait in waits if wait is not None)
