"""The figures that are kept for the charts of the status page: what each is called and measured in."""

from typing import Any, Final, Literal, TypeAlias

import msgspec

Kind: TypeAlias = Literal["gauge", "peak", "rate", "latency"]


class Column(msgspec.Struct, frozen=True):
    """One figure over time.

    What a point of it stands for depends on its kind: a ``gauge`` is the mean of what was so, a ``peak``
    the worst, a ``rate`` how much happened per second, a ``latency`` how long what happened took. A
    latency is unknown while nothing happened.
    """

    name: str
    unit: str
    kind: Kind


GAUGES: Final = (
    Column("connections", "connections", "gauge"),
    Column("subscriptions", "subscriptions", "gauge"),
    Column("sessions", "sessions", "gauge"),
    Column("slow_connections", "connections", "gauge"),
    Column("queued_messages", "messages", "gauge"),
    Column("queued_bytes", "bytes", "gauge"),
    Column("rss_bytes", "bytes", "gauge"),
    Column("descriptors", "descriptors", "gauge"),
)

PEAKS: Final = (Column("loop_lag_ms", "ms", "peak"),)

RATES: Final = (
    Column("messages_in", "messages/s", "rate"),
    Column("bytes_in", "bytes/s", "rate"),
    Column("messages_out", "messages/s", "rate"),
    Column("bytes_out", "bytes/s", "rate"),
    Column("published", "messages/s", "rate"),
    Column("deliveries", "messages/s", "rate"),
    Column("connects", "connections/s", "rate"),
    Column("disconnects", "connections/s", "rate"),
    Column("errors", "errors/s", "rate"),
    Column("refused", "messages/s", "rate"),
    Column("dropped_slow", "messages/s", "rate"),
    Column("dropped_conflated", "messages/s", "rate"),
    Column("dropped_expired", "messages/s", "rate"),
    Column("dropped_closed", "messages/s", "rate"),
    Column("dropped_shutdown", "messages/s", "rate"),
    Column("cpu_seconds", "s/s", "rate"),
)

LATENCIES: Final = (
    Column("enqueue_p50_ms", "ms", "latency"),
    Column("enqueue_p95_ms", "ms", "latency"),
    Column("enqueue_p99_ms", "ms", "latency"),
    Column("write_p50_ms", "ms", "latency"),
    Column("write_p95_ms", "ms", "latency"),
    Column("write_p99_ms", "ms", "latency"),
    Column("rtt_ms", "ms", "latency"),
)

COLUMNS: Final = (*GAUGES, *PEAKS, *RATES, *LATENCIES)
"""All of them, in the order in which they are kept and sent."""


def described() -> list[dict[str, Any]]:
    """The columns as plain values for JSON."""
    columns: list[dict[str, Any]] = msgspec.to_builtins(COLUMNS)
    return columns
