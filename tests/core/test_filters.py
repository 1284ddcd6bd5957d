"""Filters: what they match, what is refused, and that equal ones are one."""

import enum
import gc
import math
import sys
from typing import Any

import pytest
import reference_filters as reference

from wsserver_core.filters import FilterError, FilterInterner, FilterLimits, compile_filter

pytestmark = pytest.mark.core

LIMITS = FilterLimits()
NAN = float("nan")


class Level(enum.IntEnum):
    HIGH = 3


class Severity(str, enum.Enum):  # noqa: UP042 - a StrEnum is another type, with another str()
    HIGH = "high"


def holds(source: object, message: dict[str, Any], derived: dict[str, Any] | None = None) -> bool:
    """What the compiled filter says; the slow twin must say the same."""
    expected = reference.matches(source, message, derived or {})
    assert reference.is_filter(source)
    assert compile_filter(source, LIMITS).matches(message, derived or {}) is expected
    return expected


def refusal(source: object, limits: FilterLimits = LIMITS) -> FilterError:
    with pytest.raises(FilterError) as caught:
        compile_filter(source, limits)
    return caught.value


# -- what matches


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


# -- what operators match


@pytest.mark.parametrize(
    ("wanted", "found", "expected"),
    [
        (1, 1.0, True), (1, 2, False), (1, True, False), ("a", "a", True), (None, None, True),
        (None, 0, False),
        ("a", ["b", "a"], True), ("a", ["b"], False), ("a", [], False), (None, [], False), ("a", {}, False),
        ("a", [["a"]], False), (1, NAN, False),
    ],
)  # fmt: skip
def test_eq_is_a_scalar_and_ne_is_exactly_its_opposite(wanted: object, found: object, expected: bool) -> None:
    assert holds({"field": wanted}, {"field": found}) is expected
    assert holds({"field": {"$eq": wanted}}, {"field": found}) is expected
    assert holds({"field": {"$in": [wanted, "never"]}}, {"field": found}) is expected
    assert holds({"field": {"$ne": wanted}}, {"field": found}) is not expected
    assert holds({"field": {"$nin": [wanted, "never"]}}, {"field": found}) is not expected
    assert holds({"$not": {"field": wanted}}, {"field": found}) is not expected


@pytest.mark.parametrize("message", [{}, {"a": {}}, {"a": 5}, {"a": []}, {"a": [{}, {}]}])
def test_ne_and_nin_hold_for_a_missing_field(message: dict[str, Any]) -> None:
    assert holds({"a.b": {"$ne": 1}}, message)
    assert holds({"a.b": {"$ne": None}}, message)
    assert holds({"a.b": {"$nin": [1, None]}}, message)


def test_ne_is_about_all_elements_of_a_list() -> None:
    assert not holds({"tags": {"$ne": "icu"}}, {"tags": ["ward", "icu"]})
    assert holds({"tags": {"$ne": "icu"}}, {"tags": ["ward", "bed"]})
    assert not holds({"leads.name": {"$nin": ["II", "V1"]}}, {"leads": [{"name": "III"}, {"name": "V1"}]})


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (4, "$lt $lte"), (5, "$lte $gte"), (5.0, "$lte $gte"), (5.5, "$gt $gte"), (-0.0, "$lt $lte"),
        (math.inf, "$gt $gte"), (-math.inf, "$lt $lte"), (10**400, "$gt $gte"), (-(10**400), "$lt $lte"),
        (2**63, "$gt $gte"), (Level.HIGH, "$lt $lte"), (NAN, ""), (True, ""), (False, ""), (None, ""),
        ("5", ""),
        ("6", ""), ({}, ""), ([], ""), ([5], ""), ([4, 6], ""), ({"a": 5}, ""), (b"5", ""),
        (Severity.HIGH, ""),
    ],
)  # fmt: skip
def test_order_is_of_numbers_only(found: object, expected: str) -> None:
    for operator in ("$gt", "$gte", "$lt", "$lte"):
        for bound in (5, 5.0):
            assert holds({"field": {operator: bound}}, {"field": found}) is (operator in expected.split())


def test_whole_numbers_beyond_2_to_the_53_are_ordered_as_doubles() -> None:
    assert not holds({"a": {"$gt": 2**53}}, {"a": 2**53 + 1})
    assert holds({"a": {"$gte": 2**53}}, {"a": 2**53 + 1})
    assert holds({"a": {"$gt": 2**53}}, {"a": 2**53 + 2})
    assert holds({"a": {"$ne": 2**53}}, {"a": 2**53 + 1})


@pytest.mark.parametrize("operator", ["$gt", "$gte", "$lt", "$lte"])
def test_no_order_holds_for_a_missing_field(operator: str) -> None:
    assert not holds({"a": {operator: 0}}, {})
    assert holds({"$not": {"a": {operator: 0}}}, {})


def test_a_range_is_two_conditions_on_one_field() -> None:
    source = {"hr": {"$gte": 40, "$lt": 120}}
    assert [holds(source, {"hr": rate}) for rate in (39, 40, 119.5, 120)] == [False, True, True, False]


def test_a_list_is_no_number_but_numbers_are_found_through_lists() -> None:
    assert not holds({"gain": {"$gt": 1}}, {"gain": [2]})
    assert holds({"leads.gain": {"$gt": 1}}, {"leads": [{"gain": 0}, {"gain": 2}]})
    assert not holds({"leads.gain": {"$gt": 1}}, {"leads": [{"gain": 0}, {"gain": [2]}]})
    # Another number may meet each of the bounds.
    assert holds({"leads.gain": {"$gt": 5, "$lt": 1}}, {"leads": [{"gain": 0}, {"gain": 9}]})


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"a": {"b": 1}}, True), ({"a": {"b": None}}, True), ({"a": {"b": {}}}, True),
        ({"a": {"b": []}}, True),
        ({"a": {"b": False}}, True), ({"a": [{}, {"b": NAN}]}, True), ({"a": [[{"b": 1}]]}, True),
        ({}, False), ({"a": {}}, False), ({"a": None}, False), ({"a": []}, False), ({"a": ["b"]}, False),
        ({"b": 1}, False), ({"a.b": 1}, False),
    ],
)  # fmt: skip
def test_exists_asks_whether_the_field_is_there_whatever_it_is(
    message: dict[str, Any], expected: bool
) -> None:
    assert holds({"a.b": {"$exists": True}}, message) is expected
    assert holds({"a.b": {"$exists": False}}, message) is not expected


@pytest.mark.parametrize(
    ("found", "prefix", "contains"),
    [
        ("pacemaker", True, True), ("pace", True, True), ("a pace", False, True), ("Pace", False, False),
        ("pac", False, False), ("", False, False), (["x", "a pace"], False, True),
        (["x", "pace"], True, True),
        ([["pace"]], False, False), ({"pace": "pace"}, False, False), (b"pace", False, False),
        (None, False, False),
        (5, False, False), ([], False, False),
    ],
)  # fmt: skip
def test_prefix_and_contains_are_of_texts_only(found: object, prefix: bool, contains: bool) -> None:
    assert holds({"field": {"$prefix": "pace"}}, {"field": found}) is prefix
    assert holds({"field": {"$contains": "pace"}}, {"field": found}) is contains


def test_every_text_begins_with_the_empty_text_and_has_it() -> None:
    for operator in ("$prefix", "$contains", "$regex"):
        assert holds({"a": {operator: ""}}, {"a": ""})
        assert not holds({"a": {operator: ""}}, {"a": 5})
        assert not holds({"a": {operator: ""}}, {})


def test_characters_are_compared_and_never_their_bytes_or_looks() -> None:
    composed, combined = "\N{LATIN SMALL LETTER E WITH ACUTE}", "e\N{COMBINING ACUTE ACCENT}"
    assert holds({"a": {"$prefix": "e"}}, {"a": combined})
    assert not holds({"a": {"$prefix": "e"}}, {"a": composed})
    assert not holds({"a": {"$contains": composed}}, {"a": combined})
    assert holds({"a": {"$contains": "\N{GRINNING FACE}"}}, {"a": "\N{PILE OF POO}\N{GRINNING FACE}"})
    assert holds({"a": {"$contains": "\0"}}, {"a": "x\0y"})
    assert not holds({"a": {"$contains": "x"}}, {"a": "\ud800"})


@pytest.mark.parametrize(
    ("pattern", "found", "expected"),
    [
        ("b", "abc", True), ("^b", "abc", False), ("c$", "abc", True), ("a.c", "abc", True),
        ("a.c", "a\nc", False),
        ("(?s)a.c", "a\nc", True), ("^b", "a\nb", False), ("(?m)^b", "a\nb", True), ("B", "abc", False),
        ("(?i)B", "abc", True), ("^.$", "é", True), (r"^\d+$", "123", True), (r"^\d+$", "٣", False),
        ("", "", True),
        ("a", ["b", "a"], True), ("a", [["a"]], False), ("1", 1, False), ("None", None, False),
        ("", None, False),
        ("^(a|aa)+$", "a" * 1000, True), ("^(a|aa)+$", "a" * 999 + "b", False), (r"\x00", "\0", True),
        ("a", Severity.HIGH, False), ("high", Severity.HIGH, True), ("a", {"a": "a"}, False),
    ],
)  # fmt: skip
def test_regex_is_a_search_by_re2(pattern: str, found: object, expected: bool) -> None:
    assert holds({"field": {"$regex": pattern}}, {"field": found}) is expected


@pytest.mark.parametrize(
    ("text", "pattern", "expected"),
    [
        ("a" * 1023 + "b", "b", True),
        ("a" * 1024 + "b", "b", False),
        ("a" * 1024 + "b", "^a+$", True),
        ("a" * 1022 + "é", "é", True),
        ("a" * 1023 + "é", "é", False),
        ("a" * 1023 + "é", "^a+$", True),
        ("é" * 511 + "ab", "ab$", True),
        ("é" * 512 + "b", "b", False),
        ("\N{GRINNING FACE}" * 256 + "b", "b", False),
        ("a" * 1021 + "\N{GRINNING FACE}b", "^a+$", True),
        ("a" * 1_000_000 + "b", "b", False),
    ],
)
def test_regex_looks_at_the_first_1024_bytes_up_to_a_whole_character(
    text: str, pattern: str, expected: bool
) -> None:
    assert holds({"a": {"$regex": pattern}}, {"a": text}) is expected
    assert holds({"a": {"$contains": "b"}}, {"a": text}) is ("b" in text)


@pytest.mark.parametrize("operator", ["$prefix", "$contains", "$regex"])
def test_operators_of_text_look_at_the_first_256_texts(operator: str) -> None:
    source = {"a.b": {operator: "x"}}
    assert holds(source, {"a": {"b": ["n"] * 255 + ["x"]}})
    assert not holds(source, {"a": {"b": ["n"] * 256 + ["x"]}})
    assert holds(source, {"a": {"b": [None, 5, [], {}] * 100 + ["n"] * 255 + ["x"]}})
    assert holds(source, {"a": [{"b": "n"}] * 255 + [{"b": ["x"]}]})
    assert not holds(source, {"a": [{"b": ["n", 5]}] * 256 + [{"b": "x"}]})
    assert holds({"a.b": "x"}, {"a": [{"b": "n"}] * 1000 + [{"b": "x"}]})


@pytest.mark.parametrize("field", ["patient_id", "target_id", "user_id", "bed.patient_id"])
@pytest.mark.parametrize(
    ("wanted", "found", "expected"),
    [
        ({"$eq": 123}, "123", True), ({"$in": [5, "123"]}, 123, True), ({"$ne": "123"}, 123, False),
        ({"$ne": 123}, 123.0, True), ({"$nin": ["5", None]}, 5, False), ({"$nin": ["5", None]}, None, False),
        ({"$prefix": "12"}, 123, True), ({"$prefix": "12"}, "123", True), ({"$prefix": "0"}, 123, False),
        ({"$contains": "23"}, 123, True), ({"$regex": "^1.3$"}, 123, True),
        ({"$regex": "^1.3$"}, "1x3", True),
        ({"$regex": "1"}, True, False), ({"$regex": "1"}, 1.0, False), ({"$contains": "1"}, -1, False),
        ({"$prefix": "N"}, None, False), ({"$prefix": "1"}, [2, 13], True),
        ({"$prefix": ""}, 2**63 - 1, True),
        ({"$prefix": ""}, 2**63, False), ({"$regex": ""}, 10**400, False), ({"$exists": True}, 10**400, True),
        ({"$prefix": "3"}, Level.HIGH, True), ({"$contains": "igh"}, Severity.HIGH, True),
    ],
)  # fmt: skip
def test_operators_of_identity_fields_see_canonical_text(
    field: str, wanted: object, found: object, expected: bool
) -> None:
    message = {"bed": {"patient_id": found}} if "." in field else {field: found}
    assert holds({field: wanted}, message) is expected


def test_only_the_last_name_makes_an_identity_field() -> None:
    assert not holds({"patient_id.n": {"$prefix": "5"}}, {"patient_id": {"n": 5}})
    assert holds({"patient_id.n": {"$gt": 4}}, {"patient_id": {"n": 5}})


def test_operators_see_derived_fields_where_the_message_lacks_them() -> None:
    derived = {"severity": "normal", "rank": 3}
    assert holds({"severity": {"$exists": True}, "rank": {"$gt": 2}}, {}, derived)
    assert holds({"severity": {"$regex": "^nor"}}, {}, derived)
    assert not holds({"severity": {"$ne": "normal"}}, {}, derived)
    assert holds({"severity": {"$ne": "normal"}}, {"severity": None}, derived)
    assert not holds({"rank": {"$gt": 2}}, {"rank": "high"}, derived)
    assert not holds({"bed.rank": {"$exists": True}}, {"bed": {}}, derived)


def test_all_operators_on_a_field_must_hold() -> None:
    source = {"a": {"$prefix": "x", "$contains": "y", "$ne": "xy"}}
    assert [holds(source, {"a": text}) for text in ("xy", "xyz", "xz", "yx")] == [False, True, False, False]


# -- what connectives match


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


# -- what is refused


VALUE = "text, a number, true, false or null"
ID = "text or a whole number"
OBJECT = "an object; a field inside is named with dots, such as vitals.hr"
AROUND = "stands around a filter, not inside a field's operators"


@pytest.mark.parametrize(
    ("source", "path", "reason"),
    [
        ([], "", "object"),
        ("severity", "", "object"),
        (0, "", "object"),
        ({1: 2}, "", "text"),
        ({None: 2}, "", "text"),
        ({"": 1}, "", "empty name"),
        ({"a..b": 1}, "a..b", "empty name"),
        ({"a.": 1}, "a.", "empty name"),
        ({"$where": "1"}, "$where", "unknown operator"),
        ({"$gt": 5}, "$gt", "operator"),
        ({"a.$size": 5}, "a.$size", "unknown operator"),
        ({"a": {"$size": 5}}, "a.$size", "unknown operator"),
        ({"a": {"$ge": 5}}, "a.$ge", "unknown operator; did you mean $gte?"),
        ({"a": {"$regx": 5}}, "a.$regx", "unknown operator; did you mean $regex?"),
        ({"$orr": [{"a": 1}]}, "$orr", "unknown operator; did you mean $or?"),
        ({"a": {"b": 1}}, "a", OBJECT),
        ({"vitals": {"hr": 61}}, "vitals", OBJECT),
        ({"a": {}}, "a", OBJECT),
        ({"a": {"$gt": 5, "b": 1}}, "a", ""),
        ({"a": {5: 5}}, "a", "text"),
        ({"a": {"$and": [{"$gt": 5}]}}, "a.$and", AROUND),
        ({"a": {"$or": [{"$gt": 5}]}}, "a.$or", AROUND),
        ({"a": {"$not": {"$gt": 5}}}, "a.$not", AROUND),
        ({"a": []}, "a", "an empty list"),
        ({"a": ()}, "a", "an empty list"),
        ({"a": {"$in": []}}, "a.$in", "an empty list"),
        ({"a": {"$nin": []}}, "a.$nin", "an empty list"),
        ({"$or": []}, "$or", "an empty list"),
        ({"$and": ()}, "$and", "an empty list"),
        ({"$or": {"a": 1}}, "$or", "list"),
        ({"$and": None}, "$and", "list"),
        ({"$or": [{"a": 1}, 5]}, "$or[1]", "object"),
        ({"$or": [None]}, "$or[0]", "object"),
        ({"$not": [{"a": 1}]}, "$not", "object"),
        ({"$not": None}, "$not", "object"),
        ({"a": {"$in": 5}}, "a.$in", "list"),
        ({"a": {"$nin": "abc"}}, "a.$nin", "list"),
        ({"a": [[1]]}, "a", VALUE),
        ({"a": [{}]}, "a", VALUE),
        ({"a": b"x"}, "a", VALUE),
        ({"a": {"$eq": [1]}}, "a.$eq", VALUE),
        ({"a": {"$ne": {}}}, "a.$ne", VALUE),
        ({"a": {"$in": [1, {1}]}}, "a.$in", VALUE),
        ({"a": NAN}, "a", "not finite"),
        ({"a": float("-inf")}, "a", "not finite"),
        ({"a": {"$gte": NAN}}, "a.$gte", "not finite"),
        ({"a": 2**53 + 1}, "a", "2**53"),
        ({"a": -(10**5000)}, "a", "2**53"),
        ({"a": {"$lt": -(2**53) - 1}}, "a.$lt", "2**53"),
        ({"a": "\ud800"}, "a", "surrogate"),
        ({"\udc00": 1}, "", "surrogate"),
        ({"a": {"$prefix": "\ud800"}}, "a.$prefix", "surrogate"),
        ({"a": {"$gt": True}}, "a.$gt", "number"),
        ({"a": {"$gte": "5"}}, "a.$gte", "number"),
        ({"a": {"$lt": None}}, "a.$lt", "number"),
        ({"a": {"$lte": [5]}}, "a.$lte", "number"),
        ({"a": {"$exists": 1}}, "a.$exists", "true or false"),
        ({"a": {"$exists": None}}, "a.$exists", "true or false"),
        ({"a": {"$prefix": 5}}, "a.$prefix", "text"),
        ({"a": {"$contains": ["x"]}}, "a.$contains", "text"),
        ({"a": {"$regex": None}}, "a.$regex", "text"),
        ({"a": {"$regex": b"x"}}, "a.$regex", "text"),
        ({"a": {"$regex": "("}}, "a.$regex", ""),
        ({"a": {"$regex": r"(a)\1"}}, "a.$regex", ""),
        ({"a": {"$regex": "(?=a)"}}, "a.$regex", ""),
        ({"a": {"$regex": "a{1001}"}}, "a.$regex", ""),
        ({"a": {"$regex": "(?:a{100}){10}"}}, "a.$regex", "a pattern that is too large"),
        ({"a": {"$regex": "x" * 257}}, "a.$regex", "256"),
        ({"patient_id": True}, "patient_id", ID),
        ({"patient_id": 5.0}, "patient_id", ID),
        ({"user_id": [-1]}, "user_id", ID),
        ({"bed.user_id": {"$ne": 0.5}}, "bed.user_id.$ne", ID),
        ({"patient_id": {"$gt": 5}}, "patient_id.$gt", "ids have no order"),
        ({"bed.target_id": {"$lte": 5}}, "bed.target_id.$lte", "ids have no order"),
        ({"$or": [{"b": 1}, {"severity": []}]}, "$or[1].severity", "an empty list"),
        ({"$not": {"a": {"$regex": "["}}}, "$not.a.$regex", ""),
        ({"$and": [{"$or": [{"$not": {"b.c": {"$gtt": 1}}}]}]}, "$and[0].$or[0].$not.b.c.$gtt", "unknown"),
        ({"a": 1, "$or": [{}, {}, {"$not": 5}]}, "$or[2].$not", "object"),
        ({"$or": [{}, {"$and": [{1: 1}]}]}, "$or[1].$and[0]", "text"),
    ],
)  # fmt: skip
def test_what_is_no_filter_is_refused_with_path_and_reason(source: object, path: str, reason: str) -> None:
    fault = refusal(source)
    assert fault.path == path
    assert reason in fault.reason
    assert fault.reason
    assert str(fault) == (f"{path}: {fault.reason}" if path else fault.reason)


@pytest.mark.parametrize("name", ["$xyzzy", "$" + "gt" * 50, "$where", "$"])
def test_nothing_is_proposed_for_an_operator_that_is_like_no_other(name: str) -> None:
    assert refusal({"a": {name: 1}}).reason == "unknown operator"


SECRET = "secret" * 8


@pytest.mark.parametrize(
    "source",
    [
        {"a": ["secret" * 1000, {}]}, {"a": {"$gt": SECRET}}, {"a": {"$eq": [SECRET]}},
        {"a": {"$regex": SECRET * 9}},
        {"a": {"$regex": f"({SECRET}"}}, {"a": {"$regex": f"[{SECRET[::-1]}"}},
        {"a": {"$regex": rf"\p{{{SECRET}}}"}},
        {"a": {"$regex": f"(?={SECRET})"}}, {"a": {"$regex": f"(?P<{SECRET}"}},
        {"a": {"$regex": f"{SECRET}**"}},
        {"a": {"$exists": SECRET}}, {"a": {"$in": SECRET}}, {"$or": SECRET},
        {"$not": SECRET}, SECRET, [SECRET],
        {"a": {"$prefix": SECRET + "\ud800"}}, {"a": [SECRET + "\ud800"]}, {"patient_id": [SECRET, 0.5]},
    ],
)  # fmt: skip
def test_a_refusal_never_repeats_a_value(source: object) -> None:
    assert "secret" not in str(refusal(source))
    assert "terces" not in str(refusal(source))


def test_the_path_in_a_refusal_is_short() -> None:
    assert refusal({"x" * 4000: []}).path == "x" * 128
    assert len(refusal({"a": {"$" + "x" * 4000: 1}}).path) == 128
    source: dict[str, Any] = {"x" * 100: []}
    for _ in range(7):
        source = {"$or": [source]}
    assert len(refusal(source).path) <= 128


def chain(name: str, levels: int) -> dict[str, Any]:
    source: dict[str, Any] = {"a": 1, "b": 1}
    for _ in range(levels):
        source = {name: source if name == "$not" else [source]}
    return source


@pytest.mark.parametrize(
    ("limits", "most", "more"),
    [
        (FilterLimits(max_nodes=2), {"a": 1, "b": 1}, {"a": 1, "b": 1, "c": 1}),
        (FilterLimits(max_nodes=2), {"a": {"$gt": 1, "$lt": 2}}, {"a": {"$gt": 1, "$lt": 2, "$ne": 3}}),
        (FilterLimits(max_nodes=2), {"$not": {"a": 1}}, {"$not": {"a": 1, "b": 1}}),
        (FilterLimits(max_nodes=2), {"$or": [{"a": 1}, {}]}, {"$or": [{"a": 1}, {"b": 1}]}),
        (FilterLimits(max_nodes=2), {"$and": [{"a": 1}, {"b": 1}]}, {"$and": [{"a": 1}, {"b": 1}, {"c": 1}]}),
        (FilterLimits(max_nodes=3), {"$not": {"$not": {"a": 1}}}, {"$not": {"$not": {"$not": {"a": 1}}}}),
        (FilterLimits(max_depth=2), {"a.b": 1}, {"a.b.c": 1}),
        (FilterLimits(max_depth=2), chain("$not", 2), chain("$not", 3)),
        (
            FilterLimits(max_depth=2),
            {"$or": [{"$not": {"a.b": 1}}]},
            {"$or": [{"$not": {"$or": [{"a.b": 1}]}}]},
        ),
        (
            FilterLimits(max_depth=2),
            {"$and": [{"$or": [{"$and": [{"$not": {"a": 1}}]}]}]},
            {"$and": [{"$or": [{"$and": [{"$not": {"$not": {}}}]}]}]},
        ),
        (FilterLimits(max_values=2), {"a": [1, 2]}, {"a": [1, 2, 3]}),
        (FilterLimits(max_values=2), {"a": {"$nin": [1, 2]}}, {"a": {"$nin": [1, 2, 3]}}),
        (FilterLimits(max_bytes=100), {"a": "x" * 92}, {"a": "x" * 93}),
        (FilterLimits(max_bytes=100), {"a": "\N{EURO SIGN}" * 30}, {"a": "\N{EURO SIGN}" * 31}),
        (FilterLimits(max_bytes=20), {"a": {"$prefix": ""}}, {"a": {"$prefix": "x"}}),
        (FilterLimits(max_pattern_bytes=4), {"a": {"$regex": "abcd"}}, {"a": {"$regex": "abcde"}}),
        (FilterLimits(max_pattern_bytes=4), {"a": {"$regex": "éé"}}, {"a": {"$regex": "éé."}}),
        (LIMITS, {f"k{i}": 1 for i in range(64)}, {f"k{i}": 1 for i in range(65)}),
        (LIMITS, {"$or": [{f"k{i}": 1} for i in range(63)]}, {"$or": [{f"k{i}": 1} for i in range(64)]}),
        (LIMITS, {"a": list(range(256))}, {"a": list(range(257))}),
        (LIMITS, {".".join("abcdefgh"): 1}, {".".join("abcdefghi"): 1}),
        (LIMITS, chain("$not", 8), chain("$not", 9)),
        (LIMITS, chain("$or", 8), chain("$or", 9)),
        (FilterLimits(max_nodes=2), {"$or": [{"a": 1}, *[{}] * 6]}, {"$or": [{"a": 1}, *[{}] * 7]}),
        (LIMITS, {"$and": [{}] * 255}, {"$and": [{}] * 256}),
        (
            FilterLimits(max_pattern_bytes=90),
            {"a": {"$regex": "x" * 90}},
            {"a": {"$regex": "x" * 91}},
        ),
        (LIMITS, {"a": {"$regex": "(?:a{15}){10}"}}, {"a": {"$regex": "(?:a{17}){10}"}}),
    ],
)
def test_each_limit_is_inclusive(limits: FilterLimits, most: object, more: object) -> None:
    bounds = {
        "nodes": limits.max_nodes,
        "depth": limits.max_depth,
        "values": limits.max_values,
        "pattern_bytes": limits.max_pattern_bytes,
    }
    compile_filter(most, limits)
    assert reference.is_filter(most, **bounds)
    fault = refusal(more, limits)
    # The twin knows nothing of the bytes of a filter and the size of a pattern.
    assert reference.is_filter(more, **bounds) is fault.reason.endswith(
        ("100 bytes", "20 bytes", "too large")
    )


def test_an_and_adds_no_level_but_is_an_object_more() -> None:
    # Too deep for the twin.
    assert compile_filter(chain("$and", 255), LIMITS).source == {"a": 1, "b": 1}
    refusal(chain("$and", 256))


LIMIT_NAMES = ["max_bytes", "max_nodes", "max_depth", "max_values", "max_pattern_bytes"]


@pytest.mark.parametrize("name", LIMIT_NAMES)
def test_a_limit_below_one_is_refused(name: str) -> None:
    with pytest.raises(ValueError):
        FilterLimits(**{name: 0})


def test_limits_can_be_read() -> None:
    assert [getattr(LIMITS, name) for name in LIMIT_NAMES] == [4096, 64, 8, 256, 256]


# -- one form for equal filters


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({"a": [1, 2, "x", None, True]}, {"a": [True, "x", 2, None, 1, 1.0]}),
        ({"a": 1}, {"a": [1.0]}),
        ({"a": -0.0}, {"a": 0}),
        ({"patient_id": 5}, {"patient_id": ["5", 5]}),
        ({}, None),
        ({"a": Severity.HIGH, "b": Level.HIGH}, {"a": "high", "b": 3}),
        ({"a": 1}, {"a": {"$eq": 1}}),
        ({"a": 1}, {"a": {"$in": (1, 1.0)}}),
        ({"a": [1, 2]}, {"a": {"$in": [2, 1]}}),
        ({"a": {"$ne": 1}}, {"a": {"$nin": [1]}}),
        ({"a": {"$ne": 1}}, {"$not": {"a": 1}}),
        ({"a": {"$nin": [1, 2]}}, {"$not": {"a": [2, 1, 2]}}),
        ({"a": 1}, {"$not": {"a": {"$ne": 1}}}),
        ({"a": [1, 2]}, {"$not": {"a": {"$nin": [1, 2]}}}),
        ({"patient_id": {"$nin": [5, 6]}}, {"patient_id": {"$nin": ["6", "5"]}}),
        ({"a": {"$gt": 1, "$lt": 5}}, {"a": {"$lt": 5.0, "$gt": 1.0}}),
        ({"a": {"$gt": 1, "$lt": 5}}, {"$and": [{"a": {"$lt": 5}}, {"a": {"$gt": 1}}]}),
        ({"a": {"$exists": False}}, {"$not": {"a": {"$exists": True}}}),
        ({"a": {"$exists": True}}, {"$not": {"a": {"$exists": False}}}),
        ({"a": {"$gt": 1}}, {"$not": {"$not": {"a": {"$gt": 1}}}}),
        ({"$not": {"a": {"$gt": 1}}}, {"$not": {"$not": {"$not": {"a": {"$gt": 1}}}}}),
        ({"a": 1, "b": 2}, {"$and": [{"b": 2}, {"a": 1}, {"a": 1.0}]}),
        ({"a": 1, "b": 2}, {"$and": [{"$and": [{"b": 2}]}, {"a": 1}]}),
        ({"a": 1, "b": 2}, {"a": 1, "$and": [{"b": 2}]}),
        ({"$or": [{"a": 1}, {"b": 2}]}, {"$or": [{"b": 2}, {"a": 1}, {"b": 2.0}]}),
        ({"$or": [{"a": 1}, {"b": 2}, {"c": 3}]}, {"$or": [{"$or": [{"c": 3}, {"b": 2}]}, {"a": 1}]}),
        ({"a": 1}, {"$or": [{"a": 1}]}),
        ({"a": 1}, {"$or": [{"a": 1}, {"a": 1}]}),
        ({"a": 1}, {"$and": [{"a": 1}, {}]}),
        ({"a": 1}, {"a": 1, "$or": [{"b": 1}, {}]}),
        ({}, {"$or": [{"b": 1}, {}]}),
        ({}, {"$and": [{}]}),
        ({}, {"$not": {"$not": {}}}),
        ({"$not": {}}, {"$not": {"$or": [{}, {"a": 1}]}}),
        ({"$not": {"a": 1, "b": 2}}, {"$not": {"$and": [{"b": 2}, {"a": 1}]}}),
    ],
)
def test_equal_filters_have_one_canonical_form(one: object, other: object) -> None:
    assert compile_filter(one, LIMITS).canonical == compile_filter(other, LIMITS).canonical
    assert compile_filter(one, LIMITS).source == compile_filter(other, LIMITS).source


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1}, {"a": True}), ({"a": 1}, {"a": "1"}), ({"a": 0}, {"a": False}),
        ({"a": None}, {"a": "None"}), ({"a": None}, {"a": "null"}), ({"a": True}, {"a": "true"}),
        ({"a": ["b", "c"]}, {"a": "['b','c']"}), ({"a": 1, "b": 2}, {"a": "1,'b':2"}),
        ({"a": "x','y"}, {"a": ["x", "y"]}), ({"a": 'x","y'}, {"a": ["x", "y"]}), ({"a.b": 1}, {"a": 1}),
        ({"a": 1, "b": 2}, {"a": 2, "b": 1}), ({"a": "\n"}, {"a": "\\n"}), ({"a": {"$gt": 1}},
        {"a": {"$gte": 1}}),
        ({"a": {"$gt": 1}}, {"a": {"$gt": 1.5}}), ({"a": {"$prefix": "x"}}, {"a": {"$contains": "x"}}),
        ({"a": {"$prefix": "x"}}, {"a": {"$regex": "x"}}), ({"a": {"$ne": 1}}, {"a": 1}),
        ({"a": {"$ne": 1}}, {"a": {"$ne": True}}), ({"a": {"$ne": None}}, {"a": {"$exists": True}}),
        ({"a": {"$exists": True}}, {"a": {"$exists": False}}), ({"$not": {"a": {"$gt": 1}}},
        {"a": {"$lte": 1}}),
        ({"$or": [{"a": 1}, {"b": 2}]}, {"a": 1, "b": 2}), ({"$not": {}}, {}), ({"$not": {"a": 1, "b": 2}},
        {}),
        ({"$or": [{"a": 1}, {"b": 2}], "c": 3}, {"$or": [{"a": 1, "c": 3}, {"b": 2}]}),
        ({"$and": [{"a": 1}, {"a": 2}]}, {"a": [1, 2]}), ({"a": {"$regex": "x"}}, {"a": {"$regex": "(x)"}}),
    ],
)  # fmt: skip
def test_different_filters_have_different_canonical_forms(one: object, other: object) -> None:
    assert compile_filter(one, LIMITS).canonical != compile_filter(other, LIMITS).canonical


@pytest.mark.parametrize(
    ("source", "normal"),
    [
        ({"b": 1, "a": {"$eq": 2.0}}, {"a": 2, "b": 1}),
        ({"a": {"$in": ["x"]}}, {"a": "x"}),
        ({"a": {"$in": ["b", 1.5, "a", -1.0, True, False, None]}},
        {"a": [None, False, True, -1, 1.5, "a", "b"]}),
        ({"a": {"$nin": ["b", "a", 1, None]}}, {"a": {"$nin": [None, 1, "a", "b"]}}),
        ({"a": {"$nin": ["x", "x"]}}, {"a": {"$ne": "x"}}),
        ({"a": {"$ne": 1.0}}, {"a": {"$ne": 1}}),
        ({"patient_id": {"$ne": 7}}, {"patient_id": {"$ne": "7"}}),
        ({"a": {"$exists": False}}, {"a": {"$exists": False}}),
        ({"$not": {"a": "x"}}, {"a": {"$ne": "x"}}),
        ({"$not": {"a": {"$exists": True}}}, {"a": {"$exists": False}}),
        ({"$not": {"$not": {"b": 1, "a": 2}}}, {"a": 2, "b": 1}),
        ({"$or": [{"a": {"$gt": 1.0}}]}, {"a": {"$gt": 1}}),
        ({"$and": [{"a": {"$gte": 1}}, {"a": {"$lt": 5}}]}, {"a": {"$gte": 1, "$lt": 5}}),
        ({"$and": [{"$and": [{"a": 1}]}, {"b": 2}, {}]}, {"a": 1, "b": 2}),
        ({"$or": [{"$or": [{"c": 1}, {"b": 1}]}, {"a": 1}]}, {"$or": [{"a": 1}, {"b": 1}, {"c": 1}]}),
        ({"$or": [{}, {"a": 1}], "b": 2}, {"b": 2}),
        ({"$not": {}}, {"$not": {}}),
    ],
)  # fmt: skip
def test_the_source_is_the_normal_form(source: object, normal: dict[str, Any]) -> None:
    program = compile_filter(source, LIMITS)
    assert repr(program.source) == repr(normal)
    assert compile_filter(program.source, LIMITS).canonical == program.canonical


@pytest.mark.parametrize(
    "source",
    [
        {"$and": [{"a": 1}, {"a": 2}]},
        {"$and": [{"a": {"$gt": 1}}, {"a": {"$gt": 2}}, {"a": {"$gt": 3}}]},
        {"$and": [{"$or": [{"a": 1}, {"b": 1}]}, {"$or": [{"c": 1}, {"d": 1}]}]},
        {"$and": [{"$not": {"a": {"$gt": 1}}}, {"$not": {"b": {"$gt": 1}}}]},
        {"$or": [{"$and": [{"a": 1}, {"a": 2}]}, {"b": 1}]},
        {"a": {"$eq": 1, "$in": [2]}},
        {"a": {"$ne": 1, "$nin": [2]}},
        {"a": {"$eq": 1, "$in": [1, 2], "$ne": 3, "$nin": [4, 5]}},
    ],
)
def test_conditions_that_would_take_the_same_place_are_all_kept(source: object) -> None:
    program = compile_filter(source, LIMITS)
    again = compile_filter(program.source, LIMITS)
    assert again.canonical == program.canonical
    for value in ([1], [1, 2], [2, 3], [3, 4], 2.5, None):
        message = {"a": value, "c": 1}
        assert (
            again.matches(message, {})
            is program.matches(message, {})
            is reference.matches(source, message, {})
        )


@pytest.mark.parametrize(
    ("limits", "source"),
    [
        (LIMITS, {f"k{number}": {"$eq": 1, "$in": [2]} for number in range(32)}),
        (LIMITS, {f"k{number}": {"$ne": 1, "$nin": [2]} for number in range(32)}),
        (
            LIMITS,
            {"$or": [{"a": {"$eq": 1, "$in": [2]}, "b": 1}] + [{f"k{number}": 1} for number in range(60)]},
        ),
        (FilterLimits(max_depth=1), {"$or": [{"a": {"$eq": 1, "$in": [2]}}, {"b": 1}]}),
        (FilterLimits(max_values=2), {"$or": [{"$or": [{"a": 1}, {"b": 1}]}, {"$or": [{"c": 1}, {"d": 1}]}]}),
        (FilterLimits(max_values=1), {f"k{number}": {"$eq": 1, "$in": [2]} for number in range(2)}),
    ],
)
def test_the_normal_form_is_a_filter_within_the_same_limits(limits: FilterLimits, source: object) -> None:
    program = compile_filter(source, limits)
    assert compile_filter(program.source, limits).canonical == program.canonical


def test_the_normal_form_of_a_deep_filter_is_a_filter() -> None:
    source: dict[str, Any] = {"a": {"$eq": 1, "$in": [2]}}
    for level in range(8):
        source = {"$or": [{f"k{level}": 1}, source]} if level % 2 else {"$not": {**source, f"k{level}": 1}}
    program = compile_filter(source, LIMITS)
    assert compile_filter(program.source, LIMITS).canonical == program.canonical


def test_changing_a_source_does_not_change_the_filter() -> None:
    wanted = [1, 2]
    program = compile_filter({"a": wanted, "$or": [{"b": {"$nin": [3, 4]}}, {"c": 1}]}, LIMITS)
    before = program.source
    wanted.append(3)
    changed = program.source
    changed["a"].append(3)
    changed["$or"][0]["b"]["$nin"].append(5)
    changed["$or"].clear()
    assert program.source == before
    assert program.matches({"a": 1, "b": 5}, {})


@pytest.mark.parametrize(
    ("source", "complexity"),
    [
        ({}, 0), ({"a": 1, "b.c": "x"}, 2), ({"a": list(range(32))}, 3), ({"a": {"$gt": 1, "$lt": 2}}, 2),
        ({"a": {"$nin": list(range(16))}}, 2), ({"a": {"$in": [1, 1]}}, 1), ({"a": {"$in": [1, 2]}}, 1.125),
        ({"a": {"$regex": "x"}}, 6), ({"a": {"$prefix": "x", "$regex": "y"}}, 7),
        ({"a": {"$exists": False}}, 1),
        ({"$or": [{"a": 1}, {"b": 1}]}, 3), ({"$or": [{"a": 1}, {"b": 1}], "c": 1}, 4), ({"$not": {}}, 1),
        ({"$not": {"a": {"$gt": 1}}}, 2), ({"$not": {"a": 1}}, 1), ({"$and": [{"a": 1}, {"b": 1}]}, 2),
        ({"$or": [{"a": 1}]}, 1), ({"$not": {"$or": [{"a": {"$regex": "x"}}, {"b": [1, 2]}]}}, 9.125),
    ],
)  # fmt: skip
def test_complexity_counts_the_normal_form_and_weighs_lists_and_patterns(
    source: object, complexity: float
) -> None:
    assert compile_filter(source, LIMITS).complexity == complexity


@pytest.mark.parametrize(
    "source", [None, {}, {"$and": [{}, {}]}, {"$or": [{"a": 1}, {}]}, {"$not": {"$not": {}}}]
)
def test_a_filter_that_says_nothing_matches_all(source: object) -> None:
    program = compile_filter(source, LIMITS)
    assert program.matches_all
    assert program.source == {}
    assert program.canonical == b"{}"


def test_a_filter_that_says_something_does_not_match_all() -> None:
    for source in ({"a": 1}, {"$not": {}}, {"$or": [{"a": 1}, {"b": 1}]}, {"a": {"$regex": ""}}):
        assert not compile_filter(source, LIMITS).matches_all


def test_a_program_is_made_by_compiling_only() -> None:
    kind = type(compile_filter({}, LIMITS))
    with pytest.raises(TypeError):
        kind()


# -- sharing


def test_equal_filters_are_one_program_while_in_use() -> None:
    interner = FilterInterner(LIMITS)
    program = interner.intern({"a": [1, 2]})
    assert interner.intern({"a": [2.0, 1]}) is program
    assert interner.intern({"$not": {"a": {"$nin": [1, 2]}}}) is program
    assert interner.intern({"a": [1, 3]}) is not program
    assert len(interner) == 2


def test_programs_that_share_conditions_stay_themselves() -> None:
    interner = FilterInterner(LIMITS)
    ranged = interner.intern({"hr": {"$gt": 40, "$lt": 120}, "note": {"$regex": "lead"}})
    either = interner.intern({"$or": [{"hr": {"$gt": 40}}, {"note": {"$regex": "lead"}}]})
    for message, in_both, in_one in (
        ({"hr": 50, "note": "a lead"}, True, True),
        ({"hr": 50, "note": "-"}, False, True),
        ({"hr": 130, "note": "lead"}, False, True),
        ({"hr": 30}, False, False),
    ):
        assert (ranged.matches(message, {}), either.matches(message, {})) == (in_both, in_one)
    interner.release(ranged)
    assert either.matches({"note": "lead off"}, {})
    assert ranged.matches({"hr": 50, "note": "lead"}, {})
    assert not ranged.matches({"hr": 50, "note": "led"}, {})


def test_a_program_remembers_nothing_of_the_message_before() -> None:
    program = compile_filter({"$or": [{"a": 1, "b": {"$regex": "x"}}, {"c": {"$gt": 1}}]}, LIMITS)
    message: dict[str, Any] = {"a": 1, "b": "x"}
    assert program.matches(message, {})
    message["a"] = 2
    assert not program.matches(message, {})
    assert program.matches(message, {"c": 2})
    assert not program.matches(message, {})


def test_a_program_is_forgotten_with_its_last_user() -> None:
    interner = FilterInterner(LIMITS)
    program = interner.intern({"a": 1})
    interner.intern({"a": 1})
    interner.intern({"a": 1.0})
    interner.release(program)
    interner.release(program)
    assert len(interner) == 1
    interner.release(program)
    assert len(interner) == 0
    with pytest.raises(ValueError):
        interner.release(program)


def test_a_program_from_elsewhere_is_not_released() -> None:
    interner = FilterInterner(LIMITS)
    interner.intern({"a": 1})
    with pytest.raises(ValueError):
        interner.release(compile_filter({"a": 1}, LIMITS))
    assert len(interner) == 1


def test_a_refused_filter_leaves_nothing_behind() -> None:
    interner = FilterInterner(FilterLimits(max_nodes=2))
    for source in ({"a": 1, "b": 2, "c": 3}, {"a": 1, "b": {"$regex": "("}}, {"$not": {"a": 1, "b": 2}}):
        with pytest.raises(FilterError):
            interner.intern(source)
    assert len(interner) == 0


def test_matching_and_compiling_keep_no_references() -> None:
    value, message = "some text " * 3, {"a": [{"b": 1.25}, None]}
    interner = FilterInterner(LIMITS)

    def round_trip() -> None:
        program = interner.intern(
            {"a.b": [value, 1.25], "c": value, "$or": [{"d": {"$prefix": value}}, {"c": {"$regex": "some"}}]}
        )
        program.matches(message, {"c": value})
        interner.release(program)
        refusal({"c": [value, {}]})
        refusal({"$not": {"c": {"$contains": value, "$regex": "("}}})

    round_trip()
    gc.collect()
    before = sys.getrefcount(value), sys.getrefcount(message), sys.getrefcount(message["a"])
    for _ in range(100):
        round_trip()
    gc.collect()
    assert (sys.getrefcount(value), sys.getrefcount(message), sys.getrefcount(message["a"])) == before
