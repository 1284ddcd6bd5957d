"""Buckets of parties that come and go."""

import pytest
from fake_clock import FakeClock

from wsserver.load.bucket_table import BucketTable
from wsserver_core.buckets import BYTES, MESSAGES


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def table(clock: FakeClock) -> BucketTable:
    table = BucketTable(clock, remembered=3)
    table.limits.set(MESSAGES, 2.0, 4.0)
    table.limits.set(BYTES, 10.0, 100.0)
    return table


def test_each_key_has_buckets_of_its_own(table: BucketTable, clock: FakeClock) -> None:
    assert [table.spend("a", MESSAGES, 2) for _ in range(3)] == [0, 0, 1]
    assert table.spend("b", MESSAGES, 4) == 0
    clock.advance(1)
    assert table.spend("a", MESSAGES, 2) == 0


def test_what_is_charged_may_lead_into_debt(table: BucketTable, clock: FakeClock) -> None:
    assert table.charge("a", BYTES, 100) == 0
    assert table.debt("a", BYTES) == 0
    assert table.charge("a", BYTES, 20) == 7
    assert table.debt("a", BYTES) == 2
    clock.advance(2)
    assert table.debt("a", BYTES) == 0


def test_to_ask_for_a_debt_remembers_nobody(table: BucketTable) -> None:
    assert table.debt("a", BYTES) == 0
    assert len(table) == 0


def test_a_sweep_forgets_those_who_owe_nothing_and_nobody_else(table: BucketTable, clock: FakeClock) -> None:
    table.spend("soon", MESSAGES)
    table.spend("late", MESSAGES)
    table.charge("late", BYTES, 50)
    table.sweep()
    assert len(table) == 2
    clock.advance(0.5)
    table.sweep()
    assert ("soon" in table, "late" in table) == (False, True)
    clock.advance(4.5)
    table.sweep()
    assert len(table) == 0


def test_beyond_its_bound_those_that_came_first_start_afresh_the_insistent_last(table: BucketTable) -> None:
    for key in ("a", "b", "c"):
        table.spend(key, MESSAGES, 4)
    assert table.spend("a", MESSAGES, 4) > 0
    table.spend("d", MESSAGES)
    assert len(table) == 3
    assert "b" not in table
    assert table.spend("a", MESSAGES, 4) > 0
    assert table.spend("b", MESSAGES, 4) == 0
