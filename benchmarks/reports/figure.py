"""A figure: one number of a benchmark's result by which two runs can be compared."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal


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
    unjudged: str | None = None
    """Why it has no aim here, as ``measured at 8,240, the aim is for 10,000``."""
    is_tail: bool = False
    """A percentile or a maximum of one measurement, which moves by itself by a tenth: not judged."""

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
    unjudged: str | None = None,
    is_tail: bool = False,
) -> Figure:
    """The figure of these rounds. Raises statistics.StatisticsError when there are none."""
    middle, least, most = median(values), min(values), max(values)
    return Figure(name, unit, middle, least, most, better, aim, invalid, unjudged, is_tail)


def spread_figure(
    name: str,
    unit: str,
    spread: Mapping[str, float],
    better: Literal["more", "less"],
    *,
    aim: float | None = None,
    invalid: str | None = None,
    unjudged: str | None = None,
) -> Figure:
    """The figure of a ``median``, ``min`` and ``max``, as results have them."""
    middle, least, most = spread["median"], spread["min"], spread["max"]
    return Figure(name, unit, middle, least, most, better, aim, invalid, unjudged)


def aim_at(aim: float, size: int, wanted: int) -> dict[str, Any]:
    """The aim of a figure that was measured at this size: members of `Figure`.

    An aim is set for a size. A smaller one is easier, or just different, and says nothing about it.
    """
    if size >= wanted:
        return {"aim": aim}
    return {"unjudged": f"measured at {size:,}, the aim is for {wanted:,}"}
