"""A chart as a PNG, by matplotlib (extra ``bench``), with date, versions and machine in small print."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.reports.chart import Chart, Line
from benchmarks.reports.chart_markup import has_bars
from benchmarks.reports.numbers import readable

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#7f7f7f")
"""Okabe and Ito's, which the colour-blind can tell apart as well."""

_MARKERS = "osD^v*Xp"
_INCHES, _DPI = (9.0, 5.4), 130
_BAR = 0.34
"""Inches of height for a bar."""


class PlotImpossible(Exception):
    """Nothing can be drawn here; the text says why."""


def check_possible() -> None:
    """Raise PlotImpossible where matplotlib is missing: better before measuring than after."""
    try:
        import matplotlib.figure  # noqa: F401 - only whether it can be imported
    except ImportError:
        raise PlotImpossible("matplotlib is missing: pip install -e '.[bench]'") from None


def draw(chart: Chart, run: Mapping[str, Any], target: Path) -> None:
    """Draw it, of this run; the path ends in ``.png``. Raises PlotImpossible."""
    check_possible()
    from matplotlib.figure import Figure

    bars = has_bars(chart)
    count = len(chart.places) * len(chart.lines)
    size = (_INCHES[0], 1.6 + _BAR * count) if bars else _INCHES
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots()
    if bars:
        _draw_bars(axes, chart)
    else:
        _draw_lines(axes, chart)
    axes.set_title(chart.title, fontsize=13, loc="left")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    if len(chart.lines) > 1:
        columns = 1 if max(len(line.name) for line in chart.lines) > 40 else 3
        # Of the axes and not "outside" of the figure: only then is room left for it above the small print.
        below = 0.55 / (size[1] - 1.2)
        axes.legend(
            loc="upper center", bbox_to_anchor=(0.5, -below), ncols=columns, frameon=False, fontsize=9
        )
    # Below all else, which is laid out above it.
    room = 0.22 / size[1]
    engine = figure.get_layout_engine()
    assert engine is not None
    engine.set(rect=(0, room, 1, 1 - room))
    figure.text(0.995, 0.25 * room, small_print(run), fontsize=7, color="0.35", ha="right", va="bottom")
    figure.savefig(target, format="png", dpi=_DPI)


def small_print(run: Mapping[str, Any]) -> str:
    """When, with what and where: no figure without it."""
    machine, versions = run["machine"], run["machine"]["versions"]
    quick = " (quick)" if run["quick"] else ""
    return (
        f"{run['date'][:10]}{quick}, wsserver {versions.get('wsserver')}, Python {versions.get('python')}, "
        f"Linux {machine['kernel']}, {machine['cores']} × {machine['processor']}"
    )


def _draw_lines(axes: Any, chart: Chart) -> None:
    from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator

    for number, line in enumerate(chart.lines):
        colour = "0.3" if line.is_reference else COLOURS[number % len(COLOURS)]
        axes.plot(
            chart.places,
            _drawable(line.values),
            "--" if line.is_reference else "-",
            color=colour,
            marker=None if line.is_reference else _MARKERS[number % len(_MARKERS)],
            linewidth=1.4 if line.is_reference else 2,
            label=line.name,
        )
        if line.least:
            axes.fill_between(
                chart.places,
                _drawable(line.least),
                _drawable(line.most),
                color=colour,
                alpha=0.15,
                linewidth=0,
            )
    if chart.x_logarithmic:
        axes.set_xscale("log")
    if chart.y_logarithmic:
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=0)
    axes.set_xticks(_apart(chart.places))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: readable(value)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: readable(value)))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.margins(x=0.05)
    axes.grid(which="major", color="0.88")
    axes.set_xlabel(chart.x_label)
    axes.set_ylabel(chart.y_label)


def _draw_bars(axes: Any, chart: Chart) -> None:
    """Across, so that long names can be read; the first place at the top."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    thickness = 0.8 / len(chart.lines)
    for number, line in enumerate(chart.lines):
        values = _drawable(line.values)
        ups = [place + (number - (len(chart.lines) - 1) / 2) * thickness for place in range(len(values))]
        axes.barh(
            ups,
            values,
            height=thickness * 0.92,
            color=COLOURS[number % len(COLOURS)],
            label=line.name,
            xerr=_spread(line, values) if line.least else None,
            error_kw={"ecolor": "0.25", "elinewidth": 1.2, "capsize": 2},
        )
        for up, value, most in zip(ups, values, line.most or values, strict=True):
            if value == value:
                end = value if most is None else max(value, most)
                axes.annotate(
                    readable(value),
                    (end, up),
                    xytext=(4, 0),
                    textcoords="offset points",
                    va="center",
                    fontsize=8,
                )
    names = [
        place if isinstance(place, str) else f"{readable(place)} {chart.x_label}" for place in chart.places
    ]
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    if chart.y_logarithmic:
        axes.set_xscale("log")
    axes.margins(x=0.12)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: readable(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(which="major", axis="x", color="0.88")
    axes.set_xlabel(chart.y_label)


def _drawable(values: Any) -> list[float]:
    return [float("nan") if value is None else value for value in values]


def _apart(places: Any) -> list[float]:
    """The places of the axis that have room for their number."""
    span = (max(places) - min(places)) or 1.0
    kept: list[float] = []
    for place in sorted(places):
        if not kept or place - kept[-1] > span / 25:
            kept.append(place)
    return kept


def _spread(line: Line, values: list[float]) -> list[list[float]]:
    least, most = _drawable(line.least), _drawable(line.most)
    return [
        [max(value - low, 0) for value, low in zip(values, least, strict=True)],
        [max(high - value, 0) for value, high in zip(values, most, strict=True)],
    ]
