"""A picture of the filter benchmark: how the time for one message grows with the subscriptions."""

from pathlib import Path
from typing import Any

from benchmarks.filtering.populations import EQUAL, HUNDREDTH
from benchmarks.reports.picture import check_possible

_COLOURS = ("#0072b2", "#56b4e9", "#d55e00", "#e69f00", "#cc79a7", "#009e73")

_MARKERS = "osD^v*"


def draw(result: dict[str, Any], target: Path) -> None:
    """Draw a result of the filter benchmark, both axes logarithmic. Raises PlotImpossible."""
    check_possible()
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    figure = Figure(figsize=(13, 7.2), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    _panel(left, result, HUNDREDTH, "1 % of the subscriptions match")
    _panel(right, result, EQUAL, f"{result['equal_receivers']} receivers, however many subscribe")
    left.set_ylabel("time to find the receivers of one message")
    figure.suptitle(
        "Finding the receivers of one ECG message among the subscriptions to its patient", fontsize=14
    )
    lines = [
        Line2D([], [], color=colour, marker=marker, label=f"({one['name']}) {one['title']}")
        for one, colour, marker in zip(result["populations"], _COLOURS, _MARKERS, strict=True)
    ]
    lines.append(Line2D([], [], color="0.3", linestyle="--", label="the same, scanned by plain Python"))
    figure.legend(handles=lines, loc="outside lower center", ncols=3, frameon=False, fontsize=10)
    versions = result["machine"]["versions"]
    figure.text(
        0.995,
        0.002,
        f"medians of {result['rounds']} rounds (scans {result['rounds_with_scans']}), "
        f"wsserver {versions['wsserver']}, Python {versions['python']}, {result['machine']['processor']}",
        ha="right",
        va="bottom",
        fontsize=7.5,
        color="0.4",
    )
    figure.savefig(target, format="png", dpi=130)


def _panel(axes: Any, result: dict[str, Any], share: str, title: str) -> None:
    from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator

    sizes: list[int] = []
    for one, colour, marker in zip(result["populations"], _COLOURS, _MARKERS, strict=True):
        sizes = [stage["subscriptions"] for stage in one["stages"]]
        for key, style in (("index_us", "-"), ("python_us", "--")):
            axes.plot(
                sizes,
                [stage["messages"][share][key]["median"] for stage in one["stages"]],
                style,
                color=colour,
                marker=marker if key == "index_us" else None,
                linewidth=2 if key == "index_us" else 1.2,
            )
    axes.set_title(title)
    axes.set_xlabel("subscriptions to the patient, one per connection")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(sizes)
    axes.margins(x=0.08)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda size, _: f"{size:,.0f}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _time(value)))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(which="major", color="0.88")
    axes.spines[["top", "right"]].set_visible(False)


def _time(microseconds: float) -> str:
    for unit, size in (("s", 1e6), ("ms", 1e3), ("µs", 1.0)):
        if microseconds >= size:
            return f"{microseconds / size:g} {unit}"
    return f"{microseconds * 1e3:g} ns"
