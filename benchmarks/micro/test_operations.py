"""The operations of which ``python -m benchmarks instructions`` counts the instructions, timed."""

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.micro.commands import COMMANDS
from benchmarks.micro.operations import OPERATIONS, Operation

EVERY = [
    pytest.param(one, id=one.name, marks=pytest.mark.benchmark(group=one.group))
    for one in (*OPERATIONS, *COMMANDS)
]


@pytest.mark.parametrize("operation", EVERY)
def test_operation(benchmark: BenchmarkFixture, operation: Operation) -> None:
    """A round of several calls; what they heap up goes away before the next one."""
    ready = operation.build()

    def several() -> None:
        for _ in range(operation.calls):
            ready.call()

    def set_up() -> None:
        ready.reset()

    benchmark.extra_info["calls_in_a_round"] = operation.calls
    benchmark.pedantic(several, setup=set_up, rounds=100, warmup_rounds=2)
