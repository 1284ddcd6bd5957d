"""Filters: what is refused, with its path and its reason."""

from typing import Any

import pytest
import reference_filters as reference
from filter_checks import LIMITS, NAN, refusal

from wsserver_core.filters import FilterLimits, compile_filter

pytestmark = pytest.mark.core


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
