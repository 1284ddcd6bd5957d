"""A figure: one number of a benchmark's result by which two runs can be compared."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal


@dataclass(frozen=True, slots=True)
class Figure:
    """What was measured, in its unit: the median of the rounds, with the least and the most of them."""

    name: str
    """Says it without the rest of the report: ``10,000 subscribers, 200 B, one at a time: ours``.

    With its unit it is the only one of its benchmark, and the same in every run of these sizes.
    """
    unit: str
    median: float
    least: float
    most: float
    better: Literal["more", "less"]
    aim: float | None = None
    """What it is to reach, or to stay below, if there is such a thing."""
    invalid: str | None = None
    """Why it does not count, as ``the load client was 98 % busy``."""

    @property
    def mark(self) -> Literal["passed", "missed", "invalid"] | None:
        """Whether the median reaches its aim; None without an aim, unless the figure is invalid anyway."""
        if self.invalid is not None:
            return "invalid"
        if self.aim is None:
            return None
        return (
            "passed"
            if (self.median >= self.aim if self.better == "more" else self.median <= self.aim)
            else "missed"
        )


def figure(
    name: str,
    unit: str,
    values: Sequence[float],
    better: Literal["more", "less"],
    *,
    aim: float | None = None,
    invalid: str | None = None,
) -> Figure:
    """The figure of these rounds. Raises statistics.StatisticsError when there are none."""
    return Figure(name, unit, median(values), min(values), max(values), better, aim, invalid)


def spread_figure(
    name: str,
    unit: str,
    spread: Mapping[str, float],
    better: Literal["more", "less"],
    *,
    aim: float | None = None,
    invalid: str | None = None,
) -> Figure:
    """The figure of a ``median``, ``min`` and ``max``, as results have them."""
    return Figure(name, unit, spread["median"], spread["min"], spread["max"], better, aim, invalid)
