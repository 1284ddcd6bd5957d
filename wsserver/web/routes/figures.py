"""Routes that give figures."""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from wsserver.web.route import Answer, Door, Route

TAG: Final = "Figures"

Count = Annotated[int, Meta(ge=0)]


class ConnectionFigures(msgspec.Struct):
    """Connections: ``total`` since the start = ``active`` + ``disconnected``."""

    total: Count
    active: Count
    disconnected: Count
    errors: Annotated[int, Meta(ge=0, description="Errors that clients were told of since the start.")]
    slow: Annotated[int, Meta(ge=0, description="Those that read too slowly now.")]
    throttled: Annotated[int, Meta(ge=0, description="Those that are not read at present.")]
    offenders: Annotated[int, Meta(ge=0, description="Those closed with 4110 since the start.")]
    by_protocol: Annotated[dict[str, int], Meta(description="Open ones by subprotocol.")]


class MessageFigures(msgspec.Struct):
    """Frames that reached the kernel, messages that were read, and what became of the rest."""

    sent: Count
    received: Count
    bytes_sent: Count
    bytes_received: Count
    encoded_binary: Count
    queued: Annotated[int, Meta(ge=0, description="Frames that wait for a socket now.")]
    dropped: Annotated[dict[str, int], Meta(description="Queued frames that never left, by reason.")]
    refused: Annotated[dict[str, int], Meta(description="What was refused with 1010, by whose rate it was.")]


class DeliveryFigures(msgspec.Struct):
    """The sums of all reports; ``delivered`` + ``replayed`` = ``written`` + ``queued`` + ``dropped``."""

    considered: Count
    filtered: Count
    denied: Count
    matched: Count
    delivered: Count
    refused: dict[str, int]
    replayed: Count
    written: Count
    queued: Count
    dropped: dict[str, int]
    violations: Annotated[int, Meta(ge=0, description="How often a sum did not add up: 0, or a fault.")]
    duplicates: Annotated[
        int, Meta(ge=0, description="Requests answered with what was done under their key.")
    ]


class StorageFigures(msgspec.Struct):
    """The store of durable messages."""

    kind: Literal["memory", "sqlite"]
    fault: Annotated[str | None, Meta(description="Why durable messages cannot be stored at the moment.")]
    stored: Count
    failed: Count
    pending: Count
    pending_bytes: Count
    commits: Count
    messages: Count
    file_bytes: Count


class AuditFigures(msgspec.Struct):
    """The access audit, since the start."""

    kind: Literal["memory", "file"]
    recorded: Count
    written: Count
    pending: Annotated[int, Meta(ge=0, description="Records that wait for the disk now.")]
    lost: Annotated[int, Meta(ge=0, description="Records that are in no file, as it could not be written.")]
    fault: Annotated[str | None, Meta(description="Why records cannot be written at the moment.")]


class SubscriptionTotals(msgspec.Struct):
    """Subscriptions held now: ``total`` = ``active`` + ``expired``."""

    total: Count
    active: Count
    expired: Count
    operations: Annotated[
        int, Meta(ge=0, description="Subscribes, unsubscribes and refreshes since the start.")
    ]


class SessionFigures(msgspec.Struct):
    """Sessions: those that may be taken up again, and what became of others since the start."""

    waiting: Count
    bytes: Count
    resumed: Count
    taken_over: Count
    unknown: Count
    expired: Count
    dropped: Count
    catching_up: Count


class RememberedFigures(msgspec.Struct):
    """Published messages that are remembered for those who come back."""

    messages: Count
    topics: Count
    bytes: Count
    evicted: Annotated[int, Meta(ge=0, description="Messages let go of since the start.")]


class PerformanceFigures(msgspec.Struct):
    """Work since the start, and memory now."""

    broadcast_operations: Count
    filter_operations: Count
    memory_usage_mb: Annotated[float, Meta(gt=0, description="Resident memory of the process, MiB.")]


class HealthFigures(msgspec.Struct):
    """How the connections are doing, by their heartbeats."""

    healthy_connections: Count
    unhealthy_connections: Count
    unmonitored_connections: Count
    avg_latency: Annotated[float | None, Meta(description="Milliseconds; null while there is none.")]
    heartbeat_success_rate: Annotated[float | None, Meta(description="Percent; null while there is none.")]
    extended_timeouts: Count
    pings: Count
    pongs: Count
    missed: Count
    timed_out: Annotated[int, Meta(ge=0, description="Connections ended for silence since the start.")]
    own_stalls: Annotated[int, Meta(ge=0, description="How often the server itself stood still.")]
    own_stall_seconds: Annotated[float, Meta(ge=0)]


class Metrics(msgspec.Struct):
    """Counts since the start, and what is open now."""

    connections: ConnectionFigures
    messages: MessageFigures
    deliveries: DeliveryFigures
    storage: StorageFigures
    auditing: AuditFigures
    subscriptions: SubscriptionTotals
    sessions: SessionFigures
    remembered: RememberedFigures
    performance: PerformanceFigures
    health: HealthFigures


_HEALTH: Final = {
    "healthy_connections": 17,
    "unhealthy_connections": 1,
    "unmonitored_connections": 0,
    "avg_latency": 12.402,
    "heartbeat_success_rate": 98.61,
    "extended_timeouts": 0,
    "pings": 2140,
    "pongs": 2122,
    "missed": 5,
    "timed_out": 1,
    "own_stalls": 0,
    "own_stall_seconds": 0.0,
}

_DROPPED: Final = {"slow": 0, "conflated": 0, "expired": 0, "closed": 1, "shutdown": 0}

_METRICS: Final = {
    "connections": {
        "total": 36,
        "active": 18,
        "disconnected": 18,
        "errors": 148,
        "slow": 0,
        "throttled": 0,
        "offenders": 0,
        "by_protocol": {"wsserver.v1.json": 16, "wsserver.v1.bin": 2},
    },
    "messages": {
        "sent": 440,
        "received": 361,
        "bytes_sent": 48480,
        "bytes_received": 1122315,
        "encoded_binary": 12,
        "queued": 0,
        "dropped": _DROPPED,
        "refused": {"connection_messages": 0, "user_messages": 0, "token_requests": 0},
    },
    "deliveries": {
        "considered": 41,
        "filtered": 6,
        "denied": 3,
        "matched": 32,
        "delivered": 30,
        "refused": {"slow": 0, "closing": 2},
        "replayed": 0,
        "written": 29,
        "queued": 0,
        "dropped": _DROPPED,
        "violations": 0,
        "duplicates": 2,
    },
    "storage": {
        "kind": "memory",
        "fault": None,
        "stored": 41,
        "failed": 0,
        "pending": 0,
        "pending_bytes": 0,
        "commits": 0,
        "messages": 0,
        "file_bytes": 0,
    },
    "auditing": {"kind": "file", "recorded": 64, "written": 64, "pending": 0, "lost": 0, "fault": None},
    "subscriptions": {"total": 12, "active": 12, "expired": 0, "operations": 16},
    "sessions": {
        "waiting": 3,
        "bytes": 3900,
        "resumed": 11,
        "taken_over": 2,
        "unknown": 1,
        "expired": 4,
        "dropped": 0,
        "catching_up": 0,
    },
    "remembered": {"messages": 212, "topics": 9, "bytes": 163400, "evicted": 40},
    "performance": {"broadcast_operations": 5, "filter_operations": 6, "memory_usage_mb": 56.1},
    "health": _HEALTH,
}

FIGURES: Final = (
    Route(
        method="GET",
        path="/ws/metrics",
        handler=lambda handlers: handlers.figures.metrics,
        door=Door.OPERATOR,
        scopes=("metrics:read",),
        summary="Figures since the start",
        description="Members may be added in later versions.",
        tag=TAG,
        answers=(Answer(text="The figures of this moment.", data=Metrics, example=_METRICS),),
    ),
    Route(
        method="GET",
        path="/metrics",
        handler=lambda handlers: handlers.figures.prometheus,
        door=Door.OPERATOR,
        scopes=("metrics:read",),
        summary="The same and more for Prometheus",
        description="Text or OpenMetrics, as `Accept` asks.",
        tag=TAG,
        answers=(
            Answer(
                text="The figures of this moment.",
                media_types=("text/plain", "application/openmetrics-text"),
            ),
        ),
    ),
    Route(
        method="GET",
        path="/ws/health",
        handler=lambda handlers: handlers.figures.health,
        door=Door.OPERATOR,
        scopes=("admin:read",),
        summary="How the connections are doing",
        description="Figures out of the heartbeats of all connections.",
        tag=TAG,
        answers=(Answer(text="The figures of this moment.", data=HealthFigures, example=_HEALTH),),
    ),
)
