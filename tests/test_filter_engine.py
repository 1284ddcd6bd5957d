"""Filters between the wire and the compiled core."""

from typing import Any

import pytest

from wsserver.errors import FILTER_ERROR, ServerError
from wsserver.filter_engine import FilterEngine
from wsserver.settings import FilterSettings


@pytest.fixture
def engine() -> FilterEngine:
    return FilterEngine(FilterSettings())


def test_equal_filters_share_one_program_until_the_last_gives_it_back(engine: FilterEngine) -> None:
    first = engine.take({"a": 1, "b": "x"})
    second = engine.take({"b": "x", "a": 1.0})
    assert first is second
    assert len(engine) == 1
    engine.give_back(first)
    assert len(engine) == 1
    engine.give_back(second)
    assert len(engine) == 0


@pytest.mark.parametrize("call", ["take", "validate", "matches"])
def test_a_faulty_filter_is_1008_with_its_path_and_reason_and_without_its_values(
    engine: FilterEngine, call: str
) -> None:
    faulty: dict[str, Any] = {"vitals.hr": {"$gt": "secret-value"}}
    arguments = ({}, faulty, {}) if call == "matches" else (faulty,)
    with pytest.raises(ServerError) as refused:
        getattr(engine, call)(*arguments)
    error = refused.value
    assert error.kind is FILTER_ERROR
    assert error.details is not None
    assert error.details["path"].startswith("vitals.hr")
    assert error.details["reason"]
    assert "secret-value" not in str(error.as_dict())
    assert error.__cause__ is None
    assert len(engine) == 0


def test_validating_gives_the_normal_form_and_keeps_nothing(engine: FilterEngine) -> None:
    assert engine.validate({"a": ["x", "y"]}) == {"a": ["x", "y"]}
    assert engine.validate(None) == {}
    assert len(engine) == 0


def test_a_filter_holds_for_what_the_message_says_and_else_for_what_is_derived(engine: FilterEngine) -> None:
    assert engine.matches({"a": 1}, {"a": [1, 2], "severity": "info"}, {"severity": "info"})
    assert not engine.matches({"severity": "high"}, {"severity": "info"}, {"severity": "info"})


@pytest.mark.parametrize(
    ("bounds", "good", "bad"),
    [
        ({"max_values": 2}, {"a": [1, 2]}, {"a": [1, 2, 3]}),
        ({"max_nodes": 1}, {"a": 1}, {"a": 1, "b": 2}),
        ({"max_depth": 2}, {"a.b": 1}, {"a.b.c": 1}),
        ({"max_bytes": 16}, {"a": "x"}, {"a": "x" * 16}),
    ],
)
def test_new_bounds_hold_for_filters_to_come(
    engine: FilterEngine, bounds: dict[str, int], good: dict[str, Any], bad: dict[str, Any]
) -> None:
    in_use = engine.take(bad)
    engine.configure(FilterSettings(**bounds))
    engine.take(good)
    another = {f"q{name}": value for name, value in bad.items()}
    for call in (engine.take, engine.validate):
        with pytest.raises(ServerError):
            call(another)
    assert in_use.source == bad
