"""How families of samples are made, and how labels are kept to values that are known beforehand.

A label that a client could choose would be a series for each of its choices, for as long as
Prometheus keeps them, and a patient's name in somebody's dashboard.
"""

from collections.abc import Collection, Iterable, Mapping
from math import isinf
from typing import Final, TypeAlias, TypeVar

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.metrics_core import Metric

from wsserver_core.histogram import Histogram

OTHER: Final = "other"
"""The label of everything that has none of its own."""

Labels: TypeAlias = tuple[str, ...]
Key = TypeVar("Key", bound=str | Labels)


def gauge(name: str, documentation: str, value: float | None) -> Metric:
    """What is so now; without a sample while there is nothing to measure."""
    family = GaugeMetricFamily(name, documentation, labels=())
    if value is not None:
        family.add_metric((), value)
    return family


def gauges(name: str, documentation: str, labels: Labels, values: Mapping[Key, float]) -> Metric:
    """The same by one or more labels."""
    family = GaugeMetricFamily(name, documentation, labels=labels)
    for key, value in values.items():
        family.add_metric(_labels(key), value)
    return family


def counter(name: str, documentation: str, value: float) -> Metric:
    """What has been counted since the start; ``name`` ends with ``_total``."""
    return CounterMetricFamily(name, documentation, value)


def counters(name: str, documentation: str, labels: Labels, values: Mapping[Key, float]) -> Metric:
    """The same by one or more labels."""
    family = CounterMetricFamily(name, documentation, labels=labels)
    for key, value in values.items():
        family.add_metric(_labels(key), value)
    return family


def histogram(name: str, documentation: str, times: Histogram) -> Metric:
    """Durations in seconds."""
    return HistogramMetricFamily(name, documentation, buckets=_buckets(times), sum_value=times.total)


def histograms(name: str, documentation: str, label: str, times: Mapping[str, Histogram]) -> Metric:
    """The same by a label."""
    family = HistogramMetricFamily(name, documentation, labels=(label,))
    for value, one in times.items():
        family.add_metric((value,), _buckets(one), one.total)
    return family


def info(name: str, documentation: str, labels: Mapping[str, str]) -> Metric:
    """What does not change, as labels; ``_info`` is put behind the name."""
    return InfoMetricFamily(name, documentation, dict(labels))


def closed(counts: Mapping[str, float], known: Collection[str]) -> dict[str, float]:
    """Counts by the known names, 0 where there is nothing, and of all the rest together as ``other``."""
    found = dict.fromkeys((*known, OTHER), 0.0)
    for name, count in counts.items():
        found[name if name in found else OTHER] += count
    return found


def first_of(names: Iterable[str], most: int) -> tuple[str, ...]:
    """The first of some names, each once."""
    return tuple(dict.fromkeys(names))[:most]


def _labels(key: str | Labels) -> Labels:
    return (key,) if isinstance(key, str) else key


def _buckets(times: Histogram) -> list[tuple[str, float]]:
    return [("+Inf" if isinf(bound) else repr(bound), count) for bound, count in times.figures()]
