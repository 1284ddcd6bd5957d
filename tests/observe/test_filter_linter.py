"""Hints on filters that do not do what was meant."""

from typing import Any

import pytest

from wsserver.observe.field_census import Sightings
from wsserver.observe.filter_linter import lint_filter
from wsserver_core.filters import FilterLimits, compile_filter

SEEN = Sightings(50, frozenset({"type", "data_type", "severity", "vitals", "vitals.hr"}))
NOTHING = "matches no message at all: what is under $not matches every message"


def lint(
    filters: dict[str, Any], sightings: Sightings = SEEN, tested: int = 0, matched: int = 0
) -> str | None:
    return lint_filter(filters, sightings, tested, matched)


@pytest.mark.parametrize(
    "filters",
    [
        {"$not": {}},
        {"severity": "high", "$not": {}},
        {"$or": [{"$not": {}}, {"severity": 1, "$not": {}}]},
        {"$and": [{"severity": 1}, {"$not": {}}]},
        {"$not": {"$or": [{"severity": 1}, {}]}},
        {"$not": {"$not": {"$not": {}}}},
    ],
)
def test_a_filter_that_can_match_no_message_is_found_at_once(filters: dict[str, Any]) -> None:
    assert lint(filters, Sightings(0, frozenset())) == NOTHING
    assert lint(compile_filter(filters, FilterLimits()).source, Sightings(0, frozenset())) == NOTHING


@pytest.mark.parametrize(
    "filters",
    [
        {},
        {"$or": [{"$not": {}}, {}]},
        {"$not": {"$not": {}}},
        {"$and": [{}]},
        {"$not": {"$or": [{"severity": 1}]}},
    ],
)
def test_a_filter_that_can_match_is_not_taken_for_one_that_cannot(filters: dict[str, Any]) -> None:
    assert lint(filters) is None


@pytest.mark.parametrize(
    ("filters", "hint"),
    [
        ({"data_typ": "ecg"}, "field 'data_typ' was never seen; did you mean 'data_type'?"),
        ({"severity": 1, "vitals.rh": 1}, "field 'vitals.rh' was never seen; did you mean 'vitals.hr'?"),
        ({"hr": {"$gt": 1}}, "field 'hr' was never seen; did you mean 'vitals.hr'?"),
        ({"unheard": 1}, "field 'unheard' was never seen"),
        (
            {"$or": [{"severity": 1}, {"$not": {"vitl": 1}}]},
            "field 'vitl' was never seen; did you mean 'vitals'?",
        ),
        ({"x1": 1, "x2": 1}, "field 'x1' was never seen"),
        ({"unheard": {"$exists": True}}, "field 'unheard' was never seen"),
        ({"unheard": {"$exists": False, "$ne": 1}}, "field 'unheard' was never seen"),
        ({"$not": {"unheard": {"$exists": False}}}, "field 'unheard' was never seen"),
    ],
)
def test_a_field_that_was_never_seen_is_named_with_the_one_that_was_meant(
    filters: dict[str, Any], hint: str
) -> None:
    assert lint(filters, tested=1000) == hint


@pytest.mark.parametrize(
    "filters",
    [
        {"unheard": {"$exists": False}},
        {"$not": {"unheard": {"$exists": True}}},
        {"$not": {"$not": {"unheard": {"$exists": False}}}},
        {"severity": 1, "vitals": 1, "vitals.hr": 1},
    ],
)
def test_a_field_that_was_seen_or_is_wanted_to_be_missing_is_no_fault(filters: dict[str, Any]) -> None:
    assert lint(filters) is None
    assert lint(compile_filter(filters, FilterLimits()).source) is None


def test_severity_and_data_type_always_count_as_seen() -> None:
    bare = Sightings(50, frozenset({"a"}))
    assert lint({"severity": 1, "data_type": 1}, bare) is None
    assert lint({"sevrity": 1}, bare) == "field 'sevrity' was never seen; did you mean 'severity'?"


def test_a_few_messages_say_nothing_about_a_field() -> None:
    assert lint({"unheard": 1}, Sightings(7, SEEN.paths)) is None
    assert lint({"unheard": 1}, Sightings(8, SEEN.paths)) == "field 'unheard' was never seen"


def test_a_field_is_not_called_unseen_where_it_may_have_been_left_out() -> None:
    assert lint({"unheard": 1}, Sightings(50, SEEN.paths, complete=False)) is None
    assert lint({".".join("abcdefghi"): 1}) is None
    assert lint({"x" * 129: 1}) is None
    assert lint({"x" * 128: 1}) is not None


@pytest.mark.parametrize(
    ("tested", "matched", "hint"),
    [
        (99, 0, None),
        (100, 0, "tested 100 times, matched 0 times"),
        (1200, 0, "tested 1,200 times, matched 0 times"),
        (1200, 1, None),
    ],
)
def test_a_filter_that_was_tested_often_and_never_matched_is_told_so(
    tested: int, matched: int, hint: str | None
) -> None:
    fields = "; fields seen: data_type, severity, type, vitals, vitals.hr"
    assert lint({"severity": "hihg"}, tested=tested, matched=matched) == (hint and hint + fields)


def test_how_often_is_enough_can_be_said() -> None:
    assert lint_filter({"severity": 1}, SEEN, 5, 0, enough=6) is None
    assert lint_filter({"severity": 1}, SEEN, 6, 0, enough=6) is not None


@pytest.mark.parametrize("count", [0, 13])
def test_fields_are_listed_only_if_there_are_some_and_few(count: int) -> None:
    paths = frozenset(f"f{number}" for number in range(count))
    assert lint({"severity": 1}, Sightings(50, paths), 100) == "tested 100 times, matched 0 times"


def test_a_hint_names_no_value_and_stays_on_its_line() -> None:
    hint = lint({"un\nheard": "secret"})
    assert hint == r"field 'un\nheard' was never seen"
    hint = lint({"severity": "secret"}, Sightings(50, frozenset({"a\u2028b"})), 100)
    assert hint == r"tested 100 times, matched 0 times; fields seen: a\u2028b"
