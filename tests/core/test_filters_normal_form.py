"""Filters: equal ones have one form, which is a filter itself, and are one program."""

import gc
import sys
from typing import Any

import pytest
import reference_filters as reference
from filter_checks import LIMITS, Level, Severity, refusal

from wsserver_core.filters import FilterError, FilterInterner, FilterLimits, compile_filter

pytestmark = pytest.mark.core


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
