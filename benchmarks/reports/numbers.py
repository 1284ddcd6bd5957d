"""Numbers for people: three digits that count, and thousands apart."""

import math


def readable(value: float | None) -> str:
    """As ``12,300``, ``12.3``, ``1.23`` or ``0.0123``; a dash for none."""
    if value is None or not math.isfinite(value):
        return "–"
    size = abs(value)
    if size >= 100 or value == int(value):
        return f"{value:,.0f}"
    if size >= 10:
        return f"{value:.1f}"
    if size >= 1:
        return f"{value:.2f}"
    return f"{value:.3g}"


def with_spread(median: float, least: float, most: float) -> str:
    """As ``12.3 [11.9 to 13.0]``; a figure of one value has no spread."""
    if least == most:
        return readable(median)
    return f"{readable(median)} [{readable(least)} to {readable(most)}]"
