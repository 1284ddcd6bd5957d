"""A chart in HTML: bars as they are, lines as a place and data for the page's script, both with a table."""

import math
from collections.abc import Sequence
from html import escape
from typing import Any

from benchmarks.reports.chart import Chart, Line
from benchmarks.reports.numbers import readable

TONES = 8

_WIDTH, _HEIGHT = 1000, 18
"""Of the coordinates in a bar's picture, which is stretched to the room there is."""


def has_bars(chart: Chart) -> bool:
    """Whether its places are names; one number alone makes no line either."""
    return len(chart.places) < 2 or isinstance(chart.places[0], str)


def markup(chart: Chart, anchor: str) -> str:
    """The figure element; ``anchor`` is its own in the page."""
    body = _bars(chart) if has_bars(chart) else _lines(chart, anchor)
    title = f'<h3 id="{anchor}-title">{escape(chart.title)}</h3>'
    return (
        f'<figure aria-labelledby="{anchor}-title"><figcaption>{title}</figcaption>'
        f"{body}{_table(chart)}</figure>"
    )


def data(chart: Chart, anchor: str) -> dict[str, Any]:
    """What the script needs to draw its lines."""
    return {
        "id": anchor,
        "places": list(chart.places),
        "xLogarithmic": chart.x_logarithmic,
        "yLogarithmic": chart.y_logarithmic,
        "lines": [
            {
                "values": _known(line.values),
                "least": _known(line.least),
                "most": _known(line.most),
                "reference": line.is_reference,
            }
            for line in chart.lines
        ],
    }


def _known(values: Sequence[float | None]) -> list[float | None]:
    return [None if value is None or not math.isfinite(value) else value for value in values]


def _lines(chart: Chart, anchor: str) -> str:
    legend = "".join(
        f'<li>{_swatch(number, line)}{escape(line.name)} <b aria-hidden="true"></b></li>'
        for number, line in enumerate(chart.lines)
    )
    label = f"{chart.title}: {chart.y_label} by {chart.x_label}, as lines; the table below has the numbers"
    return (
        f'<ul class="legend" id="{anchor}-legend">{legend}</ul><p class="axis">{escape(_y_label(chart))}</p>'
        f'<div class="plot" id="{anchor}" role="img" aria-label="{escape(label)}"></div>'
        f'<p class="axis across">{escape(chart.x_label)}</p>'
    )


def _swatch(number: int, line: Line) -> str:
    dashes = "4 4" if line.is_reference else "7 3" if number % TONES > 3 else "none"
    return (
        f'<svg class="tone-{number % TONES}" viewBox="0 0 24 8" aria-hidden="true">'
        f'<line x1="0" y1="4" x2="24" y2="4" stroke-dasharray="{dashes}"/></svg>'
    )


def _bars(chart: Chart) -> str:
    scale = _Scale(chart)
    is_grouped = len(chart.lines) > 1
    rows = []
    for place, name in enumerate(chart.places):
        title = name if isinstance(name, str) else f"{readable(name)} {chart.x_label}"
        if is_grouped:
            rows.append(f'<span class="place">{escape(title)}</span>')
        for number, line in enumerate(chart.lines):
            label = line.name if is_grouped else title
            value = _known(line.values)[place]
            spread = (line.least[place], line.most[place]) if line.least else (None, None)
            rows.append(
                f"<span>{escape(label)}</span>{scale.bar(number, value, *spread)}"
                f'<span class="number">{escape(readable(value))}</span>'
            )
    label = f"{chart.title}, as bars; the table below has the numbers"
    return (
        f'<p class="axis">{escape(_y_label(chart))}</p>'
        f'<div class="bars" role="img" aria-label="{escape(label)}">{"".join(rows)}</div>'
    )


class _Scale:
    """How long a bar is: from nothing, or by powers of ten from the one below the smallest value."""

    def __init__(self, chart: Chart) -> None:
        known = [
            value
            for line in chart.lines
            for values in (line.values, line.least, line.most)
            for value in _known(values)
            if value is not None
        ]
        self._most = max(known, default=0.0)
        positive = [value for value in known if value > 0]
        self._is_logarithmic = chart.y_logarithmic and bool(positive)
        self._least = 10.0 ** math.floor(math.log10(min(positive)) - 0.01) if self._is_logarithmic else 0.0

    def bar(self, number: int, value: float | None, least: float | None, most: float | None) -> str:
        """A picture of one value, with a line from the least to the most."""
        parts = [] if value is None else [_rectangle(0, 2, self._length(value), _HEIGHT - 4)]
        if least is not None and most is not None:
            start, end = self._length(least), self._length(most)
            parts.append(_rectangle(start, _HEIGHT / 2 - 1, max(end - start, 2), 2, "spread"))
        return (
            f'<svg class="tone-{number % TONES}" viewBox="0 0 {_WIDTH} {_HEIGHT}" preserveAspectRatio="none" '
            f'aria-hidden="true">{"".join(parts)}</svg>'
        )

    def _length(self, value: float) -> float:
        if self._most <= 0 or value <= 0:
            return 0.0
        if self._is_logarithmic:
            return _WIDTH * math.log(value / self._least) / math.log(self._most / self._least)
        return _WIDTH * value / self._most


def _rectangle(x: float, y: float, width: float, height: float, what: str = "bar") -> str:
    return f'<rect class="{what}" x="{x:.1f}" y="{y:g}" width="{width:.1f}" height="{height:g}"/>'


def _y_label(chart: Chart) -> str:
    return f"{chart.y_label} (logarithmic)" if chart.y_logarithmic else chart.y_label


def _table(chart: Chart) -> str:
    head = "".join(f'<th scope="col" class="number">{escape(line.name)}</th>' for line in chart.lines)
    rows = []
    for place, name in enumerate(chart.places):
        title = name if isinstance(name, str) else readable(name)
        cells = "".join(f'<td class="number">{_cell(line, place)}</td>' for line in chart.lines)
        rows.append(f'<tr><th scope="row">{escape(title)}</th>{cells}</tr>')
    return (
        "<details><summary>Numbers</summary>"
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(chart.title)}, numbers"><table>'
        f"<caption>{escape(chart.title)}, {escape(chart.y_label)}</caption><thead><tr>"
        f'<th scope="col">{escape(chart.x_label or "Which")}</th>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div></details>"
    )


def _cell(line: Line, place: int) -> str:
    spread = ""
    if line.least and line.least[place] != line.most[place]:
        least, most = readable(line.least[place]), readable(line.most[place])
        spread = f'<span class="under">{escape(least)} to {escape(most)}</span>'
    return f"{escape(readable(line.values[place]))}{spread}"
