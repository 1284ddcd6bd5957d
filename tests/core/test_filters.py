"""Filters: which messages they match, by values, paths, and connectives."""

from typing import Any

import pytest
from filter_checks import LIMITS, NAN, Level, Severity, holds

from wsserver_core.filters import compile_filter

pytestmark = pytest.mark.core


@pytest.mark.parametrize("source", [None, {}])
def test_no_filter_matches_everything(source: object) -> None:
    program = compile_filter(source, LIMITS)
    assert program.matches_all
    assert program.matches({}, {})
    assert program.source == {}
    assert program.complexity == 0


def test_all_members_must_hold() -> None:
    source = {"severity": "high", "lead": "II"}
    assert holds(source, {"severity": "high", "lead": "II"})
    assert not holds(source, {"severity": "high", "lead": "V1"})
    assert not holds(source, {"severity": "low", "lead": "II"})


def test_a_list_means_any_of_its_values() -> None:
    source = {"severity": ["high", "critical"]}
    assert holds(source, {"severity": "critical"})
    assert not holds(source, {"severity": "normal"})


def test_the_example_of_the_specification_matches_by_derived_fields() -> None:
    source = {"data_type": "ecg", "severity": ["normal", "high"]}
    message = {"type": "ecg_data", "patient_id": 123, "data": [0.1, 0.2]}
    assert holds(source, message, {"data_type": "ecg", "severity": "normal"})
    assert not holds(source, message, {"data_type": "vitals", "severity": "normal"})


def test_a_field_of_the_message_hides_the_derived_one() -> None:
    assert not holds({"severity": "normal"}, {"severity": "high"}, {"severity": "normal"})
    assert not holds({"severity": "normal"}, {"severity": None}, {"severity": "normal"})


def test_derived_fields_stand_at_the_top_only() -> None:
    assert not holds({"meta.severity": "normal"}, {"meta": {}}, {"severity": "normal"})


@pytest.mark.parametrize(
    ("wanted", "found", "expected"),
    [
        (1, 1.0, True), (1.0, 1, True), (0, -0.0, True), (1.5, 1.5, True), (1, 2, False),
        (1, True, False), (True, 1, False), (True, True, True), (False, 0, False), (False, False, True),
        ("1", 1, False), (1, "1", False), ("", "", True), ("true", True, False),
        (None, None, True), (None, 0, False), (None, "", False), (None, False, False),
        (0, NAN, False), (0, [], False), ("a", {}, False), (1, float("inf"), False),
        (3, Level.HIGH, True), ("high", Severity.HIGH, True), (2**53, 2**53, True),
        (-(2**53), -(2.0**53), True), (1, 10**400, False), ("a", b"a", False),
    ],
)  # fmt: skip
def test_equality_knows_types(wanted: object, found: object, expected: bool) -> None:
    assert holds({"field": wanted}, {"field": found}) is expected
    assert holds({"field": [wanted, "never"]}, {"field": found}) is expected


def test_a_missing_field_is_not_null() -> None:
    assert not holds({"field": None}, {})
    assert not holds({"a.field": None}, {"a": {}})
    assert holds({"a.field": None}, {"a": {"field": None}})


@pytest.mark.parametrize("field", ["patient_id", "target_id", "user_id", "bed.patient_id"])
@pytest.mark.parametrize(
    ("wanted", "found", "expected"),
    [
        ("123", 123, True), (123, "123", True), (123, 123, True), (0, 0, True), ("0123", 123, False),
        ("123", "0123", False), (123, 123.0, False), ("1", True, False), (0, "0", True), ("-5", -5, False),
        ("5", Level.HIGH, False), ("3", Level.HIGH, True), ("x", 10**400, False), (None, None, True),
        (None, "None", False),
    ],
)  # fmt: skip
def test_identity_fields_compare_as_canonical_text(
    field: str, wanted: object, found: object, expected: bool
) -> None:
    message = {"bed": {"patient_id": found}} if "." in field else {field: found}
    assert holds({field: wanted}, message) is expected


def test_only_identity_fields_treat_numbers_as_text() -> None:
    assert not holds({"patient": 5}, {"patient": "5"})
    assert not holds({"patient_id.number": 5}, {"patient_id": {"number": "5"}})


def test_a_path_runs_through_objects_and_lists() -> None:
    assert holds({"vitals.hr": 80}, {"vitals": {"hr": 80}})
    assert holds({"vitals.hr": 80}, {"vitals": [{"hr": 70}, "noise", {"hr": 80}]})
    assert holds({"a.b": 1}, {"a": [[{"b": 1}]]})
    assert holds({"a.b": 1}, {"a": ({"b": (2, 1)},)})
    assert not holds({"vitals.hr": 80}, {"vitals": 80})
    assert not holds({"vitals.hr": 80}, {"vitals.hr": 80})
    assert not holds({"leads.0": 1}, {"leads": [1]})


def test_a_list_in_the_message_matches_by_any_element() -> None:
    assert holds({"tags": "icu"}, {"tags": ["ward", "icu"]})
    assert not holds({"tags": "icu"}, {"tags": ["ward"]})
    assert not holds({"tags": None}, {"tags": []})
    assert not holds({"tags": "icu"}, {"tags": [["icu"]]})


def test_each_member_of_a_filter_may_be_met_by_another_element() -> None:
    assert holds({"leads.name": "II", "leads.gain": 2}, {"leads": [{"name": "II"}, {"gain": 2}]})


def test_nothing_is_matched_below_the_nesting_a_message_may_have() -> None:
    def nested(levels: int) -> Any:
        value: Any = {"b": 1}
        for _ in range(levels - 2):
            value = [value]
        return {"a": value}

    assert holds({"a.b": 1}, nested(32))
    assert not holds({"a.b": 1}, nested(33))
    assert not holds({"a.b": 1}, nested(100_000))


def test_names_of_python_mean_nothing() -> None:
    assert not holds({"__class__.__name__": "dict"}, {"a": 1})


def test_a_compiled_filter_leaves_message_and_derived_alone() -> None:
    message, derived = {"a": [1, {"b": 2}]}, {"c": 3}
    holds({"a.b": 2, "c": 3}, message, derived)
    assert (message, derived) == ({"a": [1, {"b": 2}]}, {"c": 3})


@pytest.mark.parametrize("wrong", [None, [], "text"])
def test_only_objects_can_be_matched(wrong: Any) -> None:
    with pytest.raises(TypeError):
        compile_filter({}, LIMITS).matches(wrong, {})
    with pytest.raises(TypeError):
        compile_filter({}, LIMITS).matches({}, wrong)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"$and": [{"a": 1}, {"b": 2}]}, True), ({"$and": [{"a": 1}, {"b": 3}]}, False),
        ({"$and": [{}]}, True),
        ({"$or": [{"a": 0}, {"b": 2}]}, True), ({"$or": [{"a": 0}, {"b": 0}]}, False), ({"$or": [{}]}, True),
        ({"$or": ({"a": 0}, {})}, True), ({"$not": {"a": 1}}, False), ({"$not": {"a": 0}}, True),
        ({"$not": {}}, False), ({"$not": {"a": 1, "b": 0}}, True), ({"$not": {"c": 1}}, True),
        ({"$not": {"$not": {"a": 1}}}, True), ({"$not": {"$or": [{"a": 0}, {"b": 0}]}}, True),
        ({"$or": [{"a": 0}, {"$and": [{"a": 1}, {"$not": {"b": 0}}]}]}, True),
        ({"a": 1, "$or": [{"a": 0}, {"b": 2}]}, True), ({"a": 0, "$or": [{"a": 0}, {"b": 2}]}, False),
        ({"$and": [{"a": 1}], "$or": [{"b": 2}], "$not": {"c": 1}}, True),
        ({"$and": [{"a": 1}], "$or": [{"b": 2}], "$not": {"a": 1}}, False),
        ({"$and": [{"a": {"$gt": 0}}, {"a": {"$gt": 1}}]}, False), ({"$and": [{"a": 1}, {"a": 2}]}, False),
    ],
)  # fmt: skip
def test_filters_are_combined_by_and_or_and_not(source: object, expected: bool) -> None:
    assert holds(source, {"a": 1, "b": 2}) is expected


def test_each_part_of_a_combination_may_be_met_by_another_element() -> None:
    message = {"tags": ["a", "b"]}
    assert holds({"$and": [{"tags": "a"}, {"tags": "b"}]}, message)
    assert not holds({"$and": [{"tags": "a"}, {"tags": {"$ne": "b"}}]}, message)


def test_a_name_below_a_field_may_not_be_a_connective_but_may_be_anything_else() -> None:
    assert holds({"and": 1, "or": {"$gt": 1}, "a$b": 3}, {"and": 1, "or": 2, "a$b": 3})


def test_names_of_python_have_no_meaning_for_operators() -> None:
    for path in ("__class__", "__class__.__name__", "a.__len__", "keys", "a.real"):
        assert not holds({path: {"$exists": True}}, {"a": 1})
