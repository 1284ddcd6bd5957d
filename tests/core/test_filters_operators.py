"""Filters: what each operator matches."""

import math
from typing import Any

import pytest
from filter_checks import NAN, Level, Severity, holds

pytestmark = pytest.mark.core


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
