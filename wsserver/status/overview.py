"""The first screen of the status page: whether all is well."""

import platform
from math import isfinite
from typing import Final

import msgspec

from wsserver._version import __version__
from wsserver.clock import utc_text
from wsserver.service import Service
from wsserver.status.columns import COLUMNS
from wsserver.status.departures import Departures
from wsserver.status.panels import ActiveAlert, Capacities, Capacity, Overview, Target
from wsserver.status.series import Series
from wsserver.status.standing import Standing
from wsserver.status.viewers import Viewers

TOP: Final = 10
"""Topics that are named."""

TOP_INTERVAL: Final = 10.0
"""Seconds between two looks for them, as each of 50,000 topics that there may be is looked at."""

_CORE: Final = "cython"
_NODE: Final = platform.node()
_PYTHON: Final = platform.python_version()


class OverviewDesk:
    """Draws up the overview of one service."""

    def __init__(self, service: Service, series: Series, viewers: Viewers) -> None:
        self._service = service
        self._series = series
        self._viewers = viewers
        self._clock = service.clock
        self.standing = Standing(service)
        self._departures = Departures()
        self._top: list[Target] = []
        self._top_at: float | None = None

    def look(self) -> None:
        """Notice what would be past by the time somebody asks; once a second."""
        self.standing.look()
        self._departures.note(self._clock.monotonic(), self._service.manager.disconnects)

    def draw_up(self) -> Overview:
        """How it is now."""
        service, clock = self._service, self._clock
        manager, standing = service.manager, self.standing
        minutes = self._series.minutes
        disconnects, over = self._departures.lately(clock.monotonic(), manager.disconnects)
        return Overview(
            at=utc_text(clock.time()),
            state=standing.state,
            reasons=standing.reasons,
            since=utc_text(standing.since),
            node=_NODE,
            version=__version__,
            core=_CORE,
            python=_PYTHON,
            started_at=utc_text(service.started_at),
            uptime_s=round(max(0.0, clock.time() - service.started_at), 1),
            capacity=self._capacities(),
            point={
                column.name: value if isfinite(value) else None
                for column, value in zip(COLUMNS, minutes.row, strict=True)
            },
            point_at=minutes.last_at,
            disconnects=disconnects,
            disconnects_over_s=round(over, 1),
            top_targets=self._top_targets(),
            slow_connections=manager.slow_connections(),
            alerts=active_alerts(service),
            viewers=len(self._viewers),
            viewers_limit=self._viewers.limit,
        )

    def _capacities(self) -> Capacities:
        service, manager = self._service, self._service.manager
        memory, room = service.overload.signals.memory.usage(), service.overload.signals.descriptors
        return Capacities(
            connections=self._capacity(
                "connections", len(manager.connections), manager.limits.max_connections
            ),
            subscriptions=self._capacity(
                "subscriptions", len(manager.subscription_manager), manager.settings.subscription.max_global
            ),
            memory_bytes=self._capacity("rss_bytes", memory.used, memory.limit),
            descriptors=self._capacity("descriptors", room.used(), room.client_ceiling),
            queue_bytes=self._capacity(
                "queued_bytes", manager.hub.pinned_bytes, manager.backpressure.max_total_bytes
            ),
        )

    def _capacity(self, column: str, current: float, limit: float) -> Capacity:
        return Capacity(
            current=current, peak=max(current, self._series.minutes.most(column) or 0), limit=limit
        )

    def _top_targets(self) -> list[Target]:
        now = self._clock.monotonic()
        if self._top_at is None or now - self._top_at >= TOP_INTERVAL:
            self._top_at = now
            largest = self._service.manager.index.largest_topics(TOP)
            self._top = [
                Target(subscription_type=kind, target_id=target, subscriptions=count)
                for kind, target, count in largest
            ]
        return self._top


def active_alerts(service: Service) -> list[ActiveAlert]:
    """The alerts that are raised, the worst and oldest first."""
    return msgspec.convert(service.alerts.active(), list[ActiveAlert])
