"""The topic index: addresses, rights, filters, counts, and that nothing stays behind."""

import gc
import sys
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from wsserver_core.filters import FilterLimits, Program, compile_filter
from wsserver_core.recipients import Recipients
from wsserver_core.topics import Membership, Scope, ScopeTable, Selection, TopicIndex

pytestmark = pytest.mark.core

LIMITS = FilterLimits()
ANYTHING = compile_filter(None, LIMITS)
HIGH = compile_filter({"severity": "high"}, LIMITS)
EVERYONE = Scope(None)


def handle(slot: int) -> int:
    return 9 << 32 | slot


def seeing(*patients: str) -> Scope:
    return Scope(frozenset(patients))


class Ward:
    """An index with a short way to fill it and to ask it; a connection is named by its slot."""

    def __init__(self) -> None:
        self.index = TopicIndex()
        self.out = Recipients()

    def add(self, slot: int, topic: str, scope: Scope = EVERYONE, program: Program = ANYTHING) -> Membership:
        kind, _, target = topic.partition(":")
        return self.index.add(handle(slot), scope, kind, target or "*", program, f"{slot} {topic}")

    def select(
        self,
        kind: str | None,
        target: str | None = None,
        patient: str | None = None,
        /,
        *,
        exclude: int = 0,
        **message: Any,
    ) -> tuple[list[int], Selection]:
        counts = self.index.select(kind, target, patient, message, {}, self.out, exclude)
        return sorted(found & 0xFFFFFFFF for found in self.out.handles()), counts

    def reached(
        self, kind: str | None, target: str | None = None, patient: str | None = None, /
    ) -> list[int]:
        return self.select(kind, target, patient)[0]


@pytest.fixture
def ward() -> Ward:
    return Ward()


# -- addresses


def test_a_patient_message_reaches_the_patient_all_patients_and_everything(ward: Ward) -> None:
    for slot, topic in enumerate(["patient:1", "patient:*", "*", "patient:2", "ecg:*", "ecg:1"]):
        ward.add(slot, topic)
    assert ward.reached("patient", "1", "1") == [0, 1, 2]


def test_a_type_message_reaches_every_target_of_the_type_and_everything(ward: Ward) -> None:
    for slot, topic in enumerate(["ecg:*", "ecg:1", "ecg:2", "*", "vitals:*", "patient:1"]):
        ward.add(slot, topic)
    assert ward.reached("ecg") == [0, 1, 2, 3]


def test_a_message_to_one_target_of_a_type_misses_the_other_targets(ward: Ward) -> None:
    for slot, topic in enumerate(["ecg:*", "ecg:1", "ecg:2", "*"]):
        ward.add(slot, topic)
    assert ward.reached("ecg", "1") == [0, 1, 3]


def test_a_message_to_all_reaches_the_admitted_and_ignores_subscriptions(ward: Ward) -> None:
    ward.index.admit(handle(1), EVERYONE)
    ward.index.admit(handle(2), seeing())
    ward.add(3, "*")
    found, counts = ward.select(None)
    assert found == [1, 2]
    assert counts == Selection(considered=2, matching=2, filtered=0, denied=0)


def test_a_message_nobody_subscribed_to_reaches_nobody(ward: Ward) -> None:
    assert ward.select("ecg", "1") == ([], Selection(0, 0, 0, 0))


def test_a_connection_gets_one_copy_however_many_subscriptions_match(ward: Ward) -> None:
    for topic in ("patient:1", "patient:*", "*"):
        ward.add(7, topic)
    assert ward.select("patient", "1") == ([7], Selection(3, 3, 0, 0))


@pytest.mark.parametrize(
    ("kind", "target", "patient"),
    [("*", None, None), ("*", "*", None), ("ecg", "*", None), (None, "1", None), ("patient", "1", "2")],
)
def test_a_message_with_an_impossible_address_is_refused(
    ward: Ward, kind: str | None, target: str | None, patient: str | None
) -> None:
    with pytest.raises(ValueError):
        ward.index.select(kind, target, patient, {}, {}, ward.out)
    with pytest.raises(ValueError):
        ward.index.owners(kind, target, patient, {}, {})


@pytest.mark.parametrize(("kind", "target"), [("", "1"), ("ecg", ""), ("*", "1")])
def test_a_subscription_with_an_impossible_address_is_refused(ward: Ward, kind: str, target: str) -> None:
    with pytest.raises(ValueError):
        ward.index.add(handle(1), EVERYONE, kind, target, ANYTHING, None)
    assert set(ward.index.sizes().values()) == {0}


@pytest.mark.parametrize("wrong", [0, handle(1 << 24)])
def test_a_handle_that_cannot_be_is_refused(ward: Ward, wrong: int) -> None:
    with pytest.raises(ValueError):
        ward.index.add(wrong, EVERYONE, "ecg", "*", ANYTHING, None)
    with pytest.raises(ValueError):
        ward.index.admit(wrong, EVERYONE)
    assert set(ward.index.sizes().values()) == {0}


# -- rights


@pytest.mark.parametrize("topic", ["patient:*", "*"])
def test_a_wildcard_brings_only_patients_one_may_see(ward: Ward, topic: str) -> None:
    ward.add(1, topic, seeing("1", "2"))
    for number in range(40):
        ward.add(100 + number, topic, seeing(f"other{number}"))
    for patient in map(str, range(3, 100)):
        assert ward.select("patient", patient) == ([], Selection(41, 0, 0, 41))
    assert ward.select("patient", "1", "1") == ([1], Selection(41, 1, 0, 40))


@pytest.mark.parametrize(
    ("kind", "target", "topic"),
    [("ecg", None, "ecg:*"), ("ecg", "x", "ecg:x"), ("patient", None, "patient:9")],
)
def test_a_message_about_a_patient_is_gated_whatever_the_address(
    ward: Ward, kind: str, target: str | None, topic: str
) -> None:
    ward.add(1, topic, seeing("7"))
    ward.add(2, topic, seeing("8"))
    ward.add(3, topic, EVERYONE)
    assert ward.select(kind, target, "7") == ([1, 3], Selection(3, 2, 0, 1))
    assert ward.reached(kind, target) == [1, 2, 3]


def test_a_message_to_all_about_a_patient_reaches_those_who_may_see_him(ward: Ward) -> None:
    ward.index.admit(handle(1), seeing("7"))
    ward.index.admit(handle(2), seeing("8"))
    assert ward.select(None, None, "7") == ([1], Selection(2, 1, 0, 1))


def test_the_address_is_the_patient_when_none_is_named(ward: Ward) -> None:
    ward.add(1, "patient:*", seeing("8"))
    ward.add(2, "patient:7", seeing("8"))
    assert ward.select("patient", "7", None) == ([], Selection(2, 0, 0, 2))


def test_a_subscription_that_is_denied_does_not_count_as_filtered(ward: Ward) -> None:
    ward.add(1, "patient:*", seeing("8"), HIGH)
    ward.add(2, "patient:*", seeing("7"), HIGH)
    assert ward.select("patient", "7", severity="low") == ([], Selection(2, 0, 1, 1))
    assert ward.select("patient", "7", severity="high") == ([2], Selection(2, 1, 0, 1))


def test_moved_subscriptions_go_by_their_new_scope_at_once(ward: Ward) -> None:
    nurse = ward.add(1, "patient:*", seeing("7"))
    before = nurse.scope
    ward.index.move(nurse, seeing("8"))
    assert nurse.scope is not before
    assert ward.reached("patient", "7") == []
    assert ward.reached("patient", "8") == [1]
    ward.index.move(nurse, EVERYONE)
    assert ward.reached("patient", "7") == [1]
    assert len(ward.index) == 1


def test_a_moved_admission_goes_by_its_new_scope(ward: Ward) -> None:
    admission = ward.index.admit(handle(1), seeing("7"))
    ward.index.move(admission, seeing("8"))
    assert (ward.reached(None, None, "7"), ward.reached(None, None, "8")) == ([], [1])
    assert ward.index.admitted == 1


def test_moving_to_the_same_scope_changes_nothing(ward: Ward) -> None:
    scope = seeing("7")
    membership = ward.add(1, "patient:*", scope)
    sizes = ward.index.sizes()
    ward.index.move(membership, scope)
    assert ward.index.sizes() == sizes
    assert ward.reached("patient", "7") == [1]


# -- filters


def test_subscriptions_whose_filter_fails_are_counted_and_not_reached(ward: Ward) -> None:
    ward.add(1, "ecg:*", program=HIGH)
    ward.add(2, "ecg:*")
    assert ward.select("ecg", severity="low") == ([2], Selection(2, 1, 1, 0))
    assert ward.select("ecg", severity="high") == ([1, 2], Selection(2, 2, 0, 0))


def test_derived_fields_are_seen_by_filters(ward: Ward) -> None:
    ward.add(1, "ecg:*", program=HIGH)
    assert ward.index.select("ecg", None, None, {}, {"severity": "high"}, ward.out).matching == 1


class Spy(str):
    """A key that tells when it is looked at."""

    on_look: Callable[[], object]
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        self.on_look()
        return str.__eq__(self, other)


def test_a_filter_is_evaluated_once_however_many_groups_use_it(ward: Ward) -> None:
    for slot in range(30):
        ward.add(slot, "patient:1" if slot % 2 else "patient:*", seeing("1", str(slot + 100)), HIGH)
    looks: list[None] = []
    key = Spy("severity")
    key.on_look = lambda: looks.append(None)
    counts = ward.index.select("patient", "1", "1", {key: "low"}, {}, ward.out)
    assert counts == Selection(30, 0, 30, 0)
    assert len(looks) == 1


def test_a_filter_shared_between_indexes_answers_for_each_message_anew() -> None:
    wards = Ward(), Ward()
    for ward in wards:
        ward.add(1, "ecg:*", program=HIGH)
    for severity, expected in (("high", [1]), ("low", []), ("high", [1])):
        assert [ward.select("ecg", severity=severity)[0] for ward in wards] == [expected, expected]


def test_the_index_refuses_changes_while_a_message_passes(ward: Ward) -> None:
    membership = ward.add(1, "ecg:*", program=HIGH)
    ward.add(2, "ecg:*")
    key = Spy("severity")
    acts = [
        lambda: ward.add(3, "ecg:*"),
        lambda: ward.index.admit(handle(3), EVERYONE),
        lambda: ward.index.remove(membership),
        lambda: ward.index.move(membership, seeing()),
    ]
    for act in acts:
        key.on_look = act
        with pytest.raises(RuntimeError):
            ward.index.select("ecg", None, None, {key: "high"}, {}, ward.out)
        assert ward.out.handles() == []
    assert ward.select("ecg", severity="high") == ([1, 2], Selection(2, 2, 0, 0))
    ward.index.remove(membership)


# -- what is asked for


def test_the_excluded_connection_is_counted_and_not_reached(ward: Ward) -> None:
    ward.add(1, "ecg:*")
    ward.add(2, "ecg:*")
    assert ward.select("ecg", exclude=handle(1)) == ([2], Selection(2, 2, 0, 0))
    assert ward.index.owners("ecg", None, None, {}, {}, handle(1)) == ["2 ecg:*"]


def test_recipients_of_the_last_message_are_forgotten_even_when_refused(ward: Ward) -> None:
    ward.add(1, "ecg:*")
    ward.add(2, "patient:7")
    assert ward.reached("ecg") == [1]
    assert ward.reached("patient", "7") == [2]
    with pytest.raises(ValueError):
        ward.select("*")
    assert len(ward.out) == 0


def test_owners_are_those_of_the_matching_subscriptions(ward: Ward) -> None:
    ward.add(1, "patient:7", seeing("7"))
    ward.add(1, "patient:*", seeing("7"))
    ward.add(2, "patient:*", seeing("8"))
    ward.add(3, "*", EVERYONE, HIGH)
    assert sorted(ward.index.owners("patient", "7", "7", {}, {})) == ["1 patient:*", "1 patient:7"]


def test_a_membership_tells_what_it_stands_for_until_it_is_removed(ward: Ward) -> None:
    scope = seeing("7")
    membership = ward.add(5, "patient:7", scope, HIGH)
    assert membership.active
    assert (membership.handle, membership.scope, membership.program) == (handle(5), scope, HIGH)
    ward.index.remove(membership)
    assert not membership.active
    assert (membership.handle, membership.scope, membership.program) == (0, None, None)
    assert membership.owner == "5 patient:7"


def test_a_membership_is_small(ward: Ward) -> None:
    assert sys.getsizeof(ward.add(1, "ecg:*")) < 100


# -- removing


def test_removing_from_any_place_keeps_the_others(ward: Ward) -> None:
    members = [ward.add(slot, "ecg:*") for slot in range(300)]
    left = set(range(300))
    for slot in (299, 0, 150, *range(1, 290)):
        if slot in left:
            ward.index.remove(members[slot])
            left.discard(slot)
            assert ward.reached("ecg") == sorted(left)
    assert [members[slot].handle for slot in sorted(left)] == [handle(slot) for slot in sorted(left)]


def test_empty_topics_groups_and_index_entries_vanish(ward: Ward) -> None:
    topics = ["patient:1", "patient:*", "*", "ecg:*", "ecg:2"]
    members = [
        ward.add(slot, topic, scope, program)
        for slot, topic in enumerate(topics)
        for scope in (EVERYONE, seeing("1", "2"), seeing())
        for program in (ANYTHING, HIGH)
    ]
    members += [ward.index.admit(handle(slot), seeing("1")) for slot in range(3)]
    assert (len(ward.index), ward.index.topics, ward.index.admitted) == (30, 5, 3)
    assert 0 not in ward.index.sizes().values()
    for membership in members:
        ward.index.remove(membership)
    assert (len(ward.index), ward.index.topics, ward.index.admitted) == (0, 0, 0)
    assert set(ward.index.sizes().values()) == {0}


def test_removing_twice_removes_once(ward: Ward) -> None:
    first = ward.add(1, "ecg:*")
    ward.add(2, "ecg:*")
    ward.index.remove(first)
    ward.index.remove(first)
    assert ward.reached("ecg") == [2]
    with pytest.raises(ValueError):
        ward.index.move(first, seeing())


def test_a_membership_of_another_index_is_refused(ward: Ward) -> None:
    for stranger in (Ward().add(1, "ecg:*"), Ward().index.admit(handle(1), EVERYONE)):
        ward.add(1, "ecg:*")
        with pytest.raises(ValueError):
            ward.index.remove(stranger)
        with pytest.raises(ValueError):
            ward.index.move(stranger, seeing())
        assert stranger.active


def test_the_place_of_a_removed_subscription_does_not_keep_its_owner(ward: Ward) -> None:
    owner = Ward()
    memory = weakref.ref(owner)
    membership = ward.index.add(handle(1), EVERYONE, "ecg", "*", ANYTHING, owner)
    ward.index.remove(membership)
    del owner, membership
    assert memory() is None


def test_an_index_that_is_dropped_full_is_collected() -> None:
    ward = Ward()
    memory = weakref.ref(ward)
    for slot in range(10):
        ward.index.add(handle(slot), seeing("1"), "patient", "*", HIGH, ward)
    del ward
    gc.collect()
    assert memory() is None


def test_memberships_are_made_by_the_index_only() -> None:
    with pytest.raises(TypeError):
        Membership()


# -- scopes


def test_a_scope_sees_its_patients_or_everyone() -> None:
    assert seeing("1").sees("1")
    assert not seeing("1").sees("2")
    assert not seeing().sees("1")
    assert EVERYONE.sees("1")


def test_equal_sets_of_patients_share_one_scope() -> None:
    table = ScopeTable()
    scope = table.intern(["1", "2"])
    assert table.intern(frozenset({"2", "1"})) is scope
    assert table.intern(["1"]) is not scope
    assert scope.patients == frozenset({"1", "2"})


def test_a_scope_nobody_holds_is_forgotten() -> None:
    table = ScopeTable()
    scope = table.intern(["1"])
    everyone = table.intern(None)
    assert table.intern(None) is everyone
    assert len(table) == 2
    del scope, everyone
    assert len(table) == 0


@pytest.mark.parametrize("wrong", ["123", [1], 5])
def test_a_scope_is_made_of_texts_only(wrong: Any) -> None:
    table = ScopeTable()
    with pytest.raises(TypeError):
        table.intern(wrong)
    assert len(table) == 0


@pytest.mark.parametrize("wrong", [{"1"}, ["1"], frozenset({1}), "1"])
def test_a_scope_takes_a_frozenset_or_none(wrong: Any) -> None:
    with pytest.raises(TypeError):
        Scope(wrong)


# -- faults


@pytest.mark.parametrize("act", ["add", "move", "remove", "admit"])
@pytest.mark.parametrize("topic", ["patient:1", "patient:*"])
def test_running_out_of_memory_anywhere_leaves_the_index_as_it_was(topic: str, act: str) -> None:
    memory = pytest.importorskip("_testcapi")
    kind, _, target = topic.partition(":")
    failures = 0
    for allocation in range(50):
        ward = Ward()
        index, scope, number = ward.index, seeing("1", "2", "3"), handle(2)
        members = [ward.add(1, topic, seeing("1"), HIGH) for _ in range(20)]
        stays = members[3]
        # Called within the same turn of the loop, so that each sees the names of its own turn.
        acts = {
            "add": lambda: index.add(number, scope, kind, target, ANYTHING, None),  # noqa: B023
            "move": lambda: index.move(stays, scope),  # noqa: B023
            "remove": lambda: index.remove(stays),  # noqa: B023
            "admit": lambda: index.admit(number, scope),  # noqa: B023
        }
        chosen = acts[act]
        for member in members[4:]:
            index.remove(member)
        sizes, added = index.sizes(), None
        memory.set_nomemory(allocation, allocation + 1)
        try:
            added = chosen()
        except MemoryError:
            memory.remove_mem_hooks()
            failures += 1
            assert index.sizes() == sizes
            assert stays.active
            assert ward.select("patient", "1", severity="high") == ([1], Selection(4, 4, 0, 0))
        finally:
            memory.remove_mem_hooks()
        for member in (*members, *([] if added is None else [added])):
            index.remove(member)
        assert set(index.sizes().values()) == {0}
    assert failures > 0
