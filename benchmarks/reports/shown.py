"""What the document of a run shows of a benchmark: its text and charts, made from its result again."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.benchmark import Benchmark
from benchmarks.reports.chart import Chart

_OF_ANOTHER_VERSION = (LookupError, TypeError, ValueError, AttributeError)
"""What comes of a result that lacks something, or has it otherwise."""


@dataclass(frozen=True, slots=True)
class Shown:
    """Text and charts, or why there are none."""

    text: str = ""
    charts: list[Chart] = field(default_factory=list)
    fault: str | None = None


def shown(benchmark: Benchmark | None, result: Mapping[str, Any] | None) -> Shown:
    """The result as this version of its benchmark shows it; a kept one may be of another version."""
    if result is None:
        return Shown()
    if benchmark is None:
        return Shown(fault="This version has no benchmark of this name, and cannot show its result.")
    try:
        return Shown(
            benchmark.table(dict(result)),
            [] if benchmark.charts is None else benchmark.charts(dict(result)),
        )
    except _OF_ANOTHER_VERSION as fault:
        return Shown(fault=f"This version cannot show the result ({type(fault).__name__}: {fault}).")


def figured(run: Mapping[str, Any], catalogue: Mapping[str, Benchmark]) -> dict[str, Any]:
    """The document with the figures that this version makes of its results.

    What has become an aim, or does not count any more, is so for kept runs as well. Where a result cannot
    be understood the figures stay those that were kept.
    """
    benchmarks = {}
    for name, entry in run["benchmarks"].items():
        benchmark = catalogue.get(name)
        figures = entry["figures"]
        if entry["result"] is not None and benchmark is not None and benchmark.figures is not None:
            try:
                figures = [dataclasses.asdict(one) for one in benchmark.figures(dict(entry["result"]))]
            except _OF_ANOTHER_VERSION:
                figures = entry["figures"]
        benchmarks[name] = {**entry, "figures": figures}
    return {**run, "benchmarks": benchmarks}
