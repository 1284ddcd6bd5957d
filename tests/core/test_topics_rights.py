"""The topic index: whoever may not see a patient is not reached, also after his rights have changed."""


import pytest
from ward import EVERYONE, HIGH, Ward, address, handle, seeing

from wsserver_core.scopes import ScopeTable
from wsserver_core.topics import Record, Selection

pytestmark = pytest.mark.core


@pytest.fixture
def ward() -> Ward:
    return Ward()


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
    scopes = ScopeTable()
    scope = scopes.intern(["7"])
    for topic in ("patient:7", "patient", "*"):
        ward.add(1, topic, scope)
    del scope
    ward.index.rescope(handle(1), EVERYONE)
    assert len(scopes) == 0
    assert ward.index.sizes()["patients"] == 0
