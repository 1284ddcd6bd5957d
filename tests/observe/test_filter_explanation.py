"""Why a filter holds for a message, or why not."""

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsserver.observe.filter_explanation import MAX_TEXT, Clause, FilterExplanation, explain_filter
from wsserver.protocol.message import PublishedMessage
from wsserver_core.filters import FilterError, FilterLimits, compile_filter

LIMITS = FilterLimits()

BODY: dict[str, Any] = {
    "type": "vitals",
    "patient_id": 7,
    "severity": "normal",
    "vitals": {"hr": 130, "bp": [120, 80]},
    "leads": [{"name": "II", "gain": 1}, {"name": "V1", "gain": 2.5}, {"gain": None}],
    "note": None,
    "nothing": [],
}


def explain(filters: dict[str, Any], body: dict[str, Any] | None = None) -> FilterExplanation:
    published = PublishedMessage(BODY if body is None else body)
    return explain_filter(filters, published.body, published.derived)


def the_clause(filters: dict[str, Any], body: dict[str, Any] | None = None) -> Clause:
    (clause,) = explain(filters, body).clauses
    return clause


def line(filters: dict[str, Any], body: dict[str, Any] | None = None) -> str:
    return the_clause(filters, body).text()


def failed(filters: dict[str, Any]) -> list[str]:
    return [clause.place for clause in explain(filters).failed]


def test_each_condition_is_judged_by_itself_in_the_order_written() -> None:
    explanation = explain(
        {"vitals.hr": {"$lt": 140, "$gt": 140}, "severity": ["high", "normal"], "data_typ": "ecg"}
    )
    assert [(clause.place, clause.operator, clause.holds) for clause in explanation.clauses] == [
        ("vitals.hr.$lt", "$lt", True),
        ("vitals.hr.$gt", "$gt", False),
        ("severity", "$in", True),
        ("data_typ", "$eq", False),
    ]
    assert not explanation.matches
    assert [clause.place for clause in explanation.failed] == ["vitals.hr.$gt", "data_typ"]


def test_a_filter_that_holds_has_no_failed_clause() -> None:
    explanation = explain({"$or": [{"severity": "high"}, {"vitals.hr": 130}], "$not": {"note": 5}})
    assert explanation.matches
    assert explanation.failed == ()
    assert [clause.holds for clause in explanation.clauses] == [False, True, False]


def test_an_alternative_fails_by_what_fails_in_each_of_its_branches() -> None:
    assert failed({"$or": [{"severity": "high", "note": None}, {"vitals.hr": 1, "type": "x"}]}) == [
        "$or[0].severity",
        "$or[1].vitals.hr",
        "$or[1].type",
    ]


def test_a_negation_fails_by_what_holds_although_it_must_not() -> None:
    assert failed({"$not": {"severity": "normal", "vitals.hr": {"$gt": 100}}}) == [
        "$not.severity",
        "$not.vitals.hr.$gt",
    ]
    assert failed({"$not": {"$or": [{"severity": "high"}, {"note": None}]}}) == ["$not.$or[1].note"]
    assert failed({"$not": {"$not": {"severity": "high", "note": None}}}) == ["$not.$not.severity"]


def test_an_empty_filter_inside_is_a_clause_for_it_may_be_what_fails() -> None:
    explanation = explain({"$and": [{}, {"$not": {}}]})
    assert [(one.place, one.path, one.operator, one.wanted, one.holds) for one in explanation.clauses] == [
        ("$and[0]", "", "$and", (), True),
        ("$and[1].$not", "", "$and", (), True),
    ]
    assert [one.place for one in explanation.failed] == ["$and[1].$not"]
    assert explanation.text().splitlines() == [
        "✓ $and[0]: an empty filter matches every message",
        "✗ $and[1].$not: an empty filter matches every message, wanted none",
    ]


def test_the_empty_filter_matches_without_any_clause() -> None:
    explanation = explain({})
    assert (explanation.matches, explanation.clauses, explanation.failed) == (True, (), ())
    assert explanation.text() == "✓ an empty filter matches every message"


@pytest.mark.parametrize(
    ("path", "there", "found"),
    [
        ("severity", True, ("normal",)),
        ("data_type", True, ("vitals",)),
        ("note", True, (None,)),
        ("vitals", True, ()),
        ("nothing", True, ()),
        ("vitals.bp", True, (120, 80)),
        ("leads.name", True, ("II", "V1")),
        ("leads.gain", True, (1, 2.5, None)),
        ("leads", True, ()),
        ("vitals.spo2", False, ()),
        ("severity.level", False, ()),
        ("patient_id", True, (7,)),
    ],
)
def test_found_is_what_the_path_leads_to(path: str, there: bool, found: tuple[Any, ...]) -> None:
    clause = the_clause({path: {"$exists": True}})
    assert (clause.there, clause.found, clause.more) == (there, found, False)


def test_what_the_message_has_of_its_own_hides_what_is_derived() -> None:
    assert the_clause({"severity": "x"}, {"severity": None}).found == (None,)
    assert the_clause({"severity": "x"}, {}).found == ("normal",)
    assert the_clause({"severity.level": "x"}, {"severity": {"level": 3}}).found == (3,)


def test_values_shown_are_bounded_in_number_and_length() -> None:
    clause = the_clause({"a": "x"}, {"a": ["y" * 201, "z" * 200, *range(100)]})
    assert clause.found == ("y" * (MAX_TEXT - 1) + "…", "z" * 200, 0, 1, 2, 3, 4, 5)
    assert clause.more
    assert the_clause({"a": 0}, {"a": list(range(8))}).more is False
    assert the_clause({"a.b": 0}, {"a": [{"b": number} for number in range(9)]}).more


def test_a_path_that_leads_nowhere_comes_with_the_one_that_was_meant() -> None:
    assert the_clause({"data_typ": "ecg"}).suggestion == "data_type"
    assert the_clause({"vitals.rh": 1}).suggestion == "vitals.hr"
    assert the_clause({"lead.name": 1}).suggestion == "leads.name"
    assert the_clause({"hr": 1}).suggestion == "vitals.hr"
    assert the_clause({"unheard_of": 1}).suggestion is None
    assert the_clause({"severity": 1}).suggestion is None


def test_only_so_many_suggestions_are_searched() -> None:
    explanation = explain({f"severit{number}": 1 for number in range(20)})
    assert [one.suggestion for one in explanation.clauses] == ["severity"] * 8 + [None] * 12


@pytest.mark.parametrize(
    ("filters", "text"),
    [
        ({"severity": ["high", "critical"]}, '✗ severity is "normal", wanted one of "high", "critical"'),
        ({"severity": "normal"}, '✓ severity is "normal", wanted "normal"'),
        ({"vitals.hr": {"$gt": 120}}, "✓ vitals.hr is 130, wanted > 120"),
        ({"vitals.hr": {"$lte": 120.5}}, "✗ vitals.hr is 130, wanted <= 120.5"),
        ({"vitals.bp": {"$gt": 20}}, "✗ vitals.bp is a list, wanted > 20"),
        ({"vitals.bp": 80}, "✓ vitals.bp is 120, 80, wanted 80"),
        ({"data_typ": "ecg"}, "✗ data_typ is not there (did you mean data_type?)"),
        (
            {"data_typ": {"$ne": "ecg"}},
            '✓ data_typ is not there, wanted anything but "ecg" (did you mean data_type?)',
        ),
        ({"data_typ": {"$exists": False}}, "✓ data_typ is not there"),
        ({"data_typ": {"$exists": True}}, "✗ data_typ is not there (did you mean data_type?)"),
        ({"vitals": {"$exists": True}}, "✓ vitals is there"),
        ({"vitals": {"$exists": False}}, "✗ vitals is there, wanted it not to be"),
        ({"vitals": 5}, "✗ vitals has no value, wanted 5"),
        ({"note": {"$nin": [None, True]}}, "✗ note is null, wanted none of null, true"),
        ({"severity": {"$prefix": "no"}}, '✓ severity is "normal", wanted text that begins with "no"'),
        ({"severity": {"$contains": "x"}}, '✗ severity is "normal", wanted text that contains "x"'),
        ({"severity": {"$regex": r"^\d"}}, r'✗ severity is "normal", wanted text that matches "^\\d"'),
        ({"$not": {"severity": "normal"}}, '✗ $not: severity is "normal", wanted anything but "normal"'),
        ({"$not": {"severity": ["normal"]}}, '✗ $not: severity is "normal", wanted none of "normal"'),
        ({"$not": {"note": {"$ne": 5}}}, "✗ $not: note is null, wanted 5"),
        ({"$not": {"note": {"$nin": [1, 2]}}}, "✗ $not: note is null, wanted one of 1, 2"),
        ({"$not": {"vitals.hr": {"$gte": 9}}}, "✗ $not: vitals.hr is 130, wanted nothing >= 9"),
        (
            {"$not": {"severity": {"$contains": "x"}}},
            '✓ $not: severity is "normal", wanted no text that contains "x"',
        ),
        ({"$not": {"vitals": {"$exists": True}}}, "✗ $not: vitals is there, wanted it not to be"),
        ({"$or": [{"patient_id": "8"}]}, '✗ $or[0]: patient_id is 7, wanted "8"'),
    ],
)
def test_a_clause_reads_as_a_sentence(filters: dict[str, Any], text: str) -> None:
    assert line(filters) == text


def test_long_lists_are_cut_in_the_sentence() -> None:
    assert line({"a": list(range(20))}, {"a": list(range(20))}) == (
        "✓ a is 0, 1, 2, 3, 4, 5, 6, 7, …, wanted one of 0, 1, 2, 3, 4, 5, 6, 7, …"
    )
    assert len(line({"a": "x" * 4000}, {"a": "y" * 4000})) < 500


def test_a_sentence_stays_on_its_line_whatever_the_message_says() -> None:
    text = explain({"a\nb": "c\nd", "e\u2028f": 1}, {"a\nb": "x\r\n\x1b[31m\u2028y", "e\u2028f": 2}).text()
    assert len(text.splitlines()) == 2
    assert re.search("[\x00-\x09\x0b-\x1f]", text) is None


def test_the_text_has_a_line_for_each_clause() -> None:
    text = explain({"severity": "normal", "vitals.hr": {"$lt": 9}}).text()
    assert text.splitlines() == ['✓ severity is "normal", wanted "normal"', "✗ vitals.hr is 130, wanted < 9"]


def test_an_explanation_is_ready_for_json() -> None:
    explanation = explain({"severity": ("high", "low"), "$not": {"vitals.bp": {"$eq": 80}}})
    assert json.loads(json.dumps(explanation.as_dict())) == {
        "matches": False,
        "clauses": [
            {
                "place": "severity",
                "path": "severity",
                "operator": "$in",
                "wanted": ["high", "low"],
                "holds": False,
                "negated": False,
                "there": True,
                "found": ["normal"],
                "more": False,
                "is_list": False,
                "suggestion": None,
            },
            {
                "place": "$not.vitals.bp.$eq",
                "path": "vitals.bp",
                "operator": "$eq",
                "wanted": 80,
                "holds": True,
                "negated": True,
                "there": True,
                "found": [120, 80],
                "more": False,
                "is_list": True,
                "suggestion": None,
            },
        ],
        "failed": ["severity", "$not.vitals.bp.$eq"],
    }


def test_what_patients_have_does_not_get_into_a_log_by_accident() -> None:
    explanation = explain({"severity": "secret"})
    for shown in (repr(explanation), str(explanation), repr(explanation.clauses)):
        assert "secret" not in shown
        assert "normal" not in shown


@pytest.mark.parametrize("filters", [{"a": {"$near": 1}}, {"$or": []}, {"a": {}}, {5: 1}, {"a": [[]]}])
def test_what_is_no_filter_is_refused_as_everywhere(filters: dict[str, Any]) -> None:
    with pytest.raises(FilterError):
        explain(filters)


def test_limits_hold_for_the_filter_and_not_for_its_parts() -> None:
    tight = FilterLimits(max_nodes=1, max_bytes=20)
    with pytest.raises(FilterError):
        explain_filter({"a": 1, "b": 2}, {}, {}, tight)
    # In its normal form this is {}, although a part is longer than a filter may be.
    wide = {"$or": [{}, {"a": ["x" * 15, "y" * 15]}]}
    assert explain_filter(wide, {}, {}, FilterLimits(max_bytes=20)).matches


def test_the_normal_form_of_a_filter_is_within_the_same_limits() -> None:
    filters = {f"a{number}": {"$eq": 1, "$in": [2]} for number in range(32)}
    source = compile_filter(filters, LIMITS).source
    assert len(explain_filter(source, {}, {}, LIMITS).clauses) == 64


def test_a_filter_from_a_client_is_judged_by_the_limits() -> None:
    with pytest.raises(FilterError):
        explain_filter({f"a{number}": 1 for number in range(65)}, {}, {}, LIMITS)


NAMES = st.sampled_from(["a", "b", "patient_id"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(".".join)
SCALARS = st.sampled_from([None, True, False, 0, 1, 1.0, 2.5, -1, "", "1", "a", "ab"])
VALUES = st.recursive(
    SCALARS,
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(NAMES, inside, max_size=3),
    max_leaves=8,
)
BODIES = st.dictionaries(NAMES, VALUES, max_size=3)
DERIVED = st.dictionaries(NAMES, st.sampled_from(["", "1", "a"]), max_size=2)


@st.composite
def members(draw: st.DrawFn) -> tuple[str, Any]:
    path = draw(PATHS)
    is_id = path.endswith("patient_id")
    scalars = st.sampled_from([None, 0, 1, "1", "a", ""]) if is_id else SCALARS
    several = st.lists(scalars, min_size=1, max_size=3)
    texts = st.sampled_from(["", "a", "b", "1"])
    operators: dict[str, st.SearchStrategy[Any]] = {
        "$eq": scalars,
        "$ne": scalars,
        "$in": several,
        "$nin": several,
        "$exists": st.booleans(),
        "$prefix": texts,
        "$contains": texts,
        "$regex": st.sampled_from(["a", "^$", "b$", "1|x"]),
    }
    if not is_id:
        operators |= dict.fromkeys(("$gt", "$gte", "$lt", "$lte"), st.sampled_from([-1, 0, 1, 1.5]))
    chosen = st.lists(st.sampled_from(sorted(operators)), min_size=1, max_size=2, unique=True)
    told = chosen.flatmap(lambda names: st.fixed_dictionaries({name: operators[name] for name in names}))
    return path, draw(scalars | several | told)


CONDITIONS = st.lists(members(), max_size=3).map(dict)
FILTERS = st.recursive(
    CONDITIONS,
    lambda inside: st.tuples(
        CONDITIONS,
        st.fixed_dictionaries(
            {},
            optional={
                "$or": st.lists(inside, min_size=1, max_size=3),
                "$and": st.lists(inside, min_size=1, max_size=3),
                "$not": inside,
            },
        ),
    ).map(lambda both: both[0] | both[1]),
    max_leaves=5,
)


@settings(max_examples=300, deadline=None)
@given(FILTERS, BODIES, DERIVED)
def test_an_explanation_agrees_with_the_filter_whatever_both_are(
    filters: dict[str, Any], body: dict[str, Any], derived: dict[str, str]
) -> None:
    program = compile_filter(filters, FilterLimits(max_nodes=1000, max_depth=20))
    explanation = explain_filter(filters, body, derived)
    assert explanation.matches == program.matches(body, derived)
    assert (explanation.failed == ()) == explanation.matches
    assert all(clause in explanation.clauses and not clause.fits for clause in explanation.failed)
    assert explain_filter(program.source, body, derived).matches == explanation.matches
    json.dumps(explanation.as_dict())
    assert len(explanation.text().splitlines()) == max(len(explanation.clauses), 1)


@settings(max_examples=300, deadline=None)
@given(FILTERS, BODIES, DERIVED)
def test_what_failed_is_enough_to_fail_however_the_other_clauses_came_out(
    filters: dict[str, Any], body: dict[str, Any], derived: dict[str, str]
) -> None:
    explanation = explain_filter(filters, body, derived)
    if explanation.matches:
        return
    blamed = {clause.place: clause.holds for clause in explanation.failed}

    def at_best(source: dict[str, Any], place: str, wanted: bool) -> bool:
        """The verdict if every clause that is not to blame were as it is wanted."""
        verdicts = []
        for key, value in source.items():
            inside = f"{place}.{key}" if place else key
            if key == "$not":
                verdicts.append(not at_best(value, inside, not wanted))
            elif key in ("$and", "$or"):
                parts = [at_best(one, f"{inside}[{number}]", wanted) for number, one in enumerate(value)]
                verdicts.append(all(parts) if key == "$and" else any(parts))
            elif isinstance(value, dict):
                verdicts += [blamed.get(f"{inside}.{operator}", wanted) for operator in value]
            else:
                verdicts.append(blamed.get(inside, wanted))
        return all(verdicts)

    assert at_best(filters, "", True) is False


@settings(max_examples=300, deadline=None)
@given(PATHS, BODIES, DERIVED)
def test_what_is_found_agrees_with_what_filters_find(
    path: str, body: dict[str, Any], derived: dict[str, str]
) -> None:
    (clause,) = explain_filter({path: {"$exists": True}}, body, derived).clauses
    assert clause.there == clause.holds
    is_id = path.endswith("patient_id")
    for value in clause.found:
        if is_id and value is not None and type(value) is not str and not (type(value) is int and value >= 0):
            continue
        assert compile_filter({path: value}, LIMITS).matches(body, derived)
    for value in (None, True, False, 0, 1, 2.5, -1, "", "1", "a", "ab"):
        if not clause.more and not is_id and compile_filter({path: value}, LIMITS).matches(body, derived):
            assert any(
                value == found and (type(value) is bool) == (type(found) is bool) for found in clause.found
            )


@pytest.mark.parametrize("levels", range(28, 36))
@pytest.mark.parametrize("end", [1, {"b": 1}, [1], [{"b": 1}]])
def test_deep_nesting_is_followed_exactly_as_far_as_filters_follow_it(levels: int, end: Any) -> None:
    for path in ("a", "a.b"):
        value = end
        for _ in range(levels):
            value = [value]
        (clause,) = explain_filter({path: {"$exists": True}}, {"a": value}, {}).clauses
        assert clause.there == clause.holds
        assert (1 in clause.found) == compile_filter({path: 1}, LIMITS).matches({"a": value}, {})


@pytest.mark.parametrize("levels", range(28, 36))
def test_values_in_a_list_at_the_deepest_level_are_found_as_filters_find_them(levels: int) -> None:
    value: Any = {"b": [1]}
    for _ in range(levels):
        value = [value]
    (clause,) = explain_filter({"a.b": 1}, {"a": value}, {}).clauses
    assert clause.holds == (clause.found == (1,))
