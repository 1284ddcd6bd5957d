"""Alerts: what is watched, from which value on it is worth a person's attention, and since when.

An alert rises at once and falls with hysteresis: the value must stay below the threshold by
a margin, for a holding time. So a value that hovers around a threshold is one alert and not
a hundred.
"""

import logging
import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum, unique
from typing import Any, Final, Literal, get_args

from wsserver.clock import Clock, utc_text
from wsserver.settings import Settings
from wsserver.settings.operation import CRITICAL_SHARE, WARNING_SHARE, AlertsSettings

logger = logging.getLogger("wsserver.alerts")

AlertName = Literal[
    "connection_count",
    "error_rate",
    "latency",
    "memory_usage",
    "loop_lag",
    "descriptors",
    "slow_connections",
    "store",
    "audit",
    "break_glass",
    "SYSTEM_OVERLOAD",
]
ALERT_NAMES: Final[tuple[AlertName, ...]] = get_args(AlertName)
"""A closed set: dashboards and routes of alarms are made for these."""

UNITS: Final[Mapping[AlertName, str]] = {
    "connection_count": "connections",
    "error_rate": "percent",
    "latency": "ms",
    "memory_usage": "percent",
    "loop_lag": "ms",
    "descriptors": "percent",
    "slow_connections": "percent",
    "store": "active",
    "audit": "active",
    "break_glass": "active",
    "SYSTEM_OVERLOAD": "active",
}


@unique
class Level(IntEnum):
    """How bad it is."""

    OK = 0
    WARNING = 1
    CRITICAL = 2

    @property
    def text(self) -> str:
        """``ok``, ``warning`` or ``critical``."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Values from which on an alert is a warning, or critical."""

    warning: float
    critical: float

    def level(self, value: float) -> Level:
        """What a value means by itself, its past left out."""
        if value >= self.critical:
            return Level.CRITICAL
        return Level.WARNING if value >= self.warning else Level.OK

    def lowered(self, percent: float) -> "Thresholds":
        """The values below which an alert may fall again."""
        share = 1 - percent / 100
        return Thresholds(self.warning * share, self.critical * share)


_ON_OR_OFF: Final = Thresholds(math.inf, 1.0)
"""Of an alert that is a state and not a measurement."""


def thresholds_of(settings: Settings) -> dict[AlertName, Thresholds]:
    """The thresholds that settings mean; those of connections follow their limit."""
    alerts, most = settings.alerts, settings.connection.max_connections
    count_warning, count_critical = alerts.connection_count_warning, alerts.connection_count_critical
    return {
        "connection_count": Thresholds(
            math.ceil(most * WARNING_SHARE) if count_warning is None else count_warning,
            math.ceil(most * CRITICAL_SHARE) if count_critical is None else count_critical,
        ),
        "error_rate": Thresholds(alerts.error_rate_warning, alerts.error_rate_critical),
        "latency": Thresholds(alerts.latency_warning * 1000, alerts.latency_critical * 1000),
        "memory_usage": Thresholds(alerts.memory_usage_warning, alerts.memory_usage_critical),
        "loop_lag": Thresholds(alerts.loop_lag_warning * 1000, alerts.loop_lag_critical * 1000),
        "descriptors": Thresholds(alerts.descriptors_warning, alerts.descriptors_critical),
        "slow_connections": Thresholds(alerts.slow_connections_warning, alerts.slow_connections_critical),
    }


ALERT_THRESHOLDS: Final = thresholds_of(Settings())
"""The defaults, as the specification gives them."""


@dataclass(frozen=True, slots=True)
class AlertChange:
    """One alert became better or worse, or a notice was given. ``at`` is seconds since 1970 UTC."""

    name: str
    previous: Level
    level: Level
    at: float
    value: float | None = None
    threshold: float | None = None
    unit: str | None = None
    peak: float | None = None
    """The worst value since the alert rose; when it falls, of the time that is over."""
    lasted: float | None = None
    """Seconds at the previous level."""
    details: Mapping[str, Any] | None = None

    def as_dict(self) -> dict[str, Any]:
        """The members that JSON shows; what there is nothing to say about is left out."""
        shown = {
            "alert": self.name,
            "level": self.level.text,
            "previous": self.previous.text,
            "at": utc_text(self.at),
            "value": _rounded(self.value),
            "threshold": self.threshold,
            "unit": self.unit,
            "peak": _rounded(self.peak),
            "lasted_s": _rounded(self.lasted),
            "details": None if self.details is None else dict(self.details),
        }
        return {name: value for name, value in shown.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """Somebody has seen an alert and looks after it."""

    by: str
    at: float
    """Seconds since 1970 UTC."""

    def as_dict(self) -> dict[str, str]:
        """The members that JSON shows."""
        return {"by": self.by, "at": utc_text(self.at)}


class _Alert:
    """The state machine of one alert. ``level`` changes in ``move`` only."""

    __slots__ = ("acknowledged", "below_since", "level", "peak", "since", "value")

    def __init__(self, now: float) -> None:
        self.level = Level.OK
        self.since = now
        self.value: float | None = None
        self.peak: float | None = None
        self.below_since: float | None = None
        """Since when a lower level would do."""
        self.acknowledged: Acknowledgement | None = None

    def next_level(
        self, value: float, thresholds: Thresholds, margin: float, hold: float, now: float
    ) -> Level:
        """The level after this value: up at once, down when it has been lower for ``hold`` seconds."""
        risen = thresholds.level(value)
        if risen >= self.level:
            self.below_since = None
            return risen
        # With the margin taken off, so that a value just below its threshold keeps the alert up.
        calm = max(risen, min(self.level, thresholds.lowered(margin).level(value)))
        if calm >= self.level:
            self.below_since = None
            return self.level
        if self.below_since is None:
            self.below_since = now
        return calm if now - self.below_since >= hold else self.level

    def move(self, level: Level, value: float | None, now: float) -> None:
        if level > Level.OK and self.level == Level.OK:
            self.peak = value
        if level > self.level:
            # What has become worse, or has come back, is not what somebody has seen.
            self.acknowledged = None
        self.level, self.since, self.below_since = level, now, None


class AlertBook:
    """All alerts of one server, with a bounded history. Every change is logged and handed to listeners.

    It holds no id of anybody, and decides nothing: who wants to act on an alert listens.
    """

    def __init__(
        self, thresholds: Mapping[AlertName, Thresholds], settings: AlertsSettings, clock: Clock
    ) -> None:
        self._clock = clock
        now = clock.monotonic()
        self._alerts = {name: _Alert(now) for name in ALERT_NAMES}
        self.listeners: list[Callable[[AlertChange], object]] = []
        """Called with every change, on the loop's thread; they must not block."""
        self.changes = 0
        """Changes and notices since the start."""
        self._history: deque[AlertChange] = deque(maxlen=settings.history)
        self.thresholds: Mapping[AlertName, Thresholds] = {}
        self._settings = settings
        self.configure(thresholds, settings)

    def configure(self, thresholds: Mapping[AlertName, Thresholds], settings: AlertsSettings) -> None:
        """Take new thresholds; they count from the next value on."""
        self.thresholds = dict(thresholds)
        self._settings = settings
        if self._history.maxlen != settings.history:
            self._history = deque(self._history, maxlen=settings.history)

    def observe(self, name: AlertName, value: float | None) -> Level:
        """Note a value and return the alert's level. None (nothing to measure) counts as calm.

        It is not an all-clear at once: the holding time runs for it as well.
        """
        alert, now = self._alerts[name], self._clock.monotonic()
        alert.value = value
        thresholds = self.thresholds[name]
        if value is not None and alert.level > Level.OK:
            alert.peak = value if alert.peak is None else max(alert.peak, value)
        settings = self._settings
        level = alert.next_level(
            -math.inf if value is None else value, thresholds, settings.margin, settings.hold, now
        )
        if level is not alert.level:
            self._change(name, alert, level, value, thresholds, now, None)
        return level

    def switch(
        self,
        name: AlertName,
        on: bool,
        details: Mapping[str, Any] | None = None,
        *,
        level: Level = Level.CRITICAL,
    ) -> None:
        """Set an alert that is a state and not a measurement; both ways at once, and idempotent.

        ``level`` is how bad it is while it is on.
        """
        alert, now = self._alerts[name], self._clock.monotonic()
        level = level if on else Level.OK
        alert.value = 1.0 if on else 0.0
        if level is not alert.level:
            self._change(name, alert, level, None, _ON_OR_OFF, now, details)

    def acknowledge(self, name: str, by: str) -> tuple[Acknowledgement, bool] | None:
        """Note that somebody looks after a raised alert, until it is over or gets worse.

        Whoever was the first stands. Returns the acknowledgement and whether it is new; None for an alert
        that is not raised, or is none.
        """
        alert = next((alert for known, alert in self._alerts.items() if known == name), None)
        if alert is None or alert.level == Level.OK:
            return None
        is_new = alert.acknowledged is None
        if alert.acknowledged is None:
            alert.acknowledged = Acknowledgement(by, self._clock.time())
            logger.info("alert %s is acknowledged", name)
        return alert.acknowledged, is_new

    def notify(
        self, name: str, details: Mapping[str, Any] | None = None, *, level: Level = Level.CRITICAL
    ) -> None:
        """Pass on a notice of somebody else's: it is told and remembered, and has no state."""
        self._tell(AlertChange(name, Level.OK, level, self._clock.time(), details=details))

    def level(self, name: AlertName) -> Level:
        """How bad it is now."""
        return self._alerts[name].level

    def value(self, name: AlertName) -> float | None:
        """The last value noted."""
        return self._alerts[name].value

    def active(self) -> list[dict[str, Any]]:
        """The alerts that are not ok, the worst and oldest first."""
        now, wall = self._clock.monotonic(), self._clock.time()
        raised = [(name, alert) for name, alert in self._alerts.items() if alert.level > Level.OK]
        raised.sort(key=lambda pair: (-pair[1].level, pair[1].since))
        return [
            {
                "alert": name,
                "level": alert.level.text,
                "since": utc_text(wall - (now - alert.since)),
                "value": _rounded(alert.value),
                "peak": _rounded(alert.peak),
                "unit": UNITS[name],
                "acknowledged": None if alert.acknowledged is None else alert.acknowledged.as_dict(),
            }
            for name, alert in raised
        ]

    def current(self) -> dict[str, Any]:
        """Value, level, unit and thresholds of everything that is measured."""
        return {
            name: {
                "value": _rounded(self._alerts[name].value),
                "level": self._alerts[name].level.text,
                "unit": UNITS[name],
                "warning": thresholds.warning,
                "critical": thresholds.critical,
            }
            for name, thresholds in self.thresholds.items()
        }

    def history(self, limit: int) -> list[AlertChange]:
        """The latest changes and notices, newest first."""
        return [change for change, _ in zip(reversed(self._history), range(limit), strict=False)]

    def _change(
        self,
        name: AlertName,
        alert: _Alert,
        level: Level,
        value: float | None,
        thresholds: Thresholds,
        now: float,
        details: Mapping[str, Any] | None,
    ) -> None:
        previous, lasted = alert.level, now - alert.since
        alert.move(level, value, now)
        if thresholds is _ON_OR_OFF:
            threshold = None
        else:
            # The one it passed: going up that of the new level, going down that of the old one.
            worse = max(level, previous)
            threshold = thresholds.critical if worse is Level.CRITICAL else thresholds.warning
        self._tell(
            AlertChange(
                name,
                previous,
                level,
                self._clock.time(),
                value=value,
                threshold=threshold,
                unit=UNITS[name],
                peak=alert.peak,
                lasted=lasted,
                details=details,
            )
        )

    def _tell(self, change: AlertChange) -> None:
        self.changes += 1
        self._history.append(change)
        _log(change)
        for listener in self.listeners:
            listener(change)


def _log(change: AlertChange) -> None:
    # Not an error even when critical: a server that is full works as it should.
    severity = logging.WARNING if change.level else logging.INFO
    facts = ""
    if change.value is not None and change.threshold is not None:
        facts = f": {_plain(change.value)} {change.unit}, threshold {_plain(change.threshold)}"
    logger.log(severity, "alert %s is %s%s", change.name, change.level.text, facts)


def _plain(value: float) -> str:
    """``9612``, ``76.3``, ``0.412``: never with an exponent, which is for machines."""
    return f"{value:.0f}" if value >= 1000 else f"{value:.4g}"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
