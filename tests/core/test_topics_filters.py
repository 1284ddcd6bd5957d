"""The topic index: filters, few of them and many."""

from collections.abc import Callable
from typing import Any

import pytest
from ward import ANYTHING, HIGH, Ward, address, filter_of, handle, seeing

from wsserver_core.filters import Program
from wsserver_core.recipients import Recipients
from wsserver_core.scopes import Scope
from wsserver_core.topics import Record, Selection, TopicIndex

pytestmark = pytest.mark.core


@pytest.fixture
def ward() -> Ward:
    return Ward()


def test_subscriptions_whose_filter_fails_are_counted_and_not_reached(ward: Ward) -> None:
    ward.add(1, "ecg:*", program=HIGH)
    ward.add(2, "ecg:*")
    assert ward.select("ecg", severity="low") == ([2], Selection(2, 1, 1, 0))
    assert ward.select("ecg", severity="high") == ([1, 2], Selection(2, 2, 0, 0))


def test_derived_fields_are_seen_by_filters(ward: Ward) -> None:
    ward.add(1, "ecg:*", program=HIGH)
    assert ward.index.select("ecg", None, None, {}, {"severity": "high"}, ward.out).matching == 1
    assert len(ward.index.preview("ecg", None, None, {}, {"severity": "high"})[1]) == 1


def test_a_filter_shared_between_indexes_answers_for_each_message_anew() -> None:
    wards = Ward(), Ward()
    for ward in wards:
        ward.add(1, "ecg:*", program=HIGH)
    for severity, expected in (("high", [1]), ("low", []), ("high", [1])):
        assert [ward.select("ecg", severity=severity)[0] for ward in wards] == [expected, expected]


@pytest.mark.parametrize("topic", ["patient:7", "patient", "ecg:x"])
def test_another_filter_takes_the_place_of_the_former_at_once(ward: Ward, topic: str) -> None:
    kind, target = address(topic)
    number = ward.add(1, topic, seeing("7"), HIGH)
    ward.add(2, topic, seeing("7"), HIGH)
    ward.index.warn(number, True)
    low = filter_of({"severity": "low"})
    assert ward.index.replace(number, low, 5.0) is HIGH
    assert ward.index.record(number) == Record(
        number, handle(1), "owner 1", kind, target, low, 5.0, warned=False, hinted=False
    )
    assert ward.index.find(handle(1), kind, target) == number
    assert ward.index.numbers(handle(1)) == [number]
    to = None if target == "*" else target
    for patient in ("7", None) if kind != "patient" or to is None else ("7",):
        assert ward.select(kind, to, patient, severity="low") == ([1], Selection(2, 1, 1, 0))
        assert ward.select(kind, to, patient, severity="high") == ([2], Selection(2, 1, 1, 0))


def test_the_same_filter_again_is_a_renewal(ward: Ward) -> None:
    number = ward.add(1, "ecg", program=HIGH)
    ward.index.warn(number, True)
    ward.select("ecg", severity="high")
    assert ward.index.replace(number, HIGH, 5.0) is HIGH
    record = ward.index.record(number)
    assert (record.program, record.renewed_at, record.warned) == (HIGH, 5.0, False)
    assert ward.index.figures(number) == (1, 1)
    assert len(ward.index) == 1


def test_replacing_keeps_the_order_of_a_connection_s_subscriptions(ward: Ward) -> None:
    numbers = [ward.add(1, topic) for topic in ("ecg", "patient", "patient:7", "*")]
    for number in (numbers[1], numbers[0], numbers[3]):
        ward.index.replace(number, HIGH, 1.0)
    assert ward.index.numbers(handle(1)) == numbers


def test_what_has_ended_cannot_be_replaced(ward: Ward) -> None:
    number = ward.add(1, "ecg")
    ward.index.remove(number)
    for wrong in (number, 0, 1 << 63):
        with pytest.raises(ValueError):
            ward.index.replace(wrong, HIGH, 1.0)
    with pytest.raises(TypeError):
        ward.index.replace(ward.subscribe(1, "ecg"), None, 1.0)


# Beyond 24 distinct filters a shelf is searched by a Matcher, below 12 no longer.

PLACES = [
    ("patient:7", "patient", "7", "7"),
    ("patient:7", "patient", None, None),
    ("patient", "patient", "7", None),
    ("patient", "patient", None, None),
    ("ecg:x", "ecg", "x", "7"),
    ("*", "ecg", None, None),
]
MESSAGES: list[dict[str, Any]] = [
    {"n": 10, "s": "a"}, {"n": 19.5, "s": ["a", "b"]}, {"n": 0}, {"s": "b", "m": 3}, {"n": 40, "m": 1}, {},
    {"n": 25, "m": 10}, {"n": 12, "m": 40},
]  # fmt: skip


def many_filters() -> list[Program]:
    """40 that differ, of every kind that is searched in its own way."""
    kinds: list[Callable[[int], dict[str, Any]]] = [
        lambda number: {"n": {"$gt": number}},
        lambda number: {"n": {"$gte": number}},
        lambda number: {"n": {"$lt": number}},
        lambda number: {"n": {"$lte": number}, "m": {"$gt": 2}},
        lambda number: {"s": "ab"[number % 2], "n": {"$gt": number // 2}},
        lambda number: {"s": ["a", f"c{number}"]},
        lambda number: {"$or": [{"n": number}, {"m": {"$lt": number}}]},
        lambda number: {"n": {"$gt": number, "$lt": number + 9}},
    ]
    return [ANYTHING, *(filter_of(kinds[number % len(kinds)](number)) for number in range(39))]


def check_against_each_filter(
    ward: Ward, programs: dict[int, Program], place: tuple[str, str, str | None, str | None], denied: int = 0
) -> None:
    for message in MESSAGES:
        expected = sorted(slot for slot, program in programs.items() if program.matches(message, {}))
        counts = Selection(len(programs) + denied, len(expected), len(programs) - len(expected), denied)
        assert ward.select(*place[1:], **message) == (expected, counts)


@pytest.mark.parametrize("place", PLACES)
def test_a_growing_and_shrinking_number_of_filters_is_searched_rightly(
    ward: Ward, place: tuple[str, str, str | None, str | None]
) -> None:
    filters = many_filters()
    there: dict[int, Program] = {}
    scope = seeing("7")
    # Up beyond 24, down to 12, up again without passing 24, down to nothing, and all once more.
    for turn, size in enumerate([40, 12, 20, 11, 24, 25, 11, 12, 23, 24, 25, 0, 30, 0]):
        while len(there) < size:
            slot = next(slot for slot in range(40) if slot not in there)
            ward.add(slot, place[0], scope, filters[slot])
            there[slot] = filters[slot]
            check_against_each_filter(ward, there, place)
        while len(there) > size:
            slot = sorted(there)[turn % 2 - 1]
            ward.end(slot)
            del there[slot]
            check_against_each_filter(ward, there, place)
    assert ward.is_empty()


@pytest.mark.parametrize("place", PLACES)
def test_filters_replaced_one_by_one_cross_the_thresholds_in_both_directions(
    ward: Ward, place: tuple[str, str, str | None, str | None]
) -> None:
    filters = many_filters()
    scope = seeing("7")
    numbers = {slot: ward.add(slot, place[0], scope, HIGH) for slot in range(40)}
    there = dict.fromkeys(range(40), HIGH)
    for to in (filters, [HIGH] * 40, filters[::-1]):
        for slot in range(40):
            ward.index.replace(numbers[slot], to[slot], 1.0)
            there[slot] = to[slot]
            check_against_each_filter(ward, there, place)


@pytest.mark.parametrize("place", PLACES[2:])
def test_subscribers_moved_between_scopes_cross_the_thresholds_in_both_directions(
    ward: Ward, place: tuple[str, str, str | None, str | None]
) -> None:
    filters = many_filters()
    sees, blind = seeing("7", "1"), seeing("8")
    about = place[3] is not None or (place[1], place[2]) == ("patient", "7")
    for slot in range(40):
        ward.add(slot, place[0], blind, filters[slot])
    there = {} if about else dict(enumerate(filters))
    for scope in (sees, blind, sees):
        for slot in range(40):
            ward.index.rescope(handle(slot), scope)
            if about and scope is sees:
                there[slot] = filters[slot]
            elif about:
                del there[slot]
            check_against_each_filter(ward, there, place, 40 - len(there))


def test_many_filters_of_one_patient_are_asked_for_a_message_to_all_about_another(ward: Ward) -> None:
    filters = many_filters()
    both, one = seeing("7", "8"), seeing("8")
    for slot in range(40):
        ward.add(slot, "patient:8", both if slot % 3 else one, filters[slot])
    there = {slot: program for slot, program in enumerate(filters) if slot % 3}
    check_against_each_filter(ward, there, ("patient:8", "patient", None, "7"), 40 - len(there))


def test_a_filter_that_holds_in_several_ways_counts_once(ward: Ward) -> None:
    for number in range(30):
        source = {"$or": [{"a": 1}, {"b": 2}, {"c": [number, 3]}, {"a": [1, 2], "b": 2}]}
        ward.add(number, "ecg", program=filter_of(source))
    message = {"a": [1, 2], "b": 2, "c": [3, 4, 5]}
    assert ward.select("ecg", **message) == (list(range(30)), Selection(30, 30, 0, 0))
    assert len(set(ward.index.preview("ecg", None, None, message, {})[1])) == 30
    assert ward.index.figures(ward.index.find(handle(1), "ecg", "*")) == (1, 1)
    assert ward.select("ecg", c=4) == ([4], Selection(30, 1, 29, 0))


def test_equal_filters_that_are_two_programs_do_not_get_in_each_other_s_way(ward: Ward) -> None:
    programs = [filter_of({"n": {"$gt": slot % 5}}) for slot in range(40)]
    numbers = [ward.add(slot, "ecg", program=program) for slot, program in enumerate(programs)]
    assert ward.reached("ecg", n=3) == [slot for slot in range(40) if slot % 5 < 3]
    for slot in range(0, 40, 3):
        ward.index.remove(numbers[slot])
    assert ward.reached("ecg", n=3) == [slot for slot in range(40) if slot % 5 < 3 and slot % 3]


def test_selecting_into_other_recipients_gives_the_same(ward: Ward) -> None:
    index: TopicIndex = ward.index
    ward.add(1, "ecg")
    out = Recipients()
    out.add(handle(5))
    assert index.select("ecg", None, None, {}, {}, out) == Selection(1, 1, 0, 0)
    assert out.handles() == [handle(1)]


def test_a_scope_may_be_shared_by_indexes() -> None:
    scope: Scope = seeing("7")
    wards = Ward(), Ward()
    for ward in wards:
        ward.add(1, "patient", scope)
    wards[0].index.rescope(handle(1), seeing("8"))
    assert [ward.reached("patient", "7") for ward in wards] == [[], [1]]
