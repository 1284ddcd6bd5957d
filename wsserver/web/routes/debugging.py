"""Routes of the specification's debugging tools."""

from typing import Annotated, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from wsserver.errors import INVALID_MESSAGE
from wsserver.profiling.loop_profile import MAX_SECONDS, MIN_SECONDS, LoopProfile
from wsserver.subscriptions.subscription_health import SubscriptionHealth
from wsserver.web.handlers.debugging import DEFAULT_SECONDS
from wsserver.web.route import Answer, Door, Refusal, Route
from wsserver.web.routes.figures import HealthFigures

TAG: Final = "Debugging"


class SubscriptionMetrics(msgspec.Struct):
    """Figures of all subscriptions."""

    total: int
    active: int
    expired: int
    expired_total: Annotated[int, Meta(description="Since the start.")]
    operations: int
    by_type: dict[str, int]
    wildcard_count: int
    distinct_filters: int
    filter_complexity: Annotated[float, Meta(ge=0, description="The average over subscriptions.")]
    topics: int


class Inspected(msgspec.Struct):
    """The state of all connections; nobody is named."""

    total_connections: int
    total_subscriptions: int
    by_role: dict[str, int]
    subscriptions: SubscriptionMetrics
    health: HealthFigures
    subscription_health: SubscriptionHealth


class ProfileQuery(msgspec.Struct):
    """How long to look."""

    seconds: (
        Annotated[
            int,
            Meta(
                ge=MIN_SECONDS,
                le=MAX_SECONDS,
                examples=[MIN_SECONDS],
                extra_json_schema={"default": DEFAULT_SECONDS},
            ),
        ]
        | UnsetType
    ) = UNSET


_SOUND: Final = {"total_subscriptions": 4, "active_connections": 3, "orphaned": 0}

_INSPECTED: Final = {
    "total_connections": 3,
    "total_subscriptions": 4,
    "by_role": {"doctor": 1, "nurse": 2},
    "subscriptions": {
        "total": 4,
        "active": 4,
        "expired": 0,
        "expired_total": 0,
        "operations": 4,
        "by_type": {"patient": 3, "ecg": 1},
        "wildcard_count": 1,
        "distinct_filters": 2,
        "filter_complexity": 0.5,
        "topics": 3,
    },
    "health": {
        "healthy_connections": 3,
        "unhealthy_connections": 0,
        "unmonitored_connections": 0,
        "avg_latency": 12.4,
        "heartbeat_success_rate": 100.0,
        "extended_timeouts": 0,
        "pings": 40,
        "pongs": 40,
        "missed": 0,
        "timed_out": 0,
        "own_stalls": 0,
        "own_stall_seconds": 0.0,
    },
    "subscription_health": _SOUND,
}

_DEAREST: Final = [
    {
        "function": "wsserver.broadcast_engine:BroadcastEngine.publish",
        "calls": 212,
        "own_ms": 3.2,
        "total_ms": 61.07,
    }
]

_PROFILE: Final = {
    "seconds": 5.002,
    "ended": "time",
    "cpu_seconds": 0.311,
    "worst_lag_ms": 1.9,
    "by_own_time": _DEAREST,
    "by_total_time": _DEAREST,
    "core": {
        "counters": {"broadcasts": 212, "matched": 2120, "delivered": 2120, "refused": 0},
        "times": {
            "flush_slice": {
                "count": 212,
                "mean_ms": 0.061,
                "p50_ms": 0.1,
                "p99_ms": 0.2,
                "buckets": [[0.05, 90], [0.1, 100], [0.2, 22]],
            }
        },
    },
}

DEBUGGING: Final = (
    Route(
        method="GET",
        path="/ws/inspect",
        handler=lambda handlers: handlers.debugging.inspect,
        door=Door.OPERATOR,
        scopes=("admin:read",),
        summary="Who is connected, by role, and how they do",
        description="The specification's inspector, with the self-test for subscriptions that have outlived "
        "their connection: `orphaned` is 0, or the server has a fault. Changes nothing.",
        tag=TAG,
        answers=(Answer(text="So it stands.", data=Inspected, example=_INSPECTED),),
    ),
    Route(
        method="POST",
        path="/ws/subscriptions/check",
        handler=lambda handlers: handlers.debugging.check_subscriptions,
        door=Door.OPERATOR,
        scopes=("admin:write",),
        summary="The self-test of subscriptions, and what it finds is put right",
        description="Subscriptions that have outlived their connection end.",
        tag=TAG,
        answers=(Answer(text="What was found, and ended.", data=SubscriptionHealth, example=_SOUND),),
    ),
    Route(
        method="GET",
        path="/ws/profile",
        handler=lambda handlers: handlers.debugging.profile,
        door=Door.OPERATOR,
        scopes=("admin:read",),
        summary="Where the server's time goes, function by function",
        description="Looks for some seconds at the thread of the event loop and at what the core counts, and "
        "answers then. What the server does in Python takes up to twice as long meanwhile; it leaves off "
        "early when the loop gets late.",
        tag=TAG,
        query=ProfileQuery,
        answers=(Answer(text="What went on.", data=LoopProfile, example=_PROFILE),),
        refusals=(Refusal(INVALID_MESSAGE, "A profile is being taken: one at a time.", status=409),),
        has_effects=True,
    ),
)
