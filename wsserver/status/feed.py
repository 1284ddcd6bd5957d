"""The live panels: drawn up once a second for whoever watches, and encoded once for all of them."""

from collections.abc import Callable
from typing import Any, Final

import msgspec

from wsserver.clock import utc_text
from wsserver.operators.masking import mask, mask_document
from wsserver.protocol.topic import Topic
from wsserver.service import Service
from wsserver.status.overview import OverviewDesk, active_alerts
from wsserver.status.panels import (
    MAX_ENTRIES,
    SUBSCRIPTION_TYPE,
    Alerts,
    Events,
    Panel,
    Traces,
)
from wsserver.status.slow_consumers import slow_panel
from wsserver.status.viewers import Viewers

HISTORY: Final = 20
"""Changes of alerts that are shown."""

TRACED: Final = 20
"""Messages under observation that are shown."""

TRACED_CONNECTIONS: Final = 20
"""Connections of each of them; ``GET /ws/traces`` has them all."""

_PASSING: Final = frozenset({"at", "events", "left_out"})
"""Members that tell nothing new by being others than a second ago: new events show in their total."""


class Feed:
    """Publishes the panels of one service to its viewers. A panel that nobody watches costs nothing.

    A panel that says the same as a second ago is sent again only when somebody new is there to see it.
    """

    def __init__(self, service: Service, overview: OverviewDesk, viewers: Viewers) -> None:
        self._service = service
        self._viewers = viewers
        self._desks: dict[str, Callable[[], Panel]] = {
            "overview": overview.draw_up,
            "slow": lambda: slow_panel(service),
            "alerts": self._alerts,
            "events": self._events,
            "traces": self._traces,
        }
        self._sent: dict[str, dict[str, Any]] = {}
        self._subscribed = 0
        self._seen: int | None = None
        self.published = 0
        """Messages since the start."""

    def tick(self) -> None:
        """Publish what is watched and new; once a second."""
        history = self._viewers.manager.subscription_manager.history
        subscribed = history.counts["subscribed"] + history.counts["replaced"]
        has_newcomers, self._subscribed = subscribed != self._subscribed, subscribed
        for name, desk in self._desks.items():
            if not self._is_watched(name):
                self._sent.pop(name, None)
                if name == "events":
                    self._seen = None
                continue
            panel = desk()
            body: dict[str, Any] = msgspec.to_builtins(panel)
            if not isinstance(panel, Traces):
                # Here and nowhere else, so that none of them forgets it; traces do it themselves.
                body = mask_document(body)
            said = {member: value for member, value in body.items() if member not in _PASSING}
            if has_newcomers or said != self._sent.get(name):
                self._sent[name] = said
                self._viewers.manager.publish(Topic(SUBSCRIPTION_TYPE, name), body)
                self.published += 1

    def _is_watched(self, name: str) -> bool:
        return bool(self._viewers.manager.index.addressed(SUBSCRIPTION_TYPE, name, 1))

    def _alerts(self) -> Alerts:
        alerts, overload = self._service.alerts, self._service.overload
        return Alerts(
            at=self._now(),
            active=active_alerts(self._service),
            current=alerts.current(),
            history=[change.as_dict() for change in alerts.history(HISTORY)],
            overload_causes=overload.causes,
            changes=alerts.changes,
        )

    def _events(self) -> Events:
        history = self._service.manager.subscription_manager.history
        new = 0 if self._seen is None else history.total - self._seen
        self._seen = history.total
        shown = history.latest(min(new, MAX_ENTRIES))
        return Events(
            at=self._now(),
            events=[event.as_dict() for event in shown],
            left_out=new - len(shown),
            total=history.total,
            counts={str(kind): count for kind, count in history.counts.items()},
        )

    def _traces(self) -> Traces:
        traces = self._service.traces
        return Traces(
            at=self._now(),
            armed=[armed.as_dict(mask) for armed in traces.armed],
            latest=[traced.as_dict(mask, limit=TRACED_CONNECTIONS) for traced in traces.latest(TRACED)],
        )

    def _now(self) -> str:
        return utc_text(self._service.clock.time())
