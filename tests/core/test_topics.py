"""The topic index: connections, addresses, rights, subscriptions, and that nothing stays behind."""

import gc
import random
import sys
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from ward import ANYTHING, EVERYONE, HIGH, Ward, address, filter_of, handle, seeing

from wsserver_core.filters import Program
from wsserver_core.recipients import Recipients
from wsserver_core.scopes import Scope
from wsserver_core.topics import Record, Selection, TopicIndex

pytestmark = pytest.mark.core


@pytest.fixture
def ward() -> Ward:
    return Ward()


# -- connections


def test_a_connection_is_admitted_with_its_scope_and_its_owner(ward: Ward) -> None:
    ward.admit(1, seeing("7"))
    ward.admit(2)
    assert ward.index.admitted == 2
    assert ward.index.owner(handle(1)) == "owner 1"
    assert ward.reached(None, None, "7") == [1, 2]
    assert ward.reached(None, None, "8") == [2]


@pytest.mark.parametrize("wrong", [0, handle(1 << 24), handle((1 << 32) - 1)])
def test_a_handle_that_cannot_be_is_not_admitted(ward: Ward, wrong: int) -> None:
    with pytest.raises(ValueError):
        ward.index.admit(wrong, EVERYONE, None)
    assert ward.is_empty()
    assert ward.index.owner(wrong) is None
    assert ward.index.dismiss(wrong) is False


@pytest.mark.parametrize("generation", [8, 9, 10])
def test_a_slot_has_one_tenant(ward: Ward, generation: int) -> None:
    ward.admit(1, seeing("7"))
    with pytest.raises(ValueError):
        ward.index.admit(handle(1, generation), EVERYONE, "another")
    assert ward.index.admitted == 1
    assert ward.index.owner(handle(1)) == "owner 1"
    assert ward.reached(None, None, "8") == []


def test_a_handle_is_good_for_its_own_generation_only(ward: Ward) -> None:
    ward.add(1, "ecg")
    for stranger in (handle(1, 8), handle(1, 10), handle(2), handle(5000), 1, 0):
        assert ward.index.owner(stranger) is None
        assert ward.index.numbers(stranger) == []
        assert ward.index.count(stranger) == 0
        assert ward.index.find(stranger, "ecg", "*") == 0
        assert ward.index.dismiss(stranger) is False
        with pytest.raises(ValueError):
            ward.index.rescope(stranger, EVERYONE)
        with pytest.raises(ValueError):
            ward.index.add(stranger, "ecg", "*", ANYTHING, 0.0)
    assert len(ward.index) == ward.index.admitted == 1


def test_the_next_tenant_of_a_slot_starts_with_nothing(ward: Ward) -> None:
    ward.add(1, "patient:7", seeing("7"))
    ward.end(1)
    ward.index.admit(handle(1, 10), seeing("8"), "next")
    assert ward.index.numbers(handle(1, 10)) == []
    assert ward.index.find(handle(1, 10), "patient", "7") == 0
    assert ward.reached("patient", "7") == []
    assert ward.reached(None) == [1]
    assert ward.out.handles() == [handle(1, 10)]


def test_a_connection_with_subscriptions_is_not_dismissed(ward: Ward) -> None:
    number = ward.add(1, "ecg")
    with pytest.raises(ValueError):
        ward.index.dismiss(handle(1))
    assert ward.reached(None) == ward.reached("ecg") == [1]
    ward.index.remove(number)
    assert ward.index.dismiss(handle(1)) is True
    assert ward.index.dismiss(handle(1)) is False
    assert ward.is_empty()


def test_the_owner_of_a_dismissed_connection_is_let_go(ward: Ward) -> None:
    owner, scope = Ward(), seeing("1")
    memories = weakref.ref(owner), weakref.ref(scope)
    ward.index.admit(handle(1), scope, owner)
    ward.index.remove(ward.index.add(handle(1), "patient", "*", ANYTHING, 0.0))
    ward.index.dismiss(handle(1))
    del owner, scope
    assert [memory() for memory in memories] == [None, None]


def test_an_index_that_is_dropped_full_lets_everything_go() -> None:
    ward, owner, scope = Ward(), Ward(), seeing("1")
    memories = weakref.ref(owner), weakref.ref(scope)
    for slot in range(10):
        ward.index.admit(handle(slot), scope, owner)
        for topic in ("patient:1", "patient", "*", "ecg:2"):
            ward.subscribe(slot, topic, filter_of({"number": slot}))
    programs = [ward.index.record(number).program for number in ward.index.all_numbers()]
    before = [sys.getrefcount(program) for program in programs]
    del ward, owner, scope
    gc.collect()
    assert [memory() for memory in memories] == [None, None]
    after = [sys.getrefcount(program) for program in programs]
    # Subscribers of one patient stand in one group, all others in two.
    assert sorted(then - now for then, now in zip(before, after, strict=True)) == [1] * 10 + [2] * 30


# -- addresses


def test_a_patient_message_reaches_the_patient_all_patients_and_everything(ward: Ward) -> None:
    for slot, topic in enumerate(["patient:1", "patient:*", "*", "patient:2", "ecg:*", "ecg:1"]):
        ward.add(slot, topic)
    assert ward.select("patient", "1", "1") == ([0, 1, 2], Selection(3, 3, 0, 0))


def test_a_type_message_reaches_every_target_of_the_type_and_everything(ward: Ward) -> None:
    for slot, topic in enumerate(["ecg:*", "ecg:1", "ecg:2", "*", "vitals:*", "patient:1"]):
        ward.add(slot, topic)
    assert ward.select("ecg") == ([0, 1, 2, 3], Selection(4, 4, 0, 0))


def test_a_message_to_one_target_of_a_type_misses_the_other_targets(ward: Ward) -> None:
    for slot, topic in enumerate(["ecg:*", "ecg:1", "ecg:2", "*"]):
        ward.add(slot, topic)
    assert ward.select("ecg", "1") == ([0, 1, 3], Selection(3, 3, 0, 0))


def test_a_message_to_all_reaches_the_admitted_whatever_they_subscribed_to(ward: Ward) -> None:
    ward.admit(1)
    ward.admit(2, seeing())
    ward.add(3, "*", program=HIGH)
    ward.subscribe(3, "ecg", HIGH)
    assert ward.select(None, severity="low") == ([1, 2, 3], Selection(3, 3, 0, 0))
    assert ward.index.preview(None, None, None, {}, {}) == (Selection(3, 3, 0, 0), [])


@pytest.mark.parametrize("count", [255, 256, 257, 511, 512, 513])
def test_a_message_to_all_misses_nobody_in_a_large_crowd(ward: Ward, count: int) -> None:
    for slot in range(0, 2 * count, 2):
        ward.admit(slot, EVERYONE if slot % 10 else seeing("7"))
    everyone = list(range(0, 2 * count, 2))
    assert ward.select(None) == (everyone, Selection(count, count, 0, 0))
    may_see = [slot for slot in everyone if slot % 10]
    counts = Selection(count, len(may_see), 0, count - len(may_see))
    assert ward.select(None, None, "8") == (may_see, counts)
    assert ward.select(None, None, "8", exclude=handle(2))[1] == counts


def test_a_message_nobody_subscribed_to_reaches_nobody(ward: Ward) -> None:
    ward.add(1, "vitals")
    for target in (None, "1"):
        assert ward.select("ecg", target, "1") == ([], Selection(0, 0, 0, 0))


def test_a_connection_gets_one_copy_however_many_subscriptions_match(ward: Ward) -> None:
    for topic in ("patient:1", "patient:*", "*"):
        ward.add(7, topic)
    assert ward.select("patient", "1") == ([7], Selection(3, 3, 0, 0))
    assert len(ward.index.preview("patient", "1", None, {}, {})[1]) == 3


@pytest.mark.parametrize(
    ("kind", "target", "patient"),
    [("*", None, None), ("*", "*", None), ("ecg", "*", None), (None, "1", None), ("patient", "1", "2")],
)
def test_a_message_with_an_impossible_address_is_refused(
    ward: Ward, kind: str | None, target: str | None, patient: str | None
) -> None:
    ward.add(1, "*")
    ward.reached("ecg")
    with pytest.raises(ValueError):
        ward.index.select(kind, target, patient, {}, {}, ward.out)
    assert ward.out.handles() == []
    with pytest.raises(ValueError):
        ward.index.preview(kind, target, patient, {}, {})


@pytest.mark.parametrize("wrong", ["message", "derived", "out"])
def test_a_message_without_a_part_is_refused(ward: Ward, wrong: str) -> None:
    parts: dict[str, Any] = {"message": {}, "derived": {}, "out": ward.out, wrong: None}
    with pytest.raises(TypeError):
        ward.index.select("ecg", None, None, **parts)


@pytest.mark.parametrize("topic", [("", "1"), ("ecg", ""), ("*", "1"), ("*", ""), ("", "*")])
def test_a_subscription_with_an_impossible_address_is_refused(ward: Ward, topic: tuple[str, str]) -> None:
    ward.admit(1)
    with pytest.raises(ValueError):
        ward.index.add(handle(1), *topic, ANYTHING, 0.0)
    assert ward.index.find(handle(1), *topic) == 0
    ward.index.dismiss(handle(1))
    assert ward.is_empty()


# -- rights


@pytest.mark.parametrize("topic", ["patient:*", "*"])
def test_a_wildcard_brings_only_patients_one_may_see(ward: Ward, topic: str) -> None:
    ward.add(1, topic, seeing("1", "2"))
    for number in range(40):
        ward.add(100 + number, topic, seeing(f"other{number}"))
    for patient in map(str, range(3, 100)):
        assert ward.select("patient", patient) == ([], Selection(41, 0, 0, 41))
    assert ward.select("patient", "1", "1") == ([1], Selection(41, 1, 0, 40))


@pytest.mark.parametrize("scopes", [1, 2, 60])
def test_the_number_of_scopes_does_not_matter(ward: Ward, scopes: int) -> None:
    """With few scopes the index asks each; with many it goes from the patient to those that see him."""
    for number in range(scopes):
        ward.add(number, "patient", seeing(f"p{number}", f"p{number + 1}"))
    ward.add(100, "patient", EVERYONE)
    for number in range(scopes):
        expected = [slot for slot in range(scopes) if slot in (number - 1, number)]
        assert ward.reached("patient", f"p{number}") == [*expected, 100]
        assert ward.reached("patient", None, f"p{number}") == [*expected, 100]
    assert ward.reached("patient") == [*range(scopes), 100]


@pytest.mark.parametrize(
    ("kind", "target", "topic"),
    [("ecg", None, "ecg:*"), ("ecg", "x", "ecg:x"), ("ecg", None, "ecg:x"), ("ecg", "x", "*"),
     ("patient", None, "patient:*"), ("ecg", "x", "ecg:*")],
)  # fmt: skip
def test_a_message_about_a_patient_is_gated_whatever_the_address(
    ward: Ward, kind: str, target: str | None, topic: str
) -> None:
    ward.add(1, topic, seeing("7"))
    ward.add(2, topic, seeing("8"))
    ward.add(3, topic, EVERYONE)
    ward.add(4, topic, seeing())
    assert ward.select(kind, target, "7") == ([1, 3], Selection(4, 2, 0, 2))
    assert ward.select(kind, target, "9") == ([3], Selection(4, 1, 0, 3))
    assert ward.reached(kind, target) == [1, 2, 3, 4]


def test_a_message_to_all_about_a_patient_reaches_those_who_may_see_him(ward: Ward) -> None:
    ward.admit(1, seeing("7"))
    ward.admit(2, seeing("8"))
    assert ward.select(None, None, "7") == ([1], Selection(2, 1, 0, 1))


def test_a_message_to_a_patient_is_about_him_when_it_names_nobody(ward: Ward) -> None:
    ward.add(1, "patient:*", seeing("8"))
    assert ward.select("patient", "7", None) == ([], Selection(1, 0, 0, 1))


def test_a_message_to_a_patient_reaches_all_who_could_subscribe_to_him(ward: Ward) -> None:
    ward.add(1, "patient:7", seeing("7"))
    ward.add(2, "patient:7", seeing("7", "8"), HIGH)
    ward.add(3, "patient:7", EVERYONE)
    assert ward.select("patient", "7", severity="low") == ([1, 3], Selection(3, 2, 1, 0))
    assert ward.select("patient", "7", "7", severity="high") == ([1, 2, 3], Selection(3, 3, 0, 0))


def test_a_message_to_all_patients_about_one_reaches_subscribers_of_others_who_see_him(ward: Ward) -> None:
    ward.add(1, "patient:8", seeing("8"))
    ward.add(2, "patient:8", seeing("7", "8"))
    ward.add(3, "patient:8", EVERYONE)
    ward.add(4, "patient:8", seeing("8", "7"), HIGH)
    ward.add(5, "patient:7", seeing("7"))
    ward.add(6, "patient:8", seeing("8", "9"), HIGH)
    assert ward.select("patient", None, "7", severity="low") == ([2, 3, 5], Selection(6, 3, 1, 2))
    assert ward.select("patient", None, "7", severity="high") == ([2, 3, 4, 5], Selection(6, 4, 0, 2))
    assert ward.select("patient", None, "nobody") == ([3], Selection(6, 1, 0, 5))
    # Who is not asked for is still counted.
    assert ward.select("patient", None, "7", severity="low", exclude=handle(3)) == (
        [2, 5], Selection(6, 3, 1, 2),
    )  # fmt: skip


def test_a_message_to_all_patients_about_none_reaches_all_their_subscribers(ward: Ward) -> None:
    ward.add(1, "patient:8", seeing("8"))
    ward.add(2, "patient:7", seeing("7"))
    ward.add(3, "patient", seeing())
    assert ward.select("patient") == ([1, 2, 3], Selection(3, 3, 0, 0))


def test_a_subscription_that_is_denied_does_not_count_as_filtered(ward: Ward) -> None:
    ward.add(1, "patient:*", seeing("8"), HIGH)
    ward.add(2, "patient:*", seeing("7"), HIGH)
    assert ward.select("patient", "7", severity="low") == ([], Selection(2, 0, 1, 1))
    assert ward.select("patient", "7", severity="high") == ([2], Selection(2, 1, 0, 1))


def test_one_patient_outside_of_the_scope_cannot_be_subscribed_to(ward: Ward) -> None:
    ward.admit(1, seeing("7"))
    with pytest.raises(ValueError):
        ward.subscribe(1, "patient:8")
    assert ward.index.topics == ward.index.count(handle(1)) == 0
    ward.subscribe(1, "patient:7")
    ward.subscribe(1, "patient:*")
    # Only a patient's own topic says whom it is about.
    ward.subscribe(1, "ecg:8")
    assert ward.index.count(handle(1)) == 3


def test_equal_scopes_need_not_be_one_object(ward: Ward) -> None:
    for slot in range(6):
        ward.add(slot, "patient", seeing("7"))
    assert ward.select("patient", "7") == ([0, 1, 2, 3, 4, 5], Selection(6, 6, 0, 0))
    ward.end(3)
    assert ward.select("patient", "7") == ([0, 1, 2, 4, 5], Selection(5, 5, 0, 0))


# -- other rights


@pytest.mark.parametrize("topic", ["patient", "*", "ecg", "ecg:x"])
def test_subscriptions_go_by_the_new_scope_at_once(ward: Ward, topic: str) -> None:
    kind, target = ("patient", None) if topic in ("patient", "*") else ("ecg", "x")
    number = ward.add(1, topic, seeing("7"))
    for scope, sees_7, sees_8 in ((seeing("8"), [], [1]), (EVERYONE, [1], [1]), (seeing(), [], [])):
        assert ward.index.rescope(handle(1), scope) == []
        assert ward.reached(kind, target, "7") == ward.reached(None, None, "7") == sees_7
        assert ward.reached(kind, target, "8") == ward.reached(None, None, "8") == sees_8
        assert ward.reached(kind, target if kind == "ecg" else None) == [1]
    assert ward.index.numbers(handle(1)) == [number]


def test_subscriptions_to_patients_out_of_sight_end_and_are_returned_oldest_first(ward: Ward) -> None:
    ward.admit(1, seeing("7", "8", "9"))
    numbers = {
        topic: ward.subscribe(1, topic, HIGH, now)
        for now, topic in enumerate(["patient:9", "patient", "patient:7", "ecg:7", "patient:8"])
    }
    ward.index.warn(numbers["patient:7"], True)
    expected = [ward.index.record(numbers[topic]) for topic in ("patient:9", "patient:7")]
    assert ward.index.rescope(handle(1), seeing("8")) == expected
    assert expected[1] == Record(
        numbers["patient:7"], handle(1), "owner 1", "patient", "7", HIGH, 2.0, warned=True, hinted=False
    )
    assert ward.index.numbers(handle(1)) == [numbers[topic] for topic in ("patient", "ecg:7", "patient:8")]
    assert ward.index.count(handle(1)) == len(ward.index) == 3
    for topic in ("patient:9", "patient:7"):
        assert ward.index.record(numbers[topic]) is None
        assert ward.index.find(handle(1), *address(topic)) == 0
    assert ward.reached("patient", "7", severity="high") == []
    assert ward.reached("patient", "8", severity="high") == [1]
    assert ward.index.topics == 3


def test_all_subscriptions_of_a_connection_may_end_with_its_rights(ward: Ward) -> None:
    for topic in ("patient:7", "patient:8"):
        ward.add(1, topic, seeing("7", "8"))
    assert len(ward.index.rescope(handle(1), seeing())) == 2
    assert ward.index.dismiss(handle(1)) is True
    assert ward.is_empty()


def test_rights_to_every_patient_end_nothing(ward: Ward) -> None:
    number = ward.add(1, "patient:7", seeing("7"))
    assert ward.index.rescope(handle(1), EVERYONE) == []
    assert ward.index.find(handle(1), "patient", "7") == number
    assert [record.number for record in ward.index.rescope(handle(1), seeing("8"))] == [number]


def test_the_same_scope_again_changes_nothing(ward: Ward) -> None:
    scope = seeing("7")
    ward.add(1, "patient:*", scope)
    ward.add(1, "patient:7")
    sizes = ward.index.sizes()
    assert ward.index.rescope(handle(1), scope) == []
    assert ward.index.sizes() == sizes
    assert ward.reached("patient", "7") == [1]


def test_other_rights_of_one_connection_are_no_other_connection_s(ward: Ward) -> None:
    shared = seeing("7")
    for slot in (1, 2, 3):
        ward.add(slot, "patient", shared, HIGH)
        ward.subscribe(slot, "patient:7")
    ward.index.rescope(handle(2), seeing("8"))
    assert ward.select("patient", "7", severity="high") == ([1, 3], Selection(5, 4, 0, 1))
    assert ward.select("patient", "8", severity="high") == ([2], Selection(3, 1, 0, 2))
    for slot in (1, 2, 3):
        ward.end(slot)
    assert ward.is_empty()


def test_what_may_be_subscribed_to_goes_by_the_new_scope(ward: Ward) -> None:
    ward.admit(1, seeing("7"))
    ward.index.rescope(handle(1), seeing("8"))
    with pytest.raises(ValueError):
        ward.subscribe(1, "patient:7")
    ward.subscribe(1, "patient:8")
    assert ward.reached("patient", "8") == [1]


def test_a_former_scope_is_let_go(ward: Ward) -> None:
    scope = seeing("7")
    memory = weakref.ref(scope)
    for topic in ("patient:7", "patient", "*"):
        ward.add(1, topic, scope)
    del scope
    ward.index.rescope(handle(1), EVERYONE)
    assert memory() is None
    assert ward.index.sizes()["patients"] == 0


# -- filters


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


# -- what is asked for


def test_the_excluded_connection_is_counted_and_not_reached(ward: Ward) -> None:
    ward.add(1, "ecg:*")
    second = ward.add(2, "ecg:*")
    assert ward.select("ecg", exclude=handle(1)) == ([2], Selection(2, 2, 0, 0))
    assert ward.index.preview("ecg", None, None, {}, {}, handle(1)) == (Selection(2, 2, 0, 0), [second])
    assert ward.select(None, exclude=handle(1)) == ([2], Selection(2, 2, 0, 0))


def test_a_stranger_or_a_former_tenant_may_be_excluded(ward: Ward) -> None:
    ward.add(1, "ecg:*")
    for stranger in (handle(1, 8), handle(2)):
        assert ward.select("ecg", exclude=stranger) == ([1], Selection(1, 1, 0, 0))


def test_recipients_of_the_last_message_are_forgotten_even_when_refused(ward: Ward) -> None:
    ward.add(1, "ecg:*")
    ward.add(2, "patient:7")
    assert ward.reached("ecg") == [1]
    assert ward.reached("patient", "7") == [2]
    with pytest.raises(ValueError):
        ward.index.select("*", None, None, {}, {}, ward.out)
    assert len(ward.out) == 0


def test_the_numbers_that_match_are_those_of_the_matching_subscriptions(ward: Ward) -> None:
    one = ward.add(1, "patient:7", seeing("7"))
    other = ward.add(1, "patient:*")
    ward.add(2, "patient:*", seeing("8"))
    ward.add(3, "*", EVERYONE, HIGH)
    counts, numbers = ward.index.preview("patient", "7", "7", {}, {})
    assert (counts, sorted(numbers)) == (Selection(4, 2, 1, 1), sorted([one, other]))


# -- subscriptions


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


# -- removing


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


# -- many filters: beyond 24 distinct ones a shelf is searched by a Matcher, below 12 no longer

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
