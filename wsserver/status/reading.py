"""One look at what the parts of a service count anyway: nothing is walked, whoever is connected."""

import time
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import psutil

from wsserver.service import Service
from wsserver_core.histogram import Histogram

_PROCESS: Final = psutil.Process()

BOUNDS: Final = tuple(bound for bound, _ in Histogram().figures())
"""The seconds up to which a histogram counts, the last infinite."""

Counts = tuple[int, ...]
"""How many took no longer than each of ``BOUNDS``, since the start."""


class Reading(NamedTuple):
    """What was read at one moment. The first three are in the order of ``columns``."""

    gauges: tuple[float, ...]
    peaks: tuple[float, ...]
    totals: tuple[float, ...]
    """Of the rates, since the start."""
    enqueued: Counts
    written: Counts
    round_trips: int
    round_trip_seconds: float


def read(service: Service, since: float) -> Reading:
    """Look now; the worst is that since a moment of the monotonic clock."""
    manager, hub = service.manager, service.manager.hub
    received, bytes_received = service.inlet.received_totals()
    _, _, written, dropped = hub.published_figures()
    accounts, round_trips = manager.broadcasts.accounts, service.health.round_trips
    active = len(manager.connections)
    return Reading(
        gauges=(
            active,
            len(manager.subscription_manager),
            len(manager.sessions),
            hub.slow_count,
            hub.frames_queued,
            hub.pinned_bytes,
            _PROCESS.memory_info().rss,
            service.overload.signals.descriptors.used(),
        ),
        peaks=(service.overload.signals.lag.worst_since(since) * 1000,),
        totals=(
            received,
            bytes_received,
            hub.frames_written,
            hub.bytes_written,
            manager.broadcasts.operations,
            written,
            manager.opened,
            manager.opened - active,
            manager.faults,
            accounts.matched - accounts.delivered,
            dropped["slow"],
            dropped["conflated"],
            dropped["expired"],
            dropped["closed"],
            dropped["shutdown"],
            time.process_time(),
        ),
        enqueued=_counts(hub.enqueue_times),
        written=_counts(hub.write_times),
        round_trips=round_trips.figures()[-1][1],
        round_trip_seconds=round_trips.total,
    )


def _counts(histograms: Iterable[Histogram]) -> Counts:
    """Of all logs together."""
    return tuple(map(sum, zip(*([count for _, count in one.figures()] for one in histograms), strict=True)))


def quantile(share: float, counts: Sequence[int], bounds: Sequence[float] = BOUNDS) -> float | None:
    """The seconds that a share of what was counted took at the most; None if nothing was counted.

    ``counts`` run up: how many took no longer than each bound. Within a bound's range all is taken to
    be spread evenly, as Prometheus does; beyond the last finite bound it is that bound.
    """
    if not counts[-1]:
        return None
    wanted = share * counts[-1]
    below, at_least = 0, 0.0
    for bound, count in zip(bounds[:-1], counts, strict=False):
        if count >= wanted:
            return at_least + (bound - at_least) * (wanted - below) / (count - below)
        below, at_least = count, bound
    return at_least
