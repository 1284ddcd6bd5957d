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


@pytest.mark.parametrize(
    ("faulty", "ending"),
    [
        ({"a": {"$get": 1}}, "unknown operator; did you mean $gt?"),
        ({"a": {"$where": 1}}, "unknown operator."),
    ],
)
def test_the_text_of_a_refusal_is_the_reason_as_one_sentence(
    engine: FilterEngine, faulty: dict[str, Any], ending: str
) -> None:
    with pytest.raises(ServerError) as refused:
        engine.take(faulty)
    error = refused.value.as_dict()
    assert error["message"] == f"Invalid filter: {ending}"
    assert error["details"] == {"path": f"a.{next(iter(faulty['a']))}", "reason": ending.removesuffix(".")}


# -- patterns


def pattern(*texts: str) -> dict[str, Any]:
    """A filter with these patterns, each on a field of its own."""
    return {f"f{number}": {"$regex": text} for number, text in enumerate(texts)}


def test_as_many_distinct_patterns_as_allowed_are_taken_and_one_more_is_1008() -> None:
    engine = FilterEngine(FilterSettings(max_patterns_per_connection=3))
    held = [engine.take(pattern("a", "b")), engine.take(pattern("b", "c"))]
    engine.check_patterns(held)
    engine.check_patterns([])
    with pytest.raises(ServerError) as refused:
        engine.check_patterns([*held, engine.take(pattern("d"))])
    assert refused.value.kind is FILTER_ERROR
    reason = "more than 3 distinct patterns on one connection"
    assert refused.value.details == {"path": "$regex", "reason": reason}


def test_the_same_pattern_counts_once_however_often_and_wherever_it_stands(engine: FilterEngine) -> None:
    everywhere = {"$or": [pattern("a"), {"$not": pattern("a", "a")}], **pattern("a")}
    programs = [engine.take({**everywhere, "n": number}) for number in range(50)]
    engine.configure(FilterSettings(max_patterns_per_connection=1))
    engine.check_patterns(programs)


def test_patterns_are_told_apart_by_their_spelling(engine: FilterEngine) -> None:
    engine.configure(FilterSettings(max_patterns_per_connection=1))
    with pytest.raises(ServerError):
        engine.check_patterns([engine.take(pattern("lead", "(?i)lead"))])


def test_a_new_bound_on_patterns_holds_at_once(engine: FilterEngine) -> None:
    program = engine.take(pattern("a", "b"))
    engine.check_patterns([program])
    engine.configure(FilterSettings(max_patterns_per_connection=1))
    with pytest.raises(ServerError):
        engine.check_patterns([program])


def test_a_pattern_may_have_so_many_bytes_and_no_more() -> None:
    engine = FilterEngine(FilterSettings(max_pattern_bytes=4))
    engine.take(pattern("abcd"))
    engine.take(pattern("éa."))
    for text in ("abcde", "ééé"):
        with pytest.raises(ServerError) as refused:
            engine.take(pattern(text))
        assert refused.value.kind is FILTER_ERROR
        assert text not in str(refused.value.as_dict())


# -- how much work filters are


def test_the_average_complexity_is_that_of_subscriptions_not_of_distinct_filters(
    engine: FilterEngine,
) -> None:
    assert engine.average_complexity == 0.0
    simple = [engine.take({"a": 1}) for _ in range(3)]
    assert engine.average_complexity == 1.0
    dear = engine.take(pattern("x"))
    assert dear.complexity == 6.0
    assert engine.average_complexity == 2.25
    for program in simple:
        engine.give_back(program)
    assert engine.average_complexity == 6.0
    engine.give_back(dear)
    assert engine.average_complexity == 0.0


def test_the_average_never_drifts_however_often_filters_come_and_go(engine: FilterEngine) -> None:
    """A sixteenth for each value is exact in a float, a hundred thousand of them added up are, too."""
    kept = engine.take({"a": [1, 2, 3]})
    before = engine.average_complexity
    for number in range(2000):
        engine.give_back(engine.take({"a": list(range(number % 7 + 1)), "b": number}))
    assert engine.average_complexity == before == round(kept.complexity, 2)


def test_what_is_refused_or_only_looked_at_does_not_count(engine: FilterEngine) -> None:
    engine.validate({"a": 1})
    engine.matches({}, {"a": 1}, {})
    with pytest.raises(ServerError):
        engine.take({"a": []})
    assert engine.average_complexity == 0.0


# -- severities


@pytest.mark.parametrize(
    ("body", "severity"),
    [
        ({}, "calm"),
        ({"type": "ecg_data"}, "calm"),
        ({"type": "my_alert"}, "loud"),
        ({"type": "alert"}, "loud"),
        ({"type": "drug_alert"}, "odd"),
        ({"type": "note"}, "quiet"),
    ],
)
def test_the_severity_of_a_message_without_one_is_as_the_settings_say(
    body: dict[str, Any], severity: str
) -> None:
    settings = FilterSettings(
        severity_data="calm",
        severity_alert="loud",
        severity_by_type={"drug_alert": "odd", "note": "quiet"},
    )
    for engine in (FilterEngine(settings), FilterEngine(FilterSettings())):
        engine.configure(settings)
        published = engine.published(body)
        assert (published.severity, published.derived["severity"]) == (severity, severity)
        assert engine.matches(published.body, {"severity": severity}, published.derived)
        assert "severity" not in published.body


def test_a_severity_that_a_message_has_goes_before_all_settings() -> None:
    engine = FilterEngine(FilterSettings(severity_data="calm", severity_by_type={"note": "quiet"}))
    published = engine.published({"type": "note", "severity": "high"})
    assert published.severity == "high"
    assert engine.matches(published.body, {"severity": "high"}, published.derived)
    assert not engine.matches(published.body, {"severity": ["quiet", "calm"]}, published.derived)


def test_by_default_alerts_are_info_and_everything_else_is_normal(engine: FilterEngine) -> None:
    found = [engine.published({"type": name}).severity for name in ("ecg_data", "patient_alert", "alerts")]
    assert found == ["normal", "info", "info"]
    assert engine.published({}).severity == "normal"
