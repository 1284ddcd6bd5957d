"""Filters: what they match, what is refused, and that equal ones are one."""

import enum
import gc
import random
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
    return compile_filter(source, LIMITS).matches(message, derived or {})


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


# -- what is refused


@pytest.mark.parametrize(
    ("source", "path", "reason"),
    [
        ([], "", "a filter is an object"),
        ("severity", "", "a filter is an object"),
        (0, "", "a filter is an object"),
        ({1: 2}, "", "a key is text"),
        ({"": 1}, "", "an empty name in the path"),
        ({"a..b": 1}, "a..b", "an empty name in the path"),
        ({"a.": 1}, "a.", "an empty name in the path"),
        ({"$or": [{"a": 1}]}, "$or", "unknown operator"),
        ({"a": {"$gt": 5}}, "a.$gt", "unknown operator"),
        ({"a.$size": 5}, "a.$size", "unknown operator"),
        ({"a": {"b": 1}}, "a", "an object; a field inside is named with dots, such as vitals.hr"),
        ({"a": {}}, "a", "an object; a field inside is named with dots, such as vitals.hr"),
        ({"a": []}, "a", "an empty list, which no message can match"),
        ({"a": [[1]]}, "a", "a value is text, a number, true, false or null"),
        ({"a": [{}]}, "a", "a value is text, a number, true, false or null"),
        ({"a": b"x"}, "a", "a value is text, a number, true, false or null"),
        ({"a": NAN}, "a", "a number that is not finite"),
        ({"a": float("-inf")}, "a", "a number that is not finite"),
        ({"a": 2**53 + 1}, "a", "a whole number beyond 2**53"),
        ({"a": -(10**5000)}, "a", "a whole number beyond 2**53"),
        ({"a": "\ud800"}, "a", "text with half of a surrogate pair"),
        ({"\udc00": 1}, "", "text with half of a surrogate pair"),
        ({"patient_id": True}, "patient_id", "an id is text or a whole number from 0"),
        ({"patient_id": 5.0}, "patient_id", "an id is text or a whole number from 0"),
        ({"user_id": [-1]}, "user_id", "an id is text or a whole number from 0"),
    ],
)
def test_what_is_no_filter_is_refused_with_path_and_reason(source: object, path: str, reason: str) -> None:
    fault = refusal(source)
    assert (fault.path, fault.reason) == (path, reason)
    assert str(fault) == (f"{path}: {reason}" if path else reason)


def test_a_refusal_never_repeats_a_value() -> None:
    assert "secret" not in str(refusal({"a": ["secret" * 1000]}))


def test_the_path_in_a_refusal_is_short() -> None:
    assert refusal({"x" * 5000: []}).path == "x" * 128


@pytest.mark.parametrize(
    ("limits", "most", "more"),
    [
        (FilterLimits(max_nodes=2), {"a": 1, "b": 1}, {"a": 1, "b": 1, "c": 1}),
        (FilterLimits(max_depth=2), {"a.b": 1}, {"a.b.c": 1}),
        (FilterLimits(max_values=2), {"a": [1, 2]}, {"a": [1, 2, 3]}),
        (FilterLimits(max_bytes=100), {"a": "x" * 92}, {"a": "x" * 93}),
        (FilterLimits(max_bytes=100), {"a": "\N{EURO SIGN}" * 30}, {"a": "\N{EURO SIGN}" * 31}),
        (LIMITS, {f"k{i}": 1 for i in range(64)}, {f"k{i}": 1 for i in range(65)}),
        (LIMITS, {"a": list(range(256))}, {"a": list(range(257))}),
    ],
)
def test_each_limit_is_inclusive(limits: FilterLimits, most: object, more: object) -> None:
    compile_filter(most, limits)
    refusal(more, limits)


@pytest.mark.parametrize("name", ["max_bytes", "max_nodes", "max_depth", "max_values"])
def test_a_limit_below_one_is_refused(name: str) -> None:
    with pytest.raises(ValueError):
        FilterLimits(**{name: 0})


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
    ],
)
def test_equal_filters_have_one_canonical_form(one: object, other: object) -> None:
    assert compile_filter(one, LIMITS).canonical == compile_filter(other, LIMITS).canonical
    assert compile_filter(one, LIMITS).source == compile_filter(other, LIMITS).source


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1}, {"a": True}), ({"a": 1}, {"a": "1"}), ({"a": 0}, {"a": False}),
        ({"a": None}, {"a": "None"}),
        ({"a": ["b", "c"]}, {"a": "['b','c']"}), ({"a": 1, "b": 2}, {"a": "1,'b':2"}),
        ({"a": "x','y"}, {"a": ["x", "y"]}), ({"a.b": 1}, {"a": 1}),
        ({"a": 1, "b": 2}, {"a": 2, "b": 1}), ({"a": "\n"}, {"a": "\\n"}),
    ],
)  # fmt: skip
def test_different_filters_have_different_canonical_forms(one: object, other: object) -> None:
    assert compile_filter(one, LIMITS).canonical != compile_filter(other, LIMITS).canonical


def test_the_source_is_normalised_and_compiles_to_the_same_program() -> None:
    program = compile_filter({"z": ["b", "a", "a", 2.0, True, False, None], "patient_id": 7}, LIMITS)
    assert program.source == {"patient_id": "7", "z": [None, False, True, 2, "a", "b"]}
    assert compile_filter(program.source, LIMITS).canonical == program.canonical


def test_changing_a_source_does_not_change_the_filter() -> None:
    program = compile_filter({"a": [1, 2]}, LIMITS)
    program.source["a"].append(3)
    assert program.source == {"a": [1, 2]}


def test_complexity_counts_members_and_sixteenths_of_list_values() -> None:
    assert compile_filter({"a": 1, "b.c": "x"}, LIMITS).complexity == 2
    assert compile_filter({"a": list(range(32))}, LIMITS).complexity == 3


def test_a_program_is_made_by_compiling_only() -> None:
    kind = type(compile_filter({}, LIMITS))
    with pytest.raises(TypeError):
        kind()


# -- sharing


def test_equal_filters_are_one_program_while_in_use() -> None:
    interner = FilterInterner(LIMITS)
    program = interner.intern({"a": [1, 2]})
    assert interner.intern({"a": [2.0, 1]}) is program
    assert interner.intern({"a": [1, 3]}) is not program
    assert len(interner) == 2


def test_a_program_is_forgotten_with_its_last_user() -> None:
    interner = FilterInterner(LIMITS)
    program = interner.intern({"a": 1})
    interner.intern({"a": 1})
    interner.retain(program)
    interner.release(program)
    interner.release(program)
    assert len(interner) == 1
    interner.release(program)
    assert len(interner) == 0
    with pytest.raises(ValueError):
        interner.release(program)
    with pytest.raises(ValueError):
        interner.retain(program)


def test_a_program_from_elsewhere_is_not_released() -> None:
    interner = FilterInterner(LIMITS)
    interner.intern({"a": 1})
    with pytest.raises(ValueError):
        interner.release(compile_filter({"a": 1}, LIMITS))
    assert len(interner) == 1


def test_a_refused_filter_leaves_nothing_behind() -> None:
    interner = FilterInterner(FilterLimits(max_nodes=1))
    with pytest.raises(FilterError):
        interner.intern({"a": 1, "b": 2})
    assert len(interner) == 0


# -- against the slow twin


TEXTS = ["", "a", "b", "1", "5", "é", "true", "None"]
SCALARS = [None, True, False, 0, 1, 5, -1, 1.0, 0.5, -0.0, 2**53, 5.0, *TEXTS]
ODD = [NAN, 2**53 + 1, float("inf"), "\ud800", b"", object()]
KEYS = ["a", "b", "c", "patient_id", "user_id", "é"]


def some_message(dice: random.Random, depth: int) -> Any:
    roll = dice.random()
    if depth == 0 or roll < 0.5:
        return dice.choice(ODD if dice.random() < 0.05 else SCALARS)
    if roll < 0.75:
        return dice.choice((list, tuple))(some_message(dice, depth - 1) for _ in range(dice.randrange(4)))
    return {dice.choice(KEYS): some_message(dice, depth - 1) for _ in range(dice.randrange(4))}


def some_object(dice: random.Random) -> dict[str, Any]:
    return {key: some_message(dice, 4) for key in dice.sample(KEYS, dice.randrange(len(KEYS)))}


def some_filter(dice: random.Random) -> dict[Any, Any]:
    source: dict[Any, Any] = {}
    for _ in range(dice.choice((0, 1, 1, 1, 2, 3))):
        path = ".".join(dice.choice(KEYS) for _ in range(dice.choice((1, 1, 1, 2, 3))))
        if dice.random() < 0.03:
            path = dice.choice(["", "a.", "$or", "a.$b", "\ud800", "a.b.c.d.e.f.g.h.i"])
        pool = ODD if dice.random() < 0.03 else SCALARS
        wanted = [dice.choice(pool) for _ in range(dice.randrange(1, 5))]
        source[path] = wanted if dice.random() < 0.4 else wanted[0]
    return source


def test_random_filters_agree_with_the_slow_twin_on_random_messages() -> None:
    dice = random.Random(5)
    seen = {"refused": 0, "matched": 0, "missed": 0}
    for _ in range(4_000):
        source = some_filter(dice)
        try:
            program = compile_filter(source, LIMITS)
        except FilterError:
            assert not reference.is_filter(source), source
            seen["refused"] += 1
            continue
        assert reference.is_filter(source), source
        for _ in range(8):
            message, derived = some_object(dice), some_object(dice)
            expected = reference.matches(source, message, derived)
            assert program.matches(message, derived) is expected, (source, message, derived)
            assert compile_filter(program.source, LIMITS).matches(message, derived) is expected
            seen["matched" if expected else "missed"] += 1
    assert min(seen.values()) > 500, seen


def test_matching_and_compiling_keep_no_references() -> None:
    value, message = "some text " * 3, {"a": [{"b": 1.25}, None]}
    interner = FilterInterner(LIMITS)

    def round_trip() -> None:
        program = interner.intern({"a.b": [value, 1.25], "c": value})
        program.matches(message, {"c": value})
        interner.release(program)
        refusal({"c": [value, {}]})

    round_trip()
    gc.collect()
    before = sys.getrefcount(value), sys.getrefcount(message), sys.getrefcount(message["a"])
    for _ in range(100):
        round_trip()
    gc.collect()
    assert (sys.getrefcount(value), sys.getrefcount(message), sys.getrefcount(message["a"])) == before
