"""The topic index: connections, addresses, and what is asked for."""

import gc
import sys
import weakref
from typing import Any

import pytest
from ward import ANYTHING, EVERYONE, HIGH, Ward, filter_of, handle, seeing

from wsserver_core.scopes import ScopeTable
from wsserver_core.topics import Selection

pytestmark = pytest.mark.core


@pytest.fixture
def ward() -> Ward:
    return Ward()


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
    owner, scopes = Ward(), ScopeTable()
    scope = scopes.intern(["1"])
    memory = weakref.ref(owner)
    ward.index.admit(handle(1), scope, owner)
    ward.index.remove(ward.index.add(handle(1), "patient", "*", ANYTHING, 0.0))
    ward.index.dismiss(handle(1))
    del owner, scope
    assert (memory(), len(scopes)) == (None, 0)


def test_an_index_that_is_dropped_full_lets_everything_go() -> None:
    ward, owner, scopes = Ward(), Ward(), ScopeTable()
    scope = scopes.intern(["1"])
    memory = weakref.ref(owner)
    for slot in range(10):
        ward.index.admit(handle(slot), scope, owner)
        for topic in ("patient:1", "patient", "*", "ecg:2"):
            ward.subscribe(slot, topic, filter_of({"number": slot}))
    programs = [ward.index.record(number).program for number in ward.index.all_numbers()]
    before = [sys.getrefcount(program) for program in programs]
    del ward, owner, scope
    gc.collect()
    assert (memory(), len(scopes)) == (None, 0)
    after = [sys.getrefcount(program) for program in programs]
    # Subscribers of one patient stand in one group, all others in two.
    assert sorted(then - now for then, now in zip(before, after, strict=True)) == [1] * 10 + [2] * 30


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
