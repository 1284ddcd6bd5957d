import pytest

from laws.journal import Rights
from laws.model import Model, asks_for, reaches


def model() -> Model:
    """A user who saw patients 1 and 2 from the 10th second on, and only 1 from 20 (asked) or 22 (held) on."""
    return Model(
        [
            Rights(user="u", patients=["1", "2"], asked=9, held=10),
            Rights(user="u", patients=["1"], asked=20, held=22),
        ]
    )


@pytest.mark.parametrize(
    ("at", "late", "might"),
    [
        (8, 0, False),
        (9, 0, True),
        (15, 0, True),
        (21, 0, True),
        (22.5, 0, False),
        (22.5, 1, True),
        (30, 1, False),
    ],
)
def test_a_right_may_hold_until_its_end_was_told(at: float, late: float, might: bool) -> None:
    assert model().might_see("u", "2", at, late=late) is might


@pytest.mark.parametrize(
    ("since", "until", "always"),
    [(10, 19, True), (9.5, 19, False), (10, 20, False), (12, 30, False), (23, 30, False)],
)
def test_a_right_is_certain_only_between_its_beginning_and_the_asking_for_its_end(
    since: float, until: float, always: bool
) -> None:
    assert model().always_saw("u", "2", since, until) is always


def test_who_keeps_a_right_through_a_change_had_it_always() -> None:
    assert model().always_saw("u", "1", 10, 40)
    assert model().always_saw("u", None, 10, 40)


def test_nobody_has_rights_that_were_not_written_down() -> None:
    assert not model().might_see("v", "1", 15)
    assert not model().always_saw("v", None, 15, 16)


@pytest.mark.parametrize(
    ("topic", "subscription", "does"),
    [
        ("patient:1", "patient:1", True),
        ("patient:1", "patient:2", False),
        ("patient:1", "patient:*", True),
        ("patient:1", "*", True),
        ("patient:1", "type:vitals", False),
        ("ecg:*", "type:ecg", True),
        ("ecg:*", "ecg:7", True),
        ("ecg:7", "ecg:8", False),
        ("ecg:7", "type:ecg", True),
        ("*", "patient:1", True),
    ],
)
def test_which_topics_reach_which_subscriptions(topic: str, subscription: str, does: bool) -> None:
    assert reaches(topic, subscription) is does


@pytest.mark.parametrize(
    ("filters", "does"),
    [
        ({}, True),
        ({"hr": 50}, True),
        ({"hr": {"$gte": 50, "$lt": 51}}, True),
        ({"hr": {"$gt": 50}}, False),
        ({"kind": ["a", "b"]}, True),
        ({"kind": "b"}, False),
        ({"missing": {"$lte": 5}}, False),
        ({"hr": 50, "kind": "b"}, False),
    ],
)
def test_which_filters_ask_for_a_message(filters: dict[str, object], does: bool) -> None:
    assert asks_for(filters, {"hr": 50, "kind": "a"}) is does
