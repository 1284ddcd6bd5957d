"""One filter: to compile it, and to hold it against a message."""

from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.filtering.finders import LIMITS
from benchmarks.filtering.populations import DERIVED, ecg
from wsserver_core.filters import compile_filter

FILTERS: dict[str, dict[str, Any]] = {
    "everything": {},
    "equality": {"lead": "II"},
    "derived": {"data_type": "ecg", "severity": ["normal", "warning"]},
    "path": {"vitals.hr": 72},
    "threshold": {"vitals.hr": {"$gt": 60}},
    "range": {"vitals.hr": {"$gte": 60, "$lt": 120}},
    "either": {"$or": [{"vitals.hr": {"$gt": 120}}, {"vitals.spo2": {"$lt": 98}}]},
    "neither": {"$not": {"severity": ["warning", "critical"]}, "note": {"$exists": True}},
    "prefix": {"note": {"$prefix": "Alert"}},
    "regex": {"note": {"$regex": r"bed \d+\b|code blue"}},
}

MESSAGE = ecg(0, note="Alert and oriented, breathing room air. Moved to bed 017.")

typical = pytest.mark.parametrize("source", FILTERS.values(), ids=FILTERS)


@typical
@pytest.mark.benchmark(group="Program.matches")
def test_matches(benchmark: BenchmarkFixture, source: dict[str, Any]) -> None:
    program = compile_filter(source, LIMITS)
    assert benchmark(program.matches, MESSAGE, DERIVED)


@typical
@pytest.mark.benchmark(group="compile_filter")
def test_compile(benchmark: BenchmarkFixture, source: dict[str, Any]) -> None:
    benchmark(compile_filter, source, LIMITS)
