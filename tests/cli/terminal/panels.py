"""Panels as the server makes them, for tests of what a terminal shows of them."""

from typing import Any

import msgspec

from wsserver.status.columns import COLUMNS
from wsserver.status.panels import (
    ActiveAlert,
    Capacities,
    Capacity,
    Overview,
    Slow,
    SlowConsumer,
)


def overview(**changed: Any) -> dict[str, Any]:
    """As it comes over the socket."""
    capacity = Capacity(current=50, peak=80, limit=100)
    panel = Overview(
        at="2026-11-26T10:41:07.000Z",
        state="accepting",
        reasons=[],
        since="2026-11-26T10:00:00.000Z",
        node="ward7",
        version="0.1.0",
        core="cython",
        python="3.11.7",
        started_at="2026-11-26T10:00:00.000Z",
        uptime_s=2467.0,
        capacity=Capacities(
            connections=Capacity(current=9600, peak=9700, limit=10_000),
            subscriptions=capacity,
            memory_bytes=Capacity(current=300 * 2**20, peak=310 * 2**20, limit=2**30),
            descriptors=capacity,
            queue_bytes=Capacity(current=0, peak=2**20, limit=None),
        ),
        point=dict.fromkeys((one.name for one in COLUMNS), None)
        | {"messages_in": 12.5, "messages_out": 12_345.0, "write_p99_ms": 1.25, "loop_lag_ms": 14.0},
        point_at=1_795_689_667.0,
        disconnects={"1000": 3},
        disconnects_over_s=900.0,
        top_targets=[],
        slow_connections=2,
        alerts=[
            ActiveAlert(
                alert="connection_count", level="critical", since="2026-11-26T10:40:00.000Z",
                value=9600.0, peak=9700.0, unit="connections",
            )
        ],
        viewers=1,
        viewers_limit=16,
    )  # fmt: skip
    document: dict[str, Any] = msgspec.to_builtins(panel)
    return {**document, **changed}


def consumer(number: int, **changed: Any) -> dict[str, Any]:
    """One slow connection."""
    one = SlowConsumer(
        connection_id=f"c_{number}",
        user_id="•••07",
        role="nurse",
        protocol="wsserver.v1.json",
        slow_for_s=12.5,
        oldest_age_s=7.25,
        pending_messages=10 + number,
        pending_bytes=2048,
        dropped=3,
        policy="thinning",
    )
    document: dict[str, Any] = msgspec.to_builtins(one)
    return {**document, **changed}


def slow(*consumers: dict[str, Any]) -> dict[str, Any]:
    """The panel of slow connections."""
    panel = Slow(
        at="2026-11-26T10:41:07.000Z",
        consumers=[],
        left_out=0,
        slow_connections=len(consumers),
        stalled_connections=0,
        queued_messages=0,
        queued_bytes=0,
        queue_limit_bytes=1,
        slow_after_s=5.0,
        closed_after_s=120.0,
        closed=0,
        publishers_wait=False,
    )
    document: dict[str, Any] = msgspec.to_builtins(panel)
    return {**document, "consumers": list(consumers)}


METRICS: dict[str, Any] = {
    "connections": {"total": 30, "active": 20, "disconnected": 10, "errors": 1, "slow": 1},
    "messages": {"sent": 1000, "received": 100, "bytes_sent": 50_000, "bytes_received": 4000},
    "deliveries": {"delivered": 900},
    "subscriptions": {"total": 40},
    "performance": {"broadcast_operations": 90, "memory_usage_mb": 60.0},
    "health": {"avg_latency": None},
}

ALERTS: dict[str, Any] = {
    "active": [],
    "current": {"loop_lag": {"value": 2.5}, "connection_count": {"value": 20}},
    "overload": {"active": False, "causes": []},
}
