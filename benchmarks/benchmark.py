"""What a benchmark is to the runner, and what the command line says to it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.descriptors import fitting
from benchmarks.reports.chart import Chart
from benchmarks.reports.figure import Figure


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says; None is the usual."""

    quick: bool = False
    connections: int | None = None
    rounds: int | None = None
    subscriptions: int | None = None
    seconds: float | None = None
    rate: float | None = None
    plot: Path | None = None
    folder: Path | None = None
    install: bool = False

    def crowd(self, usual: int, quick: int) -> int:
        """How many connections."""
        return fitting([self.connections or (quick if self.quick else usual)])[0]

    def duration(self, usual: float, quick: float) -> float:
        """How many seconds."""
        return self.seconds or (quick if self.quick else usual)

    def turns(self, usual: int, quick: int) -> int:
        """How many rounds."""
        return self.rounds or (quick if self.quick else usual)


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One benchmark: its measurement, and what its result makes: a text, figures to compare, charts."""

    measure: Callable[[Options], dict[str, Any]]
    table: Callable[[dict[str, Any]], str]
    figures: Callable[[dict[str, Any]], list[Figure]] | None = None
    charts: Callable[[dict[str, Any]], list[Chart]] | None = None
    about: str = ""
    """What it measures, for the command's help; begins with a small letter."""
    seconds: float = 120.0
    """What it takes with the usual sizes on a quiet machine with two processors."""
    quick_seconds: float = 10.0
    """The same with ``--quick``."""
