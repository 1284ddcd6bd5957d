"""The topic index: subscriptions, their removal, and that nothing stays behind."""

import random
from typing import Any

import pytest
from ward import ANYTHING, EVERYONE, HIGH, Ward, handle, seeing

from wsserver_core.topics import Record

pytestmark = pytest.mark.core


@pytest.fixture
def ward() -> Ward:
    return Ward()


def test_a_subscription_is_known_by_number_and_by_address(ward: Ward) -> None:
    ward.admit(5, seeing("7"))
    number = ward.subscribe(5, "patient:7", HIGH, 3.5)
    assert ward.index.record(number) == Record(
        number, handle(5), "owner 5", "patient", "7", HIGH, 3.5, warned=False, hinted=False
    )
    assert ward.index.find(handle(5), "patient", "7") == number
    assert ward.index.numbers(handle(5)) == ward.index.all_numbers() == [number]
    assert ward.index.count(handle(5)) == len(ward.index) == 1


@pytest.mark.parametrize("topic", ["ecg:1", "ecg", "*", "patient", "patient:1"])
def test_nobody_is_subscribed_to_one_address_twice(ward: Ward, topic: str) -> None:
    number = ward.add(1, topic)
    with pytest.raises(ValueError):
        ward.subscribe(1, topic, HIGH)
    assert ward.index.numbers(handle(1)) == [number]
    assert ward.index.record(number).program is ANYTHING
    ward.index.remove(number)
    assert ward.subscribe(1, topic, HIGH) != number


def test_a_number_is_never_given_twice(ward: Ward) -> None:
    ward.admit(1)
    given: set[int] = set()
    for _ in range(1_000):
        number = ward.subscribe(1, "ecg")
        assert number not in given
        assert number > 0
        given.add(number)
        ward.index.remove(number)
    # Ended numbers name nothing, though their row is taken again.
    last = ward.subscribe(1, "ecg")
    assert all(ward.index.record(number) is None for number in given)
    assert all(ward.index.remove(number) is None for number in given)
    assert ward.index.all_numbers() == [last]


def test_a_number_that_was_never_given_names_nothing(ward: Ward) -> None:
    number = ward.add(1, "ecg")
    for wrong in (0, 1, number + 1, number + (1 << 32), number & 0xFFFFFFFF, (1 << 64) - 1):
        assert ward.index.record(wrong) is None
        assert ward.index.remove(wrong) is None
        assert ward.index.renew(wrong, 1.0) is False
        assert ward.index.warn(wrong, True) is False
        assert ward.index.hint(wrong) is False
        assert ward.index.figures(wrong) == (0, 0)
    for wrong in (-1, 1 << 64):
        with pytest.raises(OverflowError):
            ward.index.record(wrong)
    assert ward.index.record(number).renewed_at == 0.0
    assert len(ward.index) == 1


def test_removing_gives_the_program_once(ward: Ward) -> None:
    number = ward.add(1, "ecg:*", program=HIGH)
    ward.add(2, "ecg:*")
    assert ward.index.remove(number) is HIGH
    assert ward.index.remove(number) is None
    assert ward.reached("ecg") == [2]


def test_subscriptions_of_a_connection_are_listed_oldest_first(ward: Ward) -> None:
    topics = ["ecg:1", "ecg", "*", "patient:1", "patient", "vitals:2"]
    for other in (2, 3):
        for topic in topics:
            ward.add(other, topic)
    left = [ward.add(1, topic) for topic in topics]
    for gone in (left[5], left[0], left[2]):
        ward.index.remove(gone)
        left.remove(gone)
        assert ward.index.numbers(handle(1)) == left
    left.append(ward.subscribe(1, "ecg:1"))
    assert ward.index.numbers(handle(1)) == left
    assert ward.index.count(handle(1)) == 4
    assert ward.index.numbers(handle(9)) == []


def test_a_renewed_subscription_is_due_later_and_no_longer_warned(ward: Ward) -> None:
    ward.admit(1)
    numbers = [ward.subscribe(1, f"ecg:{now}", now=now) for now in range(5)]

    def due(before: float) -> list[int]:
        records = ward.index.due(before)
        assert all(record == ward.index.record(record.number) for record in records)
        return sorted(record.number for record in records)

    assert due(-1.0) == []
    assert due(2.0) == numbers[:3]
    assert ward.index.warn(numbers[0], True) is True
    assert ward.index.record(numbers[0]).warned is True
    assert ward.index.renew(numbers[0], 9.0) is True
    assert ward.index.record(numbers[0]).renewed_at == 9.0
    assert ward.index.record(numbers[0]).warned is False
    assert due(2.0) == numbers[1:3]
    assert due(100.0) == numbers
    ward.index.remove(numbers[1])
    assert due(2.0) == numbers[2:3]
    assert ward.index.warn(numbers[2], True)
    assert ward.index.warn(numbers[2], False)
    assert ward.index.record(numbers[2]).warned is False


def test_records_are_listed_by_connection_and_for_all(ward: Ward) -> None:
    for slot in (1, 2):
        for topic in ("ecg", "patient:7", "*"):
            ward.add(slot, topic)
    ward.index.remove(ward.index.find(handle(1), "patient", "7"))
    for slot in (1, 2):
        numbers = ward.index.numbers(handle(slot))
        assert ward.index.records(handle(slot)) == [ward.index.record(number) for number in numbers]
    assert ward.index.records(handle(3)) == []
    everything = ward.index.records(handle(1)) + ward.index.records(handle(2))
    assert sorted(ward.index.all_records()) == sorted(everything)
    assert sorted(ward.index.all_numbers()) == sorted(record.number for record in everything)


def test_the_subscriptions_an_address_means_are_listed_up_to_a_limit(ward: Ward) -> None:
    topics = ["ecg:1", "ecg:1", "ecg:2", "ecg", "*", "patient:1", "vitals"]
    numbers = [
        ward.add(slot, topic, seeing("1"), HIGH if slot % 2 else ANYTHING)
        for slot, topic in enumerate(topics)
    ]
    for target, expected in (("1", {0, 1, 3, 4}), ("9", {3, 4}), (None, {0, 1, 2, 3, 4})):
        wanted = sorted(numbers[place] for place in expected)
        assert sorted(ward.index.addressed("ecg", target, 100)) == wanted
        for limit in range(len(wanted) + 1):
            some = ward.index.addressed("ecg", target, limit)
            assert len(set(some)) == len(some) == limit
            assert set(some) <= set(wanted)
    assert ward.index.addressed("unknown", None, 100) == [numbers[4]]
    assert sorted(ward.index.addressed("patient", "1", 100)) == sorted([numbers[4], numbers[5]])


def test_topics_are_listed_with_their_sizes(ward: Ward) -> None:
    assert ward.index.topic_sizes() == []
    for slot, topic in enumerate(["ecg:1", "ecg:1", "ecg", "patient:1", "*", "ecg:1"]):
        ward.add(slot, topic)
    assert sorted(ward.index.topic_sizes()) == [
        ("*", "*", 1), ("ecg", "*", 1), ("ecg", "1", 3), ("patient", "1", 1),
    ]  # fmt: skip
    assert ward.index.topics == 4


def test_the_largest_topics_come_first(ward: Ward) -> None:
    assert ward.index.largest_topics(3) == []
    for slot, topic in enumerate(["ecg:1", "ecg:2", "ecg:2", "patient:1", "ecg:2", "ecg:1", "*"]):
        ward.add(slot, topic)
    assert ward.index.largest_topics(2) == [("ecg", "2", 3), ("ecg", "1", 2)]
    assert len(ward.index.largest_topics(9)) == 4
    assert ward.index.largest_topics(0) == ward.index.largest_topics(-1) == []


def test_removing_from_any_place_keeps_the_others(ward: Ward) -> None:
    numbers = [ward.add(slot, "ecg:*") for slot in range(300)]
    left = set(range(300))
    for slot in (299, 0, 150, *range(1, 290)):
        if slot in left:
            ward.index.remove(numbers[slot])
            left.discard(slot)
            assert ward.reached("ecg") == sorted(left)
    for slot in left:
        assert ward.index.record(numbers[slot]).handle == handle(slot)
        assert ward.index.find(handle(slot), "ecg", "*") == numbers[slot]


def test_every_subscription_is_found_whatever_came_and_went(ward: Ward) -> None:
    """The way from an address to a subscription is a hash table: crowds, gaps and growth."""
    dice = random.Random(7)
    expected: dict[tuple[int, str], int] = {}
    for slot in range(50):
        ward.admit(slot)
    for step in range(6_000):
        place = dice.randrange(50), f"t{dice.randrange(20)}"
        growing = step < 2_500 or 4_000 < step < 5_000
        if place in expected and not growing:
            ward.index.remove(expected.pop(place))
        elif place not in expected:
            expected[place] = ward.subscribe(place[0], f"ecg:{place[1]}")
        if step % 250 == 0:
            for slot in range(50):
                for target in range(20):
                    number = expected.get((slot, f"t{target}"), 0)
                    assert ward.index.find(handle(slot), "ecg", f"t{target}") == number
    assert sorted(ward.index.all_numbers()) == sorted(expected.values())


def test_empty_topics_shelves_and_scopes_vanish(ward: Ward) -> None:
    topics = ["patient:1", "patient:*", "*", "ecg:*", "ecg:2"]
    scopes = (EVERYONE, seeing("1", "2"), seeing("1"))
    for slot, scope in enumerate(scopes * 2):
        for topic in topics:
            ward.add(slot, topic, scope, ANYTHING if slot < 3 else HIGH)
    assert ward.index.sizes() == {
        "connections": 6,
        "subscriptions": 30,
        "topics": 5,
        "types": 3,
        "shelves": 12,  # three scopes on each topic but the patient's
        "patients": 2,
        "full_scopes": 1,
        "scopes": 3,
    }
    assert (len(ward.index), ward.index.topics, ward.index.admitted) == (30, 5, 6)
    numbers = ward.index.all_numbers()
    random.Random(3).shuffle(numbers)
    for number in numbers:
        ward.index.remove(number)
    assert set(ward.index.sizes().items()) >= {("connections", 6), ("subscriptions", 0), ("scopes", 0)}
    for slot in range(6):
        ward.index.dismiss(handle(slot))
    assert (len(ward.index), ward.index.topics, ward.index.admitted) == (0, 0, 0)
    assert ward.is_empty()


@pytest.mark.parametrize("wrong", ["subscription_type", "target_id", "program"])
def test_nothing_may_be_left_out(ward: Ward, wrong: str) -> None:
    ward.admit(1)
    parts: dict[str, Any] = {"subscription_type": "ecg", "target_id": "1", "program": HIGH, wrong: None}
    with pytest.raises(TypeError):
        ward.index.add(handle(1), **parts, now=0.0)
    assert len(ward.index) == ward.index.topics == 0


def test_a_connection_needs_a_scope(ward: Ward) -> None:
    with pytest.raises(TypeError):
        ward.index.admit(handle(1), None, None)
    ward.admit(1)
    with pytest.raises(TypeError):
        ward.index.rescope(handle(1), None)
    assert ward.reached(None, None, "7") == [1]
