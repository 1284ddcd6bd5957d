"""A filter that somebody has already, taken once more and given back."""

from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.filtering.finders import LIMITS
from benchmarks.micro.test_programs import FILTERS
from wsserver_core.filters import FilterInterner


@pytest.mark.parametrize("source", FILTERS.values(), ids=FILTERS)
@pytest.mark.benchmark(group="FilterInterner.intern and release")
def test_intern_and_release(benchmark: BenchmarkFixture, source: dict[str, Any]) -> None:
    interner = FilterInterner(LIMITS)
    program = interner.intern(source)

    def once_more() -> None:
        interner.release(interner.intern(source))

    benchmark(once_more)
    assert interner.intern(source) is program
