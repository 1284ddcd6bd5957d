"""What the document of a run shows of a benchmark: its text and charts, made from its result again."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.benchmark import Benchmark
from benchmarks.reports.chart import Chart


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
    except (LookupError, TypeError, ValueError, AttributeError) as fault:
        return Shown(fault=f"This version cannot show the result ({type(fault).__name__}: {fault}).")
