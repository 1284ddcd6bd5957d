"""Descriptors by their number: what is kept back, what is in use."""

import os
import resource

import pytest
from fake_clock import FakeClock

from wsserver.observe.descriptor_room import COUNT_AGE, DescriptorRoom, kept_back
from wsserver.settings.descriptors import RESERVE


def room(limit: int = 20_000, **how) -> DescriptorRoom:
    return DescriptorRoom(how.pop("clock", FakeClock()), read_limit=lambda: limit, **how)


@pytest.mark.parametrize(("limit", "kept"), [(20_000, RESERVE), (1024, RESERVE), (200, 50), (4, 1), (0, 0)])
def test_a_small_limit_is_not_all_reserve(limit, kept):
    assert kept_back(limit) == kept


def test_clients_end_below_requests_and_requests_below_the_limit():
    small = room(200)
    assert (small.client_ceiling, small.request_ceiling, small.limit) == (150, 188, 200)
    large = room()
    assert (large.client_ceiling, large.request_ceiling) == (20_000 - RESERVE, 20_000 - RESERVE // 4)


def test_no_limit_is_a_large_one():
    assert room(resource.RLIM_INFINITY).client_ceiling > 1_000_000


def test_a_limit_that_is_changed_from_outside_is_seen():
    limits = [400]
    changing = DescriptorRoom(FakeClock(), read_limit=lambda: limits[-1])
    limits.append(100)
    changing.refresh()
    assert changing.client_ceiling == 75


def test_the_share_is_of_what_clients_may_have():
    assert room(200, count=lambda: 75).percent() == 50
    assert room(200, count=lambda: 180).percent() == 120


def test_where_counting_is_dear_it_is_done_seldom():
    clock, counted = FakeClock(), []

    def count() -> int:
        counted.append(1)
        return len(counted)

    slow = room(clock=clock, count=lambda: None, count_slowly=count)
    assert [slow.used(), slow.used()] == [1, 1]
    clock.advance(COUNT_AGE)
    assert slow.used() == 2


def test_none_left_to_count_with_means_all_are_used():
    def fail() -> int:
        raise OSError(24, "Too many open files")

    assert room(500, count=lambda: None, count_slowly=fail).used() == 500


def test_without_a_proc_there_is_nothing_to_say():
    def fail() -> None:
        raise OSError

    assert room(500, count=fail).used() == 0


def test_the_next_number_is_the_lowest_free_one():
    real = DescriptorRoom(FakeClock())
    lowest = os.dup(0)
    os.close(lowest)
    assert real.next_number() == lowest
    assert os.dup(0) == lowest, "it was only looked at"
    os.close(lowest)


def test_without_a_free_number_it_is_the_limit(monkeypatch):
    def fail(_: int) -> int:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(os, "dup", fail)
    assert room(500).next_number() == 500


def test_it_is_full_by_number_or_by_count(monkeypatch):
    monkeypatch.setattr(os, "dup", lambda _: 1000)
    monkeypatch.setattr(os, "close", lambda _: None)
    # Of 256 that are kept back 64 are for files.
    assert not room(1100, count=lambda: 1000).is_full()
    assert room(1064, count=lambda: 1).is_full()
    assert room(1100, count=lambda: 1100 - 64).is_full()
    assert not room(1100, count=lambda: None, count_slowly=lambda: 1099).is_full()


def test_both_counts_agree_on_this_process():
    real = DescriptorRoom(FakeClock())
    quick = real._count()
    more = [os.dup(0) for _ in range(20)]
    try:
        if quick is not None:
            assert real.used() == quick + 20
        # The one that is open while counting is counted.
        assert real._count_slowly() >= 20
    finally:
        for descriptor in more:
            os.close(descriptor)
