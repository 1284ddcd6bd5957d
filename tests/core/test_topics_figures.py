"""How often a filter was held against a message, and how often it matched.

A message that a subscriber may not see is never counted as held against his filter: whoever
reads the figures must not learn from them about patients he may not see.
"""

import pytest
from ward import EVERYONE, Ward, filter_of, handle, seeing

from wsserver_core.filters import Program
from wsserver_core.topics import FilterFigures, Selection

pytestmark = pytest.mark.core


@pytest.fixture
def ward() -> Ward:
    return Ward()


@pytest.fixture
def high() -> Program:
    """Of its own for each test: counts stay with a program."""
    return filter_of({"severity": "high"})


def test_a_new_subscription_was_never_tested(ward: Ward, high: Program) -> None:
    assert ward.index.figures(ward.add(1, "ecg", program=high)) == (0, 0)
    assert ward.index.filters() == [FilterFigures(high, 1, 0, 0)]


@pytest.mark.parametrize("topic", ["ecg", "ecg:x", "*", "patient", "patient:7"])
def test_each_message_to_a_topic_is_a_test_and_may_be_a_match(ward: Ward, high: Program, topic: str) -> None:
    number = ward.add(1, topic, seeing("7"), high)
    kind, target = ("patient", "7") if topic.startswith("patient") else ("ecg", "x")
    for severity, about, expected in [
        ("low", None, (1, 0)), ("high", None, (2, 1)), ("high", "7", (3, 2)), ("low", "7", (4, 2)),
    ]:  # fmt: skip
        ward.select(kind, target, about, severity=severity)
        assert ward.index.figures(number) == expected
        assert ward.index.filters() == [FilterFigures(high, 1, *expected)]


@pytest.mark.parametrize("topic", ["ecg", "ecg:x", "*", "patient"])
def test_a_forbidden_message_is_no_test(ward: Ward, high: Program, topic: str) -> None:
    limited = ward.add(1, topic, seeing("7"), high)
    full = ward.add(2, topic, EVERYONE, high)
    blind = ward.add(3, topic, seeing(), high)
    kind = "patient" if topic == "patient" else "ecg"
    target = "8" if topic == "patient" else "x"
    for _ in range(5):
        assert ward.select(kind, target, "8", severity="high") == ([2], Selection(3, 1, 0, 2))
    assert ward.index.figures(limited) == ward.index.figures(blind) == (0, 0)
    assert ward.index.figures(full) == (5, 5)
    assert ward.index.filters() == [FilterFigures(high, 3, 5, 5)]
    ward.select(kind, "7" if kind == "patient" else "x", "7", severity="high")
    assert [ward.index.figures(number) for number in (limited, full, blind)] == [(1, 1), (6, 6), (0, 0)]
    assert ward.index.filters() == [FilterFigures(high, 3, 7, 7)]


def test_a_message_about_another_patient_is_no_test_for_those_who_may_not_see_him(
    ward: Ward, high: Program
) -> None:
    number = ward.add(1, "patient:7", seeing("7"), high)
    assert ward.select("patient", None, "8", severity="high") == ([], Selection(1, 0, 0, 1))
    assert ward.select("patient", "8", severity="high") == ([], Selection(0, 0, 0, 0))
    assert ward.index.figures(number) == (0, 0)


def test_a_message_to_another_topic_or_to_all_is_no_test(ward: Ward, high: Program) -> None:
    number = ward.add(1, "ecg:x", program=high)
    for address in (("ecg", "y"), ("vitals",), ("patient", "x"), (None,)):
        ward.select(*address, severity="high")
    assert ward.index.figures(number) == (0, 0)


def test_a_preview_counts_nothing(ward: Ward, high: Program) -> None:
    number = ward.add(1, "ecg", program=high)
    for patient in (None, "7"):
        assert ward.index.preview("ecg", None, patient, {"severity": "high"}, {}) == (
            Selection(1, 1, 0, 0), [number],
        )  # fmt: skip
    assert ward.index.figures(number) == (0, 0)
    assert ward.index.filters() == [FilterFigures(high, 1, 0, 0)]


def test_the_excluded_are_tested_like_all_others(ward: Ward, high: Program) -> None:
    number = ward.add(1, "ecg", program=high)
    ward.select("ecg", exclude=handle(1), severity="high")
    assert ward.index.figures(number) == (1, 1)


def test_a_message_with_an_impossible_address_is_no_test(ward: Ward, high: Program) -> None:
    number = ward.add(1, "*", program=high)
    with pytest.raises(ValueError):
        ward.index.select("ecg", "*", None, {"severity": "high"}, {}, ward.out)
    assert ward.index.figures(number) == (0, 0)


def test_figures_are_shared_by_topic_filter_and_rights(ward: Ward, high: Program) -> None:
    scope = seeing("7")
    first, second = ward.add(1, "ecg", scope, high), ward.add(2, "ecg", scope, high)
    others = [
        ward.add(3, "ecg", scope, filter_of({"severity": "high"})),
        ward.add(4, "ecg", seeing("8"), high),
        ward.add(5, "ecg:x", scope, high),
    ]
    ward.select("ecg", "y", "7", severity="high")
    assert ward.index.figures(first) == ward.index.figures(second) == (1, 1)
    assert [ward.index.figures(number) for number in others] == [(1, 1), (0, 0), (0, 0)]
    # One test for the two who share it, and one subscription each.
    assert FilterFigures(high, 4, 1, 1) in ward.index.filters()


def test_who_comes_to_a_filter_later_shares_its_figures(ward: Ward, high: Program) -> None:
    scope = seeing("7")
    ward.add(1, "ecg", scope, high)
    ward.select("ecg", severity="high")
    assert ward.index.figures(ward.add(2, "ecg", scope, high)) == (1, 1)
    assert ward.index.figures(ward.add(3, "ecg", scope, filter_of({"severity": "high"}))) == (0, 0)


def test_another_filter_starts_anew_and_the_former_s_counts_go_with_it(ward: Ward, high: Program) -> None:
    low = filter_of({"severity": "low"})
    number = ward.add(1, "ecg", program=high)
    ward.select("ecg", severity="high")
    ward.index.replace(number, low, 1.0)
    assert ward.index.figures(number) == (0, 0)
    assert ward.index.filters() == [FilterFigures(low, 1, 0, 0)]
    ward.select("ecg", severity="high")
    assert ward.index.figures(number) == (1, 0)


def test_with_other_rights_only_what_concerned_nobody_in_particular_still_counts(
    ward: Ward, high: Program
) -> None:
    number = ward.add(1, "ecg", seeing("7"), high)
    ward.select("ecg", severity="high")
    ward.select("ecg", None, "7", severity="high")
    ward.select("ecg", None, "7", severity="low")
    assert ward.index.figures(number) == (3, 2)
    ward.index.rescope(handle(1), seeing("8"))
    assert ward.index.figures(number) == (1, 1)
    assert ward.index.filters() == [FilterFigures(high, 1, 3, 2)]
    ward.select("ecg", None, "7", severity="high")
    assert ward.index.figures(number) == (1, 1)
    ward.select("ecg", None, "8", severity="high")
    assert ward.index.figures(number) == (2, 2)


@pytest.mark.parametrize("topic", ["patient:7", "patient", "ecg"])
def test_counts_of_those_who_left_stay_with_a_filter_that_others_keep(
    ward: Ward, high: Program, topic: str
) -> None:
    ward.add(1, topic, seeing("7"), high)
    ward.add(2, "vitals", seeing("7"), high)
    kind, target = ("patient", "7") if topic.startswith("patient") else ("ecg", "x")
    ward.select(kind, target, None, severity="high")
    ward.select(kind, target, "7", severity="low")
    ward.end(1)
    assert ward.index.filters() == [FilterFigures(high, 1, 2, 1)]
    assert ward.index.figures(ward.index.find(handle(2), "vitals", "*")) == (0, 0)
    assert ward.index.figures(ward.add(1, topic, seeing("7"), high)) == (0, 0)
    assert ward.index.filters() == [FilterFigures(high, 2, 2, 1)]


def test_a_filter_that_nobody_uses_is_not_listed(ward: Ward, high: Program) -> None:
    number = ward.add(1, "ecg", program=high)
    ward.select("ecg", severity="high")
    ward.index.remove(number)
    assert ward.index.filters() == []
    assert ward.index.figures(number) == (0, 0)


def test_each_distinct_filter_is_listed_once_with_all_its_subscriptions(ward: Ward, high: Program) -> None:
    anything = filter_of(None)
    for slot, scope in enumerate((seeing("7"), EVERYONE, seeing("7", "8"))):
        for topic in ("ecg", "ecg:x", "patient:7", "patient", "*"):
            ward.add(slot, topic, scope, high if topic != "*" else anything)
    figures = {entry.program: entry[1:] for entry in ward.index.filters()}
    assert figures == {high: (12, 0, 0), anything: (3, 0, 0)}
    assert len(ward.index.filters()) == 2
    # Two topics, and once for each of the scopes that see him.
    ward.select("ecg", "x", "8", severity="high")
    figures = {entry.program: entry[1:] for entry in ward.index.filters()}
    assert figures == {high: (12, 4, 4), anything: (3, 2, 2)}


def barren(ward: Ward, enough: int, limit: int = 100) -> list[int]:
    records = ward.index.barren(enough, limit)
    assert all(record == ward.index.record(record.number) for record in records)
    return sorted(record.number for record in records)


def test_filters_that_were_tested_often_and_never_matched_are_found(ward: Ward, high: Program) -> None:
    scope = seeing("7")
    numbers = [ward.add(1, topic, scope, high) for topic in ("ecg", "vitals", "patient", "patient:7")]
    ward.add(1, "*", program=filter_of({"severity": "low"}))
    for _ in range(3):
        ward.select("ecg", severity="low")
        ward.select("patient", "7", severity="low")
    ward.select("vitals", severity="low")
    ward.select("vitals", severity="high")
    # Never tested, never matched.
    ward.add(2, "other", scope, high)
    assert barren(ward, 4) == []
    assert barren(ward, 3) == sorted([numbers[0], numbers[2], numbers[3]])
    assert len(barren(ward, 0)) == 4
    for limit in range(4):
        some = barren(ward, 3, limit)
        assert len(some) == min(limit, 3)
        assert set(some) <= set(barren(ward, 3))
    ward.select("patient", None, "7", severity="high")
    assert barren(ward, 3) == [numbers[0]]


def test_messages_one_may_not_see_do_not_make_a_filter_barren(ward: Ward, high: Program) -> None:
    ward.add(1, "patient", seeing("7"), high)
    for _ in range(5):
        ward.select("patient", "8", severity="low")
    assert barren(ward, 1) == []


def test_who_has_had_a_hint_is_not_found_again_before_he_has_another_filter(
    ward: Ward, high: Program
) -> None:
    first, second = (ward.add(slot, "ecg", EVERYONE, high) for slot in (1, 2))
    ward.select("ecg", severity="low")
    assert ward.index.hint(first) is True
    assert barren(ward, 1) == [second]
    ward.index.renew(first, 1.0)
    ward.index.replace(first, high, 2.0)
    assert barren(ward, 1) == [second]
    ward.index.replace(first, filter_of({"severity": "critical"}), 3.0)
    assert barren(ward, 1) == [second]
    ward.select("ecg", severity="low")
    assert barren(ward, 1) == [first, second]
    # The next one in its row starts without a hint.
    ward.index.hint(first)
    ward.index.remove(first)
    assert ward.index.hint(first) is False
    third = ward.add(1, "ecg", EVERYONE, high)
    assert barren(ward, 1) == sorted([second, third])


@pytest.mark.parametrize("topic", ["patient:7", "patient", "ecg"])
def test_many_filters_are_counted_like_few(ward: Ward, topic: str) -> None:
    """Those that a Matcher does not even look at were tested, too."""
    scope = seeing("7")
    numbers = [ward.add(slot, topic, scope, filter_of({"n": {"$gte": slot}})) for slot in range(30)]
    kind, target = ("patient", "7") if topic.startswith("patient") else ("ecg", "x")
    for n in (10, 20, 29, -1):
        ward.select(kind, target, "7", n=n)
    wanted = [sum(n >= slot for n in (10, 20, 29, -1)) for slot in range(30)]
    assert [ward.index.figures(number) for number in numbers] == [(4, matched) for matched in wanted]
    late = ward.add(30, topic, scope, filter_of({"n": 5}))
    assert ward.index.figures(late) == (0, 0)
    for number in numbers[:-5]:
        ward.index.remove(number)
    ward.select(kind, target, "7", n=5)
    assert ward.index.figures(late) == (1, 1)
    assert ward.index.figures(numbers[-1]) == (5, 1)
