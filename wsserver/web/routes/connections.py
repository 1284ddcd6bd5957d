"""Routes about connections."""

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from wsserver.connections.connection_info import ConnectionInfo, ConnectionStateName
from wsserver.connections.connection_pages import MAX_CURSOR, ConnectionPage, Sort
from wsserver.errors import NOT_FOUND
from wsserver.web.handlers.connections import DisconnectRequest
from wsserver.web.query import DEFAULT_LIMIT
from wsserver.web.route import Answer, Body, Door, Parameter, Refusal, Route
from wsserver.web.routes.forms import Id, Limit, Reveal, RevealQuery

TAG: Final = "Connections"


_Cursor = Annotated[str, Meta(max_length=MAX_CURSOR, description="`next_cursor` of the page before.")]


class ConnectionsQuery(msgspec.Struct):
    """Which connections, in which order, and where to go on."""

    limit: Limit = DEFAULT_LIMIT
    cursor: _Cursor | UnsetType = UNSET
    sort: Annotated[Sort, Meta(description="With `-` the largest first.")] = "connected"
    role: Id | UnsetType = UNSET
    state: ConnectionStateName | UnsetType = UNSET
    user_id: Id | UnsetType = UNSET
    patient_id: Annotated[Id, Meta(description="As the client named it.")] | UnsetType = UNSET
    protocol: Literal["wsserver.v1.json", "wsserver.v1.bin"] | UnsetType = UNSET
    q: Annotated[Id, Meta(description="How the connection id begins.")] | UnsetType = UNSET
    reveal: Reveal = False


class Disconnected(msgspec.Struct):
    """What was done."""

    disconnected: Annotated[int, Meta(ge=1, description="Connections whose close has begun.")]


_ROW: Final[dict[str, Any]] = {
    "connection_id": "c_9f27fecbc51225c22150b167",
    "user_id": "nurse7",
    "role": "nurse",
    "patient_id": "123",
    "address": "203.0.113.9",
    "protocol": "wsserver.v1.json",
    "connected_at": "2026-11-25T21:32:57.020Z",
    "connected_seconds": 425.093,
    "idle_seconds": 3.25,
    "rtt_ms": 12.4,
    "subscriptions": 1,
    "messages_in": 14,
    "bytes_in": 1022,
    "messages_out": 2051,
    "bytes_out": 501200,
    "pending_messages": 0,
    "pending_bytes": 0,
    "dropped": 0,
    "state": "ok",
}

_INFO: Final[dict[str, Any]] = {
    **_ROW,
    "rights_changed_at": None,
    "refused_commands": 0,
    "health": {"state": "healthy", "timeout_seconds": 60.0, "missed_pings": 0, "average_rtt_ms": 11.8},
    "slow": None,
    "token": {
        "token_id": "t_5f0a1c22d3e4f5a6b7c8d9e0",
        "expires_at": "2026-11-25T22:32:57.000Z",
        "expires_in": 3174.9,
        "patients": 12,
    },
    "session": {"kept": True, "ttl_seconds": 120.0, "resumed": False},
    "subscribed": [
        {
            "subscription_id": "s_97f5171f2d9d4e77",
            "subscription_type": "patient",
            "target_id": "123",
            "filters": {"severity": "high"},
            "complexity": 1.0,
            "idle_seconds": 424.9,
            "break_glass": False,
        }
    ],
    "events": [
        {
            "at": "2026-11-25T21:32:57.113Z",
            "kind": "subscribed",
            "connection_id": "c_9f27fecbc51225c22150b167",
            "subscription_id": "s_97f5171f2d9d4e77",
            "subscription_type": "patient",
            "target_id": "123",
            "detail": None,
        }
    ],
    "gaps": [
        {
            "at": "2026-11-25T21:36:02.411Z",
            "log": "k3f9v",
            "topic": "patient:123",
            "from": 801,
            "to": 844,
            "count": 44,
            "reason": "slow",
        }
    ],
    "gaps_told": 1,
}

_CONNECTION: Final = {
    "connection_id": Parameter(text="The connection.", example="c_9f27fecbc51225c22150b167", form=Id)
}
_DISCONNECT: Final = Body(
    form=DisconnectRequest, example={"reason": "please sign in again", "reconnect": False}, required=False
)
_CLOSES: Final = (
    "The client is closed with 4523, which is final, or with `reconnect` with 4021, after which it comes "
    "back at once. What waits for it leaves before."
)
_GONE: Final = Refusal(NOT_FOUND, "It is not open; `details.ended_at` says when it ended, if that is known.")

CONNECTIONS: Final = (
    Route(
        method="GET",
        path="/ws/connections",
        handler=lambda handlers: handlers.connections.listing,
        door=Door.OPERATOR,
        scopes=("admin:read",),
        summary="Who is connected, and how they are doing",
        description="A page of the open connections. All of them are walked for it, a slice in each turn of "
        "the event loop. With a key that changes a connection may stand on two pages or on none.",
        tag=TAG,
        query=ConnectionsQuery,
        answers=(
            Answer(
                text="Some of them.",
                data=ConnectionPage,
                example={"connections": [_ROW], "total": 8214, "matching": 8214, "next_cursor": None},
            ),
        ),
    ),
    Route(
        method="GET",
        path="/ws/connections/{connection_id}",
        handler=lambda handlers: handlers.connections.detail,
        door=Door.OPERATOR,
        scopes=("admin:read",),
        summary="All that is known of a connection",
        description="Its figures, subscriptions, latest events, losses it was told of, token and session. "
        "Never a secret.",
        tag=TAG,
        place=_CONNECTION,
        query=RevealQuery,
        answers=(Answer(text="So it is.", data=ConnectionInfo, example=_INFO),),
        refusals=(_GONE,),
    ),
    Route(
        method="POST",
        path="/ws/connections/{connection_id}/disconnect",
        handler=lambda handlers: handlers.connections.disconnect,
        door=Door.OPERATOR,
        scopes=("admin:write",),
        summary="End a connection",
        description=_CLOSES,
        tag=TAG,
        place=_CONNECTION,
        body=_DISCONNECT,
        answers=(Answer(text="Its close has begun.", data=Disconnected, example={"disconnected": 1}),),
        refusals=(_GONE,),
        has_effects=True,
    ),
    Route(
        method="POST",
        path="/ws/users/{user_id}/disconnect",
        handler=lambda handlers: handlers.connections.disconnect_user,
        door=Door.OPERATOR,
        scopes=("admin:write",),
        summary="End all connections of a user",
        description=f"{_CLOSES} Tokens stay good: to keep somebody out, revoke them.",
        tag=TAG,
        place={"user_id": Parameter(text="The user.", example="nurse7", form=Id)},
        body=_DISCONNECT,
        answers=(Answer(text="Their closes have begun.", data=Disconnected, example={"disconnected": 2}),),
        refusals=(Refusal(NOT_FOUND, "The user has no open connection."),),
        has_effects=True,
    ),
)
