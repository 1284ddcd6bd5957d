"""Routes about alerts and overload."""

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from wsserver.errors import NOT_FOUND
from wsserver.web.handlers.alerts import EmergencyRequest
from wsserver.web.route import Answer, Body, Door, Parameter, Refusal, Route
from wsserver.web.routes.forms import Instant, LimitQuery

TAG: Final = "Operating"

Level = Literal["ok", "warning", "critical"]
Cause = Literal["memory", "loop_lag", "requested", "operator"]


class Acknowledged(msgspec.Struct):
    """Who looks after an alert."""

    by: str
    at: Instant


class RaisedAlert(msgspec.Struct):
    """An alert that is not ok."""

    alert: str
    level: Level
    since: Instant
    value: float | None
    peak: Annotated[float | None, Meta(description="The worst value since it was raised.")]
    unit: str
    acknowledged: Annotated[
        Acknowledged | None, Meta(description="Who has said that they look after it, null for nobody.")
    ]


class Measure(msgspec.Struct):
    """A value that is watched, and from where on it is an alert."""

    value: Annotated[float | None, Meta(description="Null while there is nothing to measure.")]
    level: Level
    unit: str
    warning: float
    critical: float


class AlertChange(msgspec.Struct):
    """One alert became better or worse, or a backend gave a notice."""

    alert: str
    level: Level
    previous: Level
    at: Instant
    value: float | UnsetType = UNSET
    threshold: float | UnsetType = UNSET
    unit: str | UnsetType = UNSET
    peak: float | UnsetType = UNSET
    lasted_s: Annotated[float, Meta(description="Seconds at the previous level.")] | UnsetType = UNSET
    details: dict[str, Any] | UnsetType = UNSET


class Overload(msgspec.Struct):
    """Whether the server defends itself, and why."""

    active: bool
    causes: list[Cause]
    entered: Annotated[int, Meta(ge=0, description="How often since the start.")]


class Webhook(msgspec.Struct):
    """How the delivery of alerts to the operator's address is doing."""

    configured: bool
    delivered: int
    waiting: int
    retries: int
    dropped: int


class Alerts(msgspec.Struct):
    """What is wrong and since when."""

    active: Annotated[list[RaisedAlert], Meta(description="The worst first.")]
    current: dict[str, Measure]
    overload: Overload
    history: Annotated[list[AlertChange], Meta(description="The latest changes, newest first.")]
    webhook: Webhook


class Acknowledgement(msgspec.Struct):
    """How it stands now."""

    alert: str
    acknowledged: Acknowledged
    changed: Annotated[bool, Meta(description="False when somebody had done so before, who stands.")]


class Emergency(msgspec.Struct):
    """How it stands now."""

    active: bool
    changed: Annotated[bool, Meta(description="False when it was so already.")]
    causes: list[Cause]


_EXAMPLE: Final = {
    "active": [
        {
            "alert": "connection_count",
            "level": "warning",
            "since": "2026-11-25T21:40:02.113Z",
            "value": 8214,
            "peak": 8220,
            "unit": "connections",
            "acknowledged": {"by": "olga", "at": "2026-11-25T21:41:30.027Z"},
        }
    ],
    "current": {
        "connection_count": {
            "value": 8214,
            "level": "warning",
            "unit": "connections",
            "warning": 8000,
            "critical": 9500,
        },
        "latency": {"value": 12.4, "level": "ok", "unit": "ms", "warning": 200.0, "critical": 500.0},
    },
    "overload": {"active": False, "causes": [], "entered": 0},
    "history": [
        {
            "alert": "connection_count",
            "level": "warning",
            "previous": "ok",
            "at": "2026-11-25T21:40:02.113Z",
            "value": 8001,
            "threshold": 8000,
            "unit": "connections",
            "peak": 8001,
            "lasted_s": 86211.4,
        }
    ],
    "webhook": {"configured": True, "delivered": 3, "waiting": 0, "retries": 0, "dropped": 0},
}

ALERTS: Final = (
    Route(
        method="GET",
        path="/ws/alerts",
        handler=lambda handlers: handlers.alerts.alerts,
        door=Door.OPERATOR,
        scopes=("admin:read",),
        summary="What is wrong and since when",
        description="Alerts that are raised, every value with its level and thresholds, the latest changes.",
        tag=TAG,
        query=LimitQuery,
        answers=(Answer(text="So it stands.", data=Alerts, example=_EXAMPLE),),
    ),
    Route(
        method="POST",
        path="/ws/alerts/{alert}/acknowledge",
        handler=lambda handlers: handlers.alerts.acknowledge,
        door=Door.OPERATOR,
        scopes=("admin:write",),
        summary="Say that you look after a raised alert",
        description="Shown until the alert is over or gets worse. Whoever was the first stands. Noted in the "
        "access audit.",
        tag=TAG,
        place={"alert": Parameter(text="Its name, as in `GET /ws/alerts`.", example="latency")},
        answers=(
            Answer(
                text="Somebody looks after it.",
                data=Acknowledgement,
                example={
                    "alert": "latency",
                    "acknowledged": {"by": "olga", "at": "2026-11-25T21:41:30.027Z"},
                    "changed": True,
                },
            ),
        ),
        refusals=(Refusal(NOT_FOUND, "No such alert is raised."),),
    ),
    Route(
        method="POST",
        path="/ws/emergency",
        handler=lambda handlers: handlers.alerts.emergency,
        door=Door.OPERATOR,
        scopes=("admin:write",),
        summary="Count as overloaded, or end that, by hand",
        description="On, it lasts until it is put off. Off ends an overload of any cause and lets none begin "
        "by itself for a minute. `reason` goes into the alert.",
        tag=TAG,
        body=Body(form=EmergencyRequest, example={"active": True, "reason": "moving to the other rack"}),
        answers=(
            Answer(
                text="So it stands now.",
                data=Emergency,
                example={"active": True, "changed": True, "causes": ["operator"]},
            ),
        ),
        has_effects=True,
    ),
)
