"""The search for the load at which a ward breaks, on wards that are made up."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from benchmarks.ward.break_point import Step

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def benchmarks_can_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))


def search(measure: Callable[[float], "Step"]) -> list["Step"]:
    from benchmarks.ward.break_point import next_load

    steps: list[Step] = []
    while (load := next_load(steps)) is not None:
        assert len(steps) < 20
        steps.append(measure(load))
    return steps


def queue(capacity: float) -> Callable[[float], "Step"]:
    """A ward whose latency goes up as a queue's does, and that breaks at its capacity."""
    from benchmarks.ward.break_point import Step

    def measure(load: float) -> Step:
        share = min(1.0, load / capacity)
        late = load >= capacity
        return Step(
            load,
            p99_ms=5 / (1 - share) if share < 1 else 2_000,
            server_share=share,
            loop_lag_ms=700 if late else 20,
            unpublished=4_000 if late else 0,
            first={"late": 1.5, "busy": 0.6} if late else {},
        )

    return measure


def test_it_climbs_until_one_breaks_and_then_looks_between() -> None:
    from benchmarks.ward.break_point import first_broken, highest_held

    steps = search(queue(1.2))
    assert [step.load for step in steps] == [0.1, 0.2, 0.35, 0.5, 0.7, 1.0, 1.4, 1.183, 1.088]
    held, broken = highest_held(steps), first_broken(steps)
    assert held is not None
    assert broken is not None
    assert (held.load, broken.load) == (1.088, 1.183)


def test_a_ward_that_never_breaks_ends_with_the_ladder() -> None:
    from benchmarks.ward.break_point import LADDER, first_broken, highest_held, verdict

    steps = search(queue(1_000))
    assert [step.load for step in steps] == list(LADDER)
    assert highest_held(steps) is steps[-1]
    assert first_broken(steps) is None
    assert verdict(steps) == "Nothing broke up to a load of 4."


def test_a_ward_that_breaks_at_once_has_no_load_that_holds() -> None:
    from benchmarks.ward.break_point import highest_held

    steps = search(queue(0.05))
    assert [step.load for step in steps] == [0.1]
    assert highest_held(steps) is None


def test_what_holds_above_a_break_does_not_count() -> None:
    from benchmarks.ward.break_point import Step, highest_held

    steps = [Step(0.5, 10), Step(1.0, 200), Step(0.707, 300), Step(0.8, 20)]
    held = highest_held(steps)
    assert held is not None
    assert held.load == 0.5


def test_the_verdict_names_what_was_seen_first() -> None:
    from benchmarks.ward.break_point import verdict

    assert verdict(search(queue(1.2))[:7]) == (
        "At a load of 1.4 there were p99 of 2,000 ms, 4,000 messages never published: first the server's "
        "processor was used up (0.6 s into it), then the backend in the server's loop published 100 ms late "
        "(1.5 s into it); server 100% busy, its loop up to 700 ms late."
    )


@pytest.mark.parametrize(
    ("measured", "said"),
    [
        ({"p99_ms": 101, "client_share": 0.96}, "the load client was 96% busy"),
        ({"p99_ms": 10, "alert_p99_ms": 101}, "there were p99 of alerts of 101 ms"),
        ({"p99_ms": 10, "lost": 3}, "3 messages lost by viewers who read"),
        ({"p99_ms": 10, "closed": 2}, "2 viewers who read were closed"),
        ({"p99_ms": 10, "refused": 9, "first": {"refusing": 2.0}}, "first publishers were refused (1005)"),
        ({"p99_ms": 10, "overloaded": True}, "an overload"),
        ({"p99_ms": 10, "faults": 1}, "1 messages twice, out of order or to the wrong viewer"),
        ({"p99_ms": 10, "churn_asked": 100, "churn_done": 89}, "only 89 of 100 viewers exchanged"),
        ({"p99_ms": 150, "server_share": 0.93}, "processor was used up (93% on the average)"),
        (
            {"p99_ms": 150, "server_share": 0.5, "first": {"closing_slow": 0.1}},
            "neither processor, queues nor door gave way; server 50% busy",
        ),
        (
            {"p99_ms": 150, "server_share": 0.5, "collection_ms": 140, "first": {"late": 0.2}},
            "the garbage collector held the loop for 140 ms at a time; server 50% busy",
        ),
        ({"p99_ms": 150, "server_share": 0.5, "waited_share": 0.4}, "the machine was not quiet"),
    ],
)
def test_each_way_to_break_is_said(measured: dict[str, object], said: str) -> None:
    from benchmarks.ward.break_point import Step, verdict

    step = Step(1.0, **measured)
    assert not step.holds
    assert said in verdict([Step(0.7, 20), step])


@pytest.mark.parametrize(("asked", "done"), [(0, 0), (1, 0), (5, 4), (100, 90), (100, 100)])
def test_viewers_may_be_on_their_way_at_the_end(asked: int, done: int) -> None:
    from benchmarks.ward.break_point import Step

    assert Step(1.0, 10, churn_asked=asked, churn_done=done).holds


def test_a_load_that_holds_has_nothing_to_say() -> None:
    from benchmarks.ward.break_point import Step

    step = Step(1.0, 100.0, server_share=0.99, client_share=0.94, first={"closing_slow": 0.5, "busy": 1.0})
    assert step.holds
    assert not list(step.failures())
