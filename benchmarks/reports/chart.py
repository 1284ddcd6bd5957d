"""A chart of a result, before anybody has drawn it: the page draws it with uPlot, matplotlib as a PNG."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a chart, a value for each place of its axis; None where there is none."""

    name: str
    values: Sequence[float | None]
    least: Sequence[float | None] = ()
    most: Sequence[float | None] = ()
    """The spread of the rounds, drawn as a band, if it is given."""
    is_reference: bool = False
    """Drawn dashed: what the others are held against."""


@dataclass(frozen=True, slots=True)
class Chart:
    """Lines over a numeric axis, or bars where the places have names."""

    name: str
    """Of the file, and the place in the page: ``fanout-growth``."""
    title: str
    x_label: str
    y_label: str
    places: Sequence[float] | Sequence[str]
    """Numbers make lines, names make bars."""
    lines: Sequence[Line]
    x_logarithmic: bool = False
    y_logarithmic: bool = False
    sentence: str = ""
    """What can be seen in it, in words."""
