"""The ward's people are who they are said to be, and its monitors say what the plan knows of."""

import asyncio
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from wsserver.errors import BACKPRESSURE, ServerError
from wsserver.filter_engine import FilterEngine
from wsserver.settings import Settings

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def benchmarks_can_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))


def test_a_seed_draws_the_same_people_again() -> None:
    from benchmarks.ward.population import populate

    assert populate(50, 300, seed=4) == populate(50, 300, seed=4)
    assert populate(50, 300, seed=4) != populate(50, 300, seed=5)


def test_the_ward_has_the_people_that_it_is_said_to_have() -> None:
    from benchmarks.ward.population import populate

    people = populate(500, 5_000)
    assert people.present == 5_000
    assert [one.number for one in people.viewers] == list(range(5_100))
    assert (people.count(place="coming and going"), people.count(place="waiting")) == (500, 100)
    assert (people.count(slow="stops"), people.count(slow="crawls")) == (25, 25)
    assert (people.count(view="unit"), people.count(view="house")) == (20, 5)
    assert 0.37 < people.count(binary=True) / 5_100 < 0.43


def test_most_lists_are_short_and_some_are_long() -> None:
    from benchmarks.ward.population import populate

    lists = [one.patients for one in populate(500, 5_000).viewers if one.view == "list"]
    sizes = Counter(map(len, lists))
    assert (min(sizes), max(sizes)) == (1, 20)
    assert sizes[1] > 4 * sizes[8] > 4 * sizes[20] > 0
    assert all(list(one) == sorted(set(one)) for one in lists)
    # 0.1 roam through the house; the others stay in a unit.
    assert 0.85 < sum(one[0] // 25 == one[-1] // 25 for one in lists) / len(lists) < 0.96


def test_slow_viewers_are_some_who_have_much_to_read() -> None:
    from benchmarks.ward.monitors import NO_FILTER
    from benchmarks.ward.population import populate

    for one in populate(500, 5_000).viewers:
        assert not one.slow or (one.filter == NO_FILTER and len(one.patients) >= 10)


def test_a_small_ward_has_somebody_of_each_sort_that_matters() -> None:
    from benchmarks.ward.population import populate

    people = populate(5, 20)
    assert people.present == 20
    assert people.count(view="house") == people.count(view="unit") == 1
    assert people.count(place="waiting") == people.count(slow="stops") == 1


def test_a_monitor_says_five_chunks_and_its_vitals_each_second() -> None:
    from benchmarks.ward.monitors import CYCLE, FIRST_OF_SECOND, SECONDS

    kinds = Counter(say.kind for say in CYCLE)
    assert kinds == {"ecg": 5 * SECONDS, "vitals": SECONDS, "alert": 2}
    assert all(len(say.body["data"]) == 50 for say in CYCLE if say.kind == "ecg")
    assert all(CYCLE[first + 1].kind == "vitals" for first in FIRST_OF_SECOND)


def test_what_the_plan_says_of_a_filter_is_what_the_server_makes_of_it() -> None:
    from benchmarks.ward.monitors import CYCLE, FILTERS

    engine = FilterEngine(Settings().filter)
    messages = [engine.published(dict(say.body)) for say in CYCLE]
    for one in FILTERS:
        filters = dict(one.filters)
        theirs = "".join("01"[engine.matches(message.body, filters, message.derived)] for message in messages)
        assert theirs == one.bits, one.name
        assert "1" in one.bits


class Door:
    """Takes messages and keeps when each came; refuses those that it is told to."""

    def __init__(self, refused: int = 0) -> None:
        self.taken: list[tuple[str, dict[str, Any], int]] = []
        self.refused = refused

    def broadcast_to_patient(self, patient_id: str, message: dict[str, Any], /) -> None:
        if self.refused:
            self.refused -= 1
            raise ServerError(BACKPRESSURE)
        self.taken.append((patient_id, message, time.monotonic_ns()))


async def test_each_monitor_says_its_messages_in_turn_and_never_before_they_are_due() -> None:
    from benchmarks.ward.monitors import CYCLE, first_number
    from benchmarks.ward.publisher import Publisher

    door = Door()
    publisher = Publisher(door, 2, 4)
    await publisher.run(3, time.monotonic_ns(), 1.0)
    assert publisher.due == publisher.published == len(door.taken)
    by_monitor: dict[tuple[str, str], list[int]] = {}
    for patient, message, at in door.taken:
        say = CYCLE[message["n"] % len(CYCLE)]
        assert say.body.items() <= message.items()
        assert at >= message["at"]
        by_monitor.setdefault((patient, message["device_id"]), []).append(message["n"])
    assert by_monitor.keys() == {("p00000", "monitor-0"), ("p00001", "monitor-0"), ("p00000", "monitor-1")}
    in_turn = sorted(by_monitor, key=lambda key: key[::-1])
    for monitor, numbers in enumerate(by_monitor[key] for key in in_turn):
        assert numbers == list(range(first_number(monitor), first_number(monitor) + len(numbers)))
        assert len(numbers) in (6, 7)
    assert publisher.numbers[3] == first_number(3), "not asked to speak"


async def test_what_is_due_is_published_also_after_a_stall_of_the_loop() -> None:
    from benchmarks.ward.publisher import Publisher

    door = Door()
    publisher = Publisher(door, 50, 50)
    run = asyncio.create_task(publisher.run(50, time.monotonic_ns(), 0.5))
    await asyncio.sleep(0)
    time.sleep(0.3)
    await run
    assert publisher.published == publisher.due == len(door.taken)
    assert publisher.worst_lateness >= 0.25
    dues = [message["at"] for _, message, _ in door.taken]
    assert dues == sorted(dues), "in the order in which it was due"


async def test_a_refused_message_is_counted_and_said_again() -> None:
    from benchmarks.ward.monitors import first_number
    from benchmarks.ward.publisher import Publisher

    door = Door(refused=2)
    publisher = Publisher(door, 1, 1)
    await publisher.run(1, time.monotonic_ns(), 1.0)
    assert publisher.refused == 2
    assert publisher.due == publisher.published + 2
    assert door.taken[0][1]["n"] == first_number(0)
