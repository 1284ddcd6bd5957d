"""One scrape as Prometheus takes it in."""

import shutil
from collections.abc import Iterable, Mapping
from typing import Any

from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from wsserver.prometheus.collector import ServiceCollector
from wsserver.service import Service

PROMTOOL = shutil.which("promtool")

Series = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def text_of(service: Service) -> str:
    """The text format."""
    return generate_latest(ServiceCollector(service)).decode()


def series_of(text: str) -> Series:
    """Every sample of a text."""
    return _series(text_string_to_metric_families(text))


def scrape(service: Service) -> Series:
    """Every sample, not by way of the text, which takes longer."""
    return _series(ServiceCollector(service).collect())


def _series(families: Iterable[Metric]) -> Series:
    """By name and labels. Fails where one comes twice."""
    found: Series = {}
    for family in families:
        for sample in family.samples:
            key = sample.name, tuple(sorted(sample.labels.items()))
            assert key not in found, key
            found[key] = sample.value
    return found


def value(series: Series, name: str, **labels: str) -> float:
    """One sample."""
    return series[name, tuple(sorted(labels.items()))]


def total(series: Series, name: str, **labels: str) -> float:
    """The sum over all labels but those that are given."""
    wanted: Mapping[str, Any] = labels
    return sum(
        sample
        for (one, its), sample in series.items()
        if one == name and all(dict(its).get(label) == text for label, text in wanted.items())
    )


def check_sums(series: Series) -> None:
    """What must hold in every scrape, whatever goes on."""
    active = total(series, "wsserver_connections")
    assert total(series, "wsserver_connects_total") == active + total(series, "wsserver_disconnects_total")
    assert total(series, "wsserver_connections_by_encoding") == active
    assert total(series, "wsserver_connections_by_health") == active
    delivered = total(series, "wsserver_delivered_total")
    assert total(series, "wsserver_matched_total") == delivered + total(series, "wsserver_refused_total")
    left = (
        total(series, "wsserver_written_total")
        + total(series, "wsserver_queued")
        + total(series, "wsserver_dropped_total")
    )
    assert delivered + total(series, "wsserver_replayed_total") == left
    broadcasts = total(series, "wsserver_broadcasts_total")
    assert total(series, "wsserver_broadcast_enqueue_seconds_count") == broadcasts
    assert total(series, "wsserver_broadcast_write_seconds_count") <= broadcasts
    assert total(series, "wsserver_accounting_violations_total") == 0


def check_growth(before: Series, after: Series) -> None:
    """No counter falls, and no series comes or goes, but for those of which there is nothing to measure."""
    assert before.keys() - after.keys() == set()
    assert {name for name, _ in after.keys() - before.keys()} <= {"wsserver_connection_latency_seconds"}
    for (name, labels), sample in before.items():
        if name.endswith(("_total", "_bucket", "_count")):
            assert after[name, labels] >= sample, (name, labels)
