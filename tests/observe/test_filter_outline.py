"""The parts of a filter, as they were written."""

from typing import Any

import pytest

from wsserver.observe.filter_outline import Condition, Connective, Part, outline
from wsserver_core.filters import FilterError, FilterLimits, compile_filter


def conditions(part: Part) -> list[Condition]:
    if isinstance(part, Condition):
        return [part]
    return [found for one in part.parts for found in conditions(one)]


def test_each_way_to_write_equality_has_its_operator() -> None:
    filters = {"a": 1, "b": [1, 2], "c": (3,), "d": None, "e": {"$eq": 5, "$in": [6]}}
    assert [(one.place, one.path, one.operator, one.wanted) for one in conditions(outline(filters))] == [
        ("a", "a", "$eq", 1),
        ("b", "b", "$in", (1, 2)),
        ("c", "c", "$in", (3,)),
        ("d", "d", "$eq", None),
        ("e.$eq", "e", "$eq", 5),
        ("e.$in", "e", "$in", (6,)),
    ]


def test_connectives_stand_where_they_were_written() -> None:
    filters = {"$or": [{"a": 1}, {"$not": {"b.c": {"$gt": 2}}}], "d": 3, "$and": ({"e": 4}, {})}
    whole = outline(filters)
    assert [one.place for one in conditions(whole)] == ["$or[0].a", "$or[1].$not.b.c.$gt", "d", "$and[0].e"]
    assert (whole.name, whole.place) == ("$and", "")
    either, plain, both = whole.parts
    assert isinstance(either, Connective)
    assert (either.name, either.place) == ("$or", "$or")
    assert isinstance(plain, Condition)
    assert isinstance(both, Connective)
    assert both.parts[1] == Connective("$and[1]", "$and", ())
    inner = either.parts[1]
    assert isinstance(inner, Connective)
    assert isinstance(inner.parts[0], Connective)
    assert (inner.parts[0].name, inner.parts[0].place) == ("$not", "$or[1].$not")


@pytest.mark.parametrize(
    "filters",
    [
        {"a": {"$gt": "x"}},
        {"$or": [{}, {"b": [[]]}]},
        {"$not": {"c.d": {"$regex": "("}}},
        {"$and": [{"e": {"$in": []}}]},
    ],
)
def test_places_are_those_of_refusals(filters: dict[str, Any]) -> None:
    with pytest.raises(FilterError) as refusal:
        compile_filter(filters, FilterLimits())
    assert refusal.value.path in [one.place for one in conditions(outline(filters))]
