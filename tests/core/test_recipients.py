"""The list of connection handles a message goes to."""

import random

import pytest

from wsserver_core.recipients import Recipients

pytestmark = pytest.mark.core


def handle(slot: int, generation: int = 1) -> int:
    return generation << 32 | slot


def test_a_new_list_is_empty() -> None:
    recipients = Recipients()
    assert len(recipients) == 0
    assert recipients.handles() == []
    assert handle(0) not in recipients


def test_handles_keep_the_order_they_were_added_in() -> None:
    recipients = Recipients()
    assert all(recipients.add(handle(slot)) for slot in (7, 0, 3))
    assert recipients.handles() == [handle(7), handle(0), handle(3)]


def test_a_connection_stands_in_the_list_once() -> None:
    recipients = Recipients()
    assert recipients.add(handle(5)) is True
    assert recipients.add(handle(5)) is False
    assert recipients.handles() == [handle(5)]


def test_of_two_generations_of_a_slot_the_newer_stays() -> None:
    recipients = Recipients()
    recipients.add(handle(5, generation=2))
    assert recipients.add(handle(5, generation=3)) is False
    assert recipients.add(handle(5, generation=1)) is False
    assert recipients.handles() == [handle(5, generation=3)]
    assert handle(5, generation=2) not in recipients


def test_a_cleared_list_takes_the_same_handles_again() -> None:
    recipients = Recipients()
    recipients.add(handle(5))
    recipients.clear()
    assert len(recipients) == 0
    assert handle(5) not in recipients
    assert recipients.add(handle(5)) is True


def test_slots_far_apart_live_together() -> None:
    recipients = Recipients()
    far = (1 << 24) - 1
    assert [recipients.add(handle(slot)) for slot in (0, 5000, far, 5000)] == [True, True, True, False]
    assert handle(far) in recipients


@pytest.mark.parametrize("wrong", [0, 1 << 24, handle(1 << 24), handle((1 << 32) - 1)])
def test_a_handle_that_cannot_be_is_refused(wrong: int) -> None:
    recipients = Recipients()
    with pytest.raises(ValueError):
        recipients.add(wrong)
    assert len(recipients) == 0


@pytest.mark.parametrize("wrong", [-1, 1 << 64])
def test_a_number_that_is_no_64_bit_handle_is_refused(wrong: int) -> None:
    with pytest.raises(OverflowError):
        Recipients().add(wrong)


def test_the_list_agrees_with_a_dict_over_many_random_steps() -> None:
    dice = random.Random(20260101)
    recipients = Recipients()
    expected: dict[int, int] = {}
    for _ in range(20_000):
        if dice.random() < 0.002:
            recipients.clear()
            expected.clear()
            continue
        slot, generation = dice.randrange(3000), dice.randrange(1, 4)
        assert recipients.add(handle(slot, generation)) is (slot not in expected)
        expected[slot] = max(generation, expected.get(slot, 0))
        assert len(recipients) == len(expected)
    assert recipients.handles() == [handle(slot, generation) for slot, generation in expected.items()]
