"""Names of fields: what a message has, and which one was meant."""

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsserver.observe.field_paths import MAX_LENGTH, nearest_path, paths_of, survey
from wsserver_core.filters import FilterLimits, compile_filter

NAMES = st.sampled_from(["a", "b", "patient_id", "", "$c", "d.e"])
VALUES = st.recursive(
    st.sampled_from([None, True, 1, "x"]),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(NAMES, inside, max_size=3),
    max_leaves=12,
)
BODIES = st.dictionaries(NAMES, VALUES, max_size=4)
PATHS = st.lists(st.sampled_from(["a", "b", "patient_id"]), min_size=1, max_size=8).map(".".join)


def leads_somewhere(path: str, body: dict[str, Any]) -> bool:
    return compile_filter({path: {"$exists": True}}, FilterLimits()).matches(body, {})


def test_paths_go_through_objects_and_lists_and_name_each_field_once() -> None:
    body = {
        "severity": "high",
        "vitals": {"hr": 80, "bp": {"sys": 120}},
        "leads": [{"name": "II"}, [{"name": 1}]],
    }
    assert paths_of(body) == [
        "severity",
        "vitals",
        "leads",
        "vitals.hr",
        "vitals.bp",
        "vitals.bp.sys",
        "leads.name",
    ]


@settings(deadline=None)
@given(BODIES)
def test_every_path_leads_somewhere_by_the_rules_of_filters(body: dict[str, Any]) -> None:
    for path in paths_of(body):
        assert leads_somewhere(path, body)


@settings(deadline=None)
@given(BODIES, PATHS)
def test_a_path_that_leads_somewhere_is_among_them(body: dict[str, Any], path: str) -> None:
    assert (path in paths_of(body)) == leads_somewhere(path, body)


def test_names_that_no_filter_can_write_are_left_out_with_all_inside() -> None:
    assert paths_of({"": {"a": 1}, "a.b": {"c": 1}, "$or": {"d": 1}, "e": {"f.g": 1}}) == ["e"]


def test_paths_too_long_to_be_asked_for_are_left_out() -> None:
    assert paths_of({"x" * MAX_LENGTH: 1, "y" * (MAX_LENGTH + 1): {"z": 1}}) == ["x" * MAX_LENGTH]


def test_paths_are_bounded_in_number_and_outer_ones_come_first() -> None:
    body = {"a": {f"inner{number}": number for number in range(300)}, "b": 1}
    assert paths_of(body, 3) == ["a", "b", "a.inner0"]
    assert len(paths_of(body)) == 256


def test_paths_are_bounded_in_depth() -> None:
    body: dict[str, Any] = {}
    for _ in range(12):
        body = {"a": body}
    assert paths_of(body)[-1] == ".".join("a" * 8)
    assert len(paths_of(body)) == 8


def test_a_survey_tells_whether_a_bound_ended_it() -> None:
    assert survey({"a": 1, "b": 2}, 2) == (["a", "b"], True)
    assert survey({"a": 1, "b": 2}, 1) == (["a"], False)
    assert survey({"a": [{"b": 1}] * 1022}, 9) == (["a", "a.b"], True)
    assert survey({"a": [{"b": 1}] * 1023}, 9) == (["a", "a.b"], False)
    assert survey({f"a{number}": {} for number in range(1024)}, 2000)[1] is False


def test_a_long_list_of_samples_hides_no_field() -> None:
    assert survey({"samples": [1.5] * 100_000, "z": 1}, 256) == (["samples", "z"], True)
    assert survey({"samples": [*[0] * 5000, {"late": 1}]}, 256) == (["samples", "samples.late"], True)


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("data_typ", "data_type"),
        ("Severity", "severity"),
        ("vitals.hart_rate", "vitals.heart_rate"),
        ("vital.hr", "vitals.hr"),
        ("heart_rate", "vitals.heart_rate"),
        ("unheard", None),
        ("data_type", None),
        ("hr", "vitals.hr"),
        ("name", None),
    ],
)
def test_the_nearest_path_is_one_spelled_alike_or_the_same_name_elsewhere(
    path: str, meant: str | None
) -> None:
    seen = [
        "data_type",
        "severity",
        "vitals",
        "vitals.heart_rate",
        "vitals.hr",
        "leads.lead.name",
        "patient.ward.name",
    ]
    assert nearest_path(path, seen) == meant
    assert nearest_path(path, reversed(seen)) == meant


def test_nothing_is_near_to_nothing() -> None:
    assert nearest_path("a", []) is None
    assert nearest_path("a" * 65, ["a" * 64]) is None


def test_looking_for_the_nearest_path_takes_no_longer_among_very_many() -> None:
    began = time.process_time()
    nearest_path("a" * 64, [f"{'a' * 58}{number:06}" for number in range(16_000)])
    assert time.process_time() - began < 1
