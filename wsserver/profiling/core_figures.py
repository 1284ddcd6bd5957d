"""What the compiled core and the broadcasts count anyway, as differences between two moments."""

from collections.abc import Callable, Iterable, Mapping
from math import isinf

import msgspec

from wsserver.connection_manager import ConnectionManager
from wsserver.store.log import DURABLE, VOLATILE
from wsserver_core.histogram import Histogram

Buckets = tuple[tuple[float, int], ...]


class Moment(msgspec.Struct, frozen=True):
    """Everything that was counted up to some moment."""

    counters: Mapping[str, int]
    times: Mapping[str, tuple[float, Buckets]]
    """By name: the sum in seconds, and how many took no longer than each bound."""


class Times(msgspec.Struct, frozen=True, kw_only=True):
    """Durations of one kind that ended between two moments."""

    count: int
    mean_ms: float | None
    """None while there was none; likewise the next two."""
    p50_ms: float | None
    """The bound below which half of them are."""
    p99_ms: float | None
    buckets: list[tuple[float | None, int]]
    """``(milliseconds, how many took no longer and longer than the bound before)``, empty ones left out.

    The last bound is None: longer than all others.
    """


class CoreProfile(msgspec.Struct, frozen=True, kw_only=True):
    """What the core did between two moments."""

    counters: dict[str, int]
    times: dict[str, Times]


class CoreFigures:
    """Reads the counters of one manager; reading costs some 100 µs and changes nothing."""

    def __init__(
        self,
        manager: ConnectionManager,
        received: Callable[[], tuple[int, int]] = lambda: (0, 0),
        more: Mapping[str, Histogram] | None = None,
    ) -> None:
        """``received`` gives messages and bytes that came in; ``more`` are further histograms by name."""
        self._manager = manager
        self._received = received
        self._histograms = {
            "flush_slice": manager.hub.slice_times,
            "broadcast_enqueue_volatile": manager.hub.enqueue_times[VOLATILE],
            "broadcast_enqueue_durable": manager.hub.enqueue_times[DURABLE],
            "broadcast_write_volatile": manager.hub.write_times[VOLATILE],
            "broadcast_write_durable": manager.hub.write_times[DURABLE],
            **(more or {}),
        }

    def read(self) -> Moment:
        """All figures of now."""
        manager, hub = self._manager, self._manager.hub
        broadcasts, accounts = manager.broadcasts, manager.broadcasts.accounts
        received, bytes_received = self._received()
        counters = {
            "connections_opened": manager.opened,
            "messages_received": received,
            "bytes_received": bytes_received,
            "frames_sent": hub.frames_written,
            "bytes_sent": hub.bytes_written,
            "send_calls": hub.send_calls,
            "frames_dropped": sum(hub.frames_dropped.values()),
            "broadcasts": broadcasts.operations,
            "encoded_binary": manager.binary.encoded,
            "filter_operations": broadcasts.filter_operations,
            "considered": accounts.considered,
            "filtered": accounts.filtered,
            "denied": accounts.denied,
            "matched": accounts.matched,
            "delivered": accounts.delivered,
            "refused": accounts.refused.total(),
        }
        times = {name: (one.total, tuple(one.figures())) for name, one in self._histograms.items()}
        return Moment(counters, times)


def between(before: Moment, after: Moment) -> CoreProfile:
    """What happened between two moments of the same figures."""
    return CoreProfile(
        counters={name: count - before.counters[name] for name, count in after.counters.items()},
        times={name: _times(before.times[name], sums) for name, sums in after.times.items()},
    )


def _times(before: tuple[float, Buckets], after: tuple[float, Buckets]) -> Times:
    total = after[0] - before[0]
    grown = [(bound, count - known) for (bound, count), (_, known) in zip(after[1], before[1], strict=True)]
    count = grown[-1][1]
    return Times(
        count=count,
        mean_ms=round(total / count * 1000, 3) if count else None,
        p50_ms=_quantile(grown, 0.5),
        p99_ms=_quantile(grown, 0.99),
        buckets=list(_apart(grown)),
    )


def _quantile(grown: Iterable[tuple[float, int]], share: float) -> float | None:
    """Milliseconds: the least bound with that share below it; None where there is none or no bound."""
    known = list(grown)
    wanted = known[-1][1] * share
    bound = next((bound for bound, count in known if count and count >= wanted), float("inf"))
    return None if isinf(bound) else round(bound * 1000, 3)


def _apart(grown: Iterable[tuple[float, int]]) -> Iterable[tuple[float | None, int]]:
    below = 0
    for bound, count in grown:
        if count > below:
            yield None if isinf(bound) else round(bound * 1000, 3), count - below
        below = count
