"""Subscriptions that come, change and go by the million: the tables end up empty and the memory flat."""

import gc
import random
import sys
import tracemalloc
from collections.abc import Callable
from typing import Any

import psutil
import pytest

from wsserver_core.filters import FilterInterner, FilterLimits, Program
from wsserver_core.recipients import Recipients
from wsserver_core.scopes import ScopeTable
from wsserver_core.topics import TopicIndex

pytestmark = pytest.mark.core

CLIENTS = 1_000
MOST_SUBSCRIPTIONS = 10
RSS_TOLERANCE = 1 << 20


class Churn:
    """1,000 clients that never rest. Every run does the same, under names that were never seen before."""

    def __init__(self) -> None:
        self.index = TopicIndex()
        self.scopes = ScopeTable()
        self.filters = FilterInterner(FilterLimits())
        self.out = Recipients()
        self.generation = 0
        self.fresh = 0
        self.numbers: list[list[int]] = [[] for _ in range(CLIENTS)]
        self.handles = [0] * CLIENTS

    def run(self, operations: int) -> None:
        self.dice = random.Random(1)
        for slot in range(CLIENTS):
            self.connect(slot)
        for number in range(operations):
            self.operate(self.dice.randrange(CLIENTS))
            if number % 200 == 0:
                self.disconnect(slot := self.dice.randrange(CLIENTS))
                self.connect(slot)
            if number % 100 == 0:
                self.publish()
        for slot in range(CLIENTS):
            self.disconnect(slot)
        self.out.clear()
        self.check()
        gc.collect()

    def connect(self, slot: int) -> None:
        self.generation += 1
        self.handles[slot] = self.generation << 32 | slot
        patients = None if slot % 10 == 0 else [f"p{self.generation}", "shared", f"ward {slot % 7}"]
        self.index.admit(self.handles[slot], self.scopes.intern(patients), None)

    def disconnect(self, slot: int) -> None:
        handle = self.handles[slot]
        if self.dice.random() < 0.5:
            # The rights go first, and with them all that is about one patient.
            for record in self.index.rescope(handle, self.scopes.intern([])):
                self.filters.release(record.program)
        for number in self.index.numbers(handle):
            self.filters.release(self.index.remove(number))
        self.numbers[slot].clear()
        assert self.index.dismiss(handle)

    def operate(self, slot: int) -> None:
        numbers = self.numbers[slot]
        what = self.dice.random()
        if what < 0.4 and len(numbers) < MOST_SUBSCRIPTIONS:
            self.subscribe(slot)
        elif numbers and what < 0.75:
            number = self.dice.choice(numbers)
            self.filters.release(self.index.replace(number, self.some_program(), 1.0))
        elif numbers:
            number = numbers.pop(self.dice.randrange(len(numbers)))
            self.filters.release(self.index.remove(number))

    def subscribe(self, slot: int) -> None:
        handle = self.handles[slot]
        kind, target = self.dice.choice(
            [
                ("patient", "shared"),
                ("patient", f"ward {slot % 7}"),
                ("patient", f"p{handle >> 32}"),
                ("patient", "*"),
                ("vitals", "*"),
                ("vitals", f"bed {self.dice.randrange(50)}"),
                ("*", "*"),
                ("ecg", f"lead {self.fresh}"),
            ]
        )
        if self.index.find(handle, kind, target) == 0:
            self.numbers[slot].append(self.index.add(handle, kind, target, self.some_program(), 0.0))

    def some_program(self) -> Program:
        """Usually one that many share, sometimes one that nobody ever had: shelves get a Matcher."""
        self.fresh += 1
        bound = self.fresh % 90 + (self.fresh / 1_000_000 if self.dice.random() < 0.3 else 0)
        sources: list[dict[str, Any] | None] = [
            None,
            {"severity": "high"},
            {"severity": ["high", "low"], "ward": bound},
            {"vitals.hr": {"$gt": bound}},
            {"vitals.hr": {"$gte": bound, "$lt": bound + 10}, "severity": "high"},
            {"$or": [{"ward": bound}, {"vitals.hr": {"$lte": bound}}]},
            {"name": {"$prefix": f"n{bound}"}},
        ]
        return self.filters.intern(self.dice.choice(sources))

    def publish(self) -> None:
        message = {"severity": "high", "vitals": {"hr": self.dice.randrange(100)}, "ward": 5}
        for target in ("shared", "ward 3", None):
            self.index.select("patient", target, target, message, {}, self.out)
            assert len(self.out) <= CLIENTS
        self.index.select("vitals", None, "shared", message, {}, self.out)

    def check(self) -> None:
        """Every table is empty."""
        assert set(self.index.sizes().values()) == {0}
        assert self.index.filters() == self.index.all_numbers() == []
        assert (len(self.filters), self.filters.conditions, self.filters.fields) == (0, 0, [])
        assert len(self.scopes) == 0


def drift(measure: Callable[[], int], warm_up: int, operations: int) -> int:
    """How much ``measure`` grows over so many operations, after a warm-up."""
    churn = Churn()
    churn.run(warm_up)
    before = measure()
    churn.run(operations)
    return measure() - before


def resident() -> int:
    return int(psutil.Process().memory_info().rss)


def test_no_memory_is_lost_over_50000_operations() -> None:
    assert drift(resident, 50_000, 50_000) < RSS_TOLERANCE


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_no_memory_is_lost_over_a_million_operations() -> None:
    assert drift(resident, 100_000, 1_000_000) < RSS_TOLERANCE


def test_no_python_object_is_left_behind() -> None:
    """A leak of one object per subscription would be thousands; a cache that fills up late is a few."""
    assert drift(sys.getallocatedblocks, 20_000, 20_000) < 100


def test_no_block_of_the_core_is_left_behind() -> None:
    """The tables are allocated where tracemalloc sees them; a block for each subscription would be 100 kB."""
    tracemalloc.start()
    try:
        churn = Churn()
        churn.run(10_000)
        before = tracemalloc.get_traced_memory()[0]
        churn.run(10_000)
        assert tracemalloc.get_traced_memory()[0] - before < 8_000
    finally:
        tracemalloc.stop()
