"""Rings of points: what stays, where the gaps are, and the bytes that are sent."""

import struct
from math import isnan, nan

import pytest

from wsserver.status.ring import Ring


def shown(ring: Ring, column: int = 0) -> list[float | None]:
    return [None if isnan(value) else value for value in ring.series(column)]


def test_a_new_ring_is_all_gaps():
    ring = Ring(2, 3)
    assert shown(ring) == shown(ring, 1) == [None, None, None]
    assert ring.most(0) is None


def test_the_newest_points_stay_in_order():
    ring = Ring(2, 3)
    for slot in range(5):
        ring.note(slot, (slot, -slot))
        assert ring.last == slot
    assert shown(ring) == [2, 3, 4]
    assert shown(ring, 1) == [-2, -3, -4]
    assert (ring.most(0), ring.most(1)) == (4, -2)


def test_slots_that_were_missed_are_gaps():
    ring = Ring(1, 5)
    for slot in (0, 1, 2, 3, 4, 7):
        ring.note(slot, (slot,))
    assert shown(ring) == [3, 4, None, None, 7]


def test_after_a_gap_longer_than_the_ring_nothing_old_is_left():
    ring = Ring(1, 4)
    for slot in range(4):
        ring.note(slot, (slot,))
    ring.note(1_000_000, (9,))
    assert shown(ring) == [None, None, None, 9]


def test_what_is_no_number_is_passed_over_for_the_most():
    ring = Ring(1, 4)
    for slot, value in enumerate((1, nan, 3, nan)):
        ring.note(slot, (value,))
    assert ring.most(0) == 3


def test_a_row_has_a_number_for_each_column():
    with pytest.raises(ValueError, match="zip"):
        Ring(2, 3).note(0, (1,))


def test_the_bytes_are_little_endian_floats_column_by_column_oldest_first():
    ring = Ring(2, 2)
    for slot in range(3):
        ring.note(slot, (slot, slot / 2))
    assert ring.packed() == struct.pack("<4f", 1, 2, 0.5, 1)


def test_it_keeps_no_object_for_a_point():
    ring = Ring(30, 900)
    before = sum(column.__sizeof__() for column in ring._columns)
    for slot in range(2000):
        ring.note(slot, [1.5] * 30)
    assert sum(column.__sizeof__() for column in ring._columns) == before < 120_000
