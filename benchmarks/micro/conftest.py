"""Micro-benchmarks run on one processor, and their JSON says on which machine.

An ordinary test run does not collect them: its testpaths is tests. Needs pytest-benchmark, which
comes with ``pip install -e '.[bench]'``.
"""

import os
from collections.abc import Iterator
from typing import Any

import pytest

from benchmarks.machine import facts, pin


@pytest.fixture(scope="session", autouse=True)
def one_processor() -> Iterator[None]:
    """As for the other benchmarks, but given back: tests may follow in this process."""
    before = os.sched_getaffinity(0)
    pin()
    yield
    os.sched_setaffinity(0, before)


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, Any]) -> None:
    machine_info.update(facts())
