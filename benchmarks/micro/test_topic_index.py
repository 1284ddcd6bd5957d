"""The topic index at several sizes: one subscription more and less, and one message."""

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.filtering.finders import PATIENT, TOPIC, Index, handle
from benchmarks.filtering.populations import DERIVED, POPULATIONS, SHARES, Population
from wsserver_core.scopes import Scope

SIZES = (1_000, 10_000, 50_000)

POPULATED = [(build, size) for build in POPULATIONS for size in SIZES]


@pytest.fixture(
    scope="module", params=POPULATED, ids=[f"{build.__name__}-{size}" for build, size in POPULATED]
)
def populated(request: pytest.FixtureRequest) -> tuple[Index, Population]:
    """An index with one population in it, made once for all that ask it."""
    build, size = request.param
    population = build(size, min(500, size // 25))
    return Index(population), population


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.benchmark(group="TopicIndex.select")
def test_select(benchmark: BenchmarkFixture, populated: tuple[Index, Population], share: str) -> None:
    index, population = populated
    message = population.message(share, 0)
    selection = benchmark(index.index.select, *TOPIC, message, DERIVED, index.out)
    assert selection.matching == population.receivers[share]


@pytest.mark.parametrize("shared", [True, False], ids=["shared", "own"])
@pytest.mark.benchmark(group="TopicIndex.add and remove")
def test_add_and_remove(
    benchmark: BenchmarkFixture, populated: tuple[Index, Population], shared: bool
) -> None:
    """With a filter that another has as well, or nobody else."""
    index, population = populated
    newcomer = handle(len(population.filters))
    # The others' bounds are multiples of a fraction with another denominator.
    own = {"vitals.hr": {"$gt": 120.0 + 1 / 7}}
    program = index.interner.intern(population.filters[0] if shared else own)
    index.index.admit(newcomer, Scope(None), None)

    def come_and_go() -> None:
        index.index.remove(index.index.add(newcomer, "patient", PATIENT, program, 0.0))

    benchmark(come_and_go)
    index.index.dismiss(newcomer)
    index.interner.release(program)
