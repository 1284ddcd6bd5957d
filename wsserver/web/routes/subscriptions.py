"""Routes about subscriptions."""

from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from wsserver.errors import NOT_FOUND
from wsserver.observe.event_history import EventKind
from wsserver.web.route import Answer, Door, Refusal, Route
from wsserver.web.routes.forms import Id, Instant, Limit, LimitQuery, Reveal

TAG: Final = "Subscriptions"


class TopicFigures(msgspec.Struct):
    """One topic and how many follow it."""

    subscription_type: str
    target_id: str
    subscriptions: int


class FilterFigures(msgspec.Struct):
    """One filter and how it does."""

    filters: dict[str, Any]
    subscriptions: int
    tested: Annotated[int, Meta(description="Messages that it was held against.")]
    matched: Annotated[int, Meta(description="Those of them for which it held.")]
    complexity: Annotated[float, Meta(ge=0)]


class SubscriptionFigures(msgspec.Struct):
    """What is subscribed to, and how filters do."""

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
    top_targets: Annotated[list[TopicFigures], Meta(description="The largest first, at most `limit`.")]
    filters: Annotated[list[FilterFigures], Meta(description="The most used first, at most `limit`.")]


class FiguresQuery(LimitQuery):
    """How much is asked for, and how it is shown."""

    reveal: Reveal = False


class Event(msgspec.Struct):
    """What happened to one subscription, or to a connection."""

    at: Instant
    kind: EventKind
    connection_id: str
    subscription_id: str | None
    subscription_type: str | None
    target_id: str | None
    detail: str | None


class Events(msgspec.Struct):
    """The latest events, newest first, and how many of each kind there were since the start."""

    events: list[Event]
    counts: dict[str, int]


class EventsQuery(msgspec.Struct):
    """Which events are asked for."""

    limit: Limit | UnsetType = UNSET
    kind: EventKind | UnsetType = UNSET
    connection_id: Id | UnsetType = UNSET
    reveal: Reveal = False


_FIGURES: Final = {
    "total": 3,
    "active": 3,
    "expired": 0,
    "expired_total": 0,
    "operations": 4,
    "by_type": {"patient": 3},
    "wildcard_count": 1,
    "distinct_filters": 2,
    "filter_complexity": 0.67,
    "topics": 2,
    "top_targets": [
        {"subscription_type": "patient", "target_id": "123", "subscriptions": 2},
        {"subscription_type": "patient", "target_id": "*", "subscriptions": 1},
    ],
    "filters": [
        {
            "filters": {"severity": "high"},
            "subscriptions": 2,
            "tested": 1204,
            "matched": 12,
            "complexity": 1.0,
        }
    ],
}

_EVENTS: Final = {
    "events": [
        {
            "at": "2026-11-25T21:40:02.113Z",
            "kind": "expired",
            "connection_id": "c_9f27fecbc51225c22150b167",
            "subscription_id": "s_97f5171f2d9d4e77",
            "subscription_type": "patient",
            "target_id": "123",
            "detail": None,
        }
    ],
    "counts": {
        "subscribed": 3,
        "replaced": 0,
        "unsubscribed": 0,
        "expired": 1,
        "revoked": 0,
        "disconnected": 1,
        "expiring": 1,
        "hint": 0,
    },
}

SUBSCRIPTIONS: Final = (
    Route(
        method="GET",
        path="/ws/subscriptions",
        handler=lambda handlers: handlers.subscriptions.subscriptions,
        door=Door.OPERATOR,
        scopes=("admin:read",),
        summary="What is subscribed to, and how filters do",
        description="Figures of all subscriptions, the topics with the most subscribers, and the filters.",
        tag=TAG,
        query=FiguresQuery,
        answers=(Answer(text="So it stands.", data=SubscriptionFigures, example=_FIGURES),),
    ),
    Route(
        method="GET",
        path="/ws/events",
        handler=lambda handlers: handlers.subscriptions.events,
        door=Door.OPERATOR,
        scopes=("admin:read",),
        summary="What happened to subscriptions lately",
        description="Newest first; `subscription.event_history_size` says how many are kept.",
        tag=TAG,
        query=EventsQuery,
        answers=(Answer(text="So it went.", data=Events, example=_EVENTS),),
        refusals=(Refusal(NOT_FOUND, "No such connection is open, and none has ended lately."),),
    ),
)
