"""What is shown of a server at one moment, from the live panels or from what was polled."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import msgspec

MAX_ROWS: Final = 100
"""Slow connections and alerts that are kept of one answer."""

Source = Literal["live", "polled"]


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """How full something is."""

    name: str
    unit: Literal["count", "bytes"]
    current: float
    peak: float | None
    limit: float | None

    @property
    def share(self) -> float | None:
        """Of the limit, from 0 to 1 and more; None without one, or where it is not known."""
        return self.current / self.limit if self.limit else None


class SlowRow(msgspec.Struct, frozen=True, kw_only=True):
    """A connection that reads too slowly."""

    connection_id: str
    user_id: str
    role: str
    pending_messages: int
    pending_bytes: int
    oldest_age_s: float | None = None
    slow_for_s: float | None = None
    dropped: int | None = None


class AlertRow(msgspec.Struct, frozen=True, kw_only=True):
    """An alert that is raised."""

    alert: str
    level: str
    since: str
    value: float | None
    unit: str


class Picture(msgspec.Struct, frozen=True, kw_only=True):
    """One moment."""

    source: Source
    at: str
    state: str
    reasons: list[str]
    node: str | None = None
    version: str | None = None
    uptime_s: float | None = None
    bars: list[Bar]
    rates: dict[str, float | None]
    """Per second."""
    figures: dict[str, float | None]
    """Latencies and lag in milliseconds."""
    slow_connections: int
    slow: list[SlowRow]
    alerts: list[AlertRow]


Sort = Literal["pending_bytes", "pending_messages", "oldest_age_s", "dropped"]
SORTS: Final[tuple[Sort, ...]] = ("pending_bytes", "pending_messages", "oldest_age_s", "dropped")

RATES: Final = (
    "messages_in",
    "messages_out",
    "bytes_in",
    "bytes_out",
    "published",
    "deliveries",
    "connects",
    "disconnects",
    "errors",
    "refused",
)
FIGURES: Final = ("write_p50_ms", "write_p95_ms", "write_p99_ms", "rtt_ms", "loop_lag_ms")

_UNITS: Final[Mapping[str, Literal["count", "bytes"]]] = {
    "connections": "count",
    "subscriptions": "count",
    "memory_bytes": "bytes",
    "descriptors": "count",
    "queue_bytes": "bytes",
}


def of_panels(panels: Mapping[str, Mapping[str, Any]]) -> Picture:
    """From the newest message of each panel of ``/ws/admin``; ``overview`` must be among them.

    Raises KeyError or TypeError where they are none of this version.
    """
    overview, slow = panels["overview"], panels.get("slow", {})
    point = overview["point"]
    return Picture(
        source="live",
        at=overview["at"],
        state=overview["state"],
        reasons=list(overview["reasons"]),
        node=overview["node"],
        version=overview["version"],
        uptime_s=overview["uptime_s"],
        bars=[
            Bar(
                name=name.removesuffix("_bytes"),
                unit=unit,
                current=overview["capacity"][name]["current"],
                peak=overview["capacity"][name]["peak"],
                limit=overview["capacity"][name]["limit"],
            )
            for name, unit in _UNITS.items()
        ],
        rates={name: point.get(name) for name in RATES},
        figures={name: point.get(name) for name in FIGURES},
        slow_connections=overview["slow_connections"],
        slow=[_slow_row(one) for one in slow.get("consumers", ())[:MAX_ROWS]],
        alerts=[_alert_row(one) for one in overview["alerts"][:MAX_ROWS]],
    )


class Polled(msgspec.Struct, frozen=True):
    """What ``/ws/metrics``, ``/ws/alerts`` and ``/ws/connections`` said, and when."""

    seconds: float
    """By a clock that never steps back."""
    at: str
    metrics: Mapping[str, Any]
    alerts: Mapping[str, Any]
    connections: Sequence[Mapping[str, Any]]


def of_polled(now: Polled, before: Polled | None) -> Picture:
    """From two answers some time apart; from one alone no rates can be told.

    Raises KeyError or TypeError where they are none of this version.
    """
    alerts, metrics = now.alerts, now.metrics
    current = alerts["current"]
    state = "overloaded" if alerts["overload"]["active"] else "answering"
    waiting = [_slow_row(one) for one in now.connections if one.get("pending_messages")]
    return Picture(
        source="polled",
        at=now.at,
        state=state,
        reasons=list(alerts["overload"]["causes"]),
        bars=[
            Bar(
                name="connections",
                unit="count",
                current=metrics["connections"]["active"],
                peak=None,
                limit=None,
            ),
            Bar(
                name="subscriptions",
                unit="count",
                current=metrics["subscriptions"]["total"],
                peak=None,
                limit=None,
            ),
            Bar(
                name="memory",
                unit="bytes",
                current=metrics["performance"]["memory_usage_mb"] * 2**20,
                peak=None,
                limit=None,
            ),
        ],
        rates=dict.fromkeys(RATES) | (_rates(now, before) if before is not None else {}),
        figures=dict.fromkeys(FIGURES)
        | {"rtt_ms": metrics["health"]["avg_latency"], "loop_lag_ms": current["loop_lag"]["value"]},
        slow_connections=metrics["connections"]["slow"],
        slow=waiting[:MAX_ROWS],
        alerts=[_alert_row(one) for one in alerts["active"][:MAX_ROWS]],
    )


def sorted_by(picture: Picture, sort: Sort) -> list[SlowRow]:
    """The slow connections, the worst by a figure in front."""
    return sorted(picture.slow, key=lambda row: -(getattr(row, sort) or 0))


# By name: the members of ``/ws/metrics`` that are counted since the start.
_COUNTERS: Final = {
    "messages_in": ("messages", "received"),
    "messages_out": ("messages", "sent"),
    "bytes_in": ("messages", "bytes_received"),
    "bytes_out": ("messages", "bytes_sent"),
    "published": ("performance", "broadcast_operations"),
    "deliveries": ("deliveries", "delivered"),
    "connects": ("connections", "total"),
    "disconnects": ("connections", "disconnected"),
    "errors": ("connections", "errors"),
}


def _rates(now: Polled, before: Polled) -> dict[str, float | None]:
    seconds = now.seconds - before.seconds
    return {
        name: max(now.metrics[section][figure] - before.metrics[section][figure], 0) / seconds
        if seconds > 0
        else None
        for name, (section, figure) in _COUNTERS.items()
    }


def _slow_row(one: Mapping[str, Any]) -> SlowRow:
    return SlowRow(
        connection_id=str(one["connection_id"]),
        user_id=str(one["user_id"]),
        role=str(one["role"]),
        pending_messages=int(one["pending_messages"]),
        pending_bytes=int(one["pending_bytes"]),
        oldest_age_s=one.get("oldest_age_s"),
        slow_for_s=one.get("slow_for_s"),
        dropped=one.get("dropped"),
    )


def _alert_row(one: Mapping[str, Any]) -> AlertRow:
    return AlertRow(
        alert=str(one["alert"]),
        level=str(one["level"]),
        since=str(one["since"]),
        value=one.get("value"),
        unit=str(one.get("unit", "")),
    )
