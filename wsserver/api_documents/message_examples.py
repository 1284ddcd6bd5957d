"""Examples of everything that is said over the WebSocket, by the ``type`` that it has."""

from collections.abc import Mapping
from typing import Any, Final

from wsserver.api_documents.publishing import REPORT

Example = dict[str, Any]

TOKEN: Final = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.e30.c2lnbmF0dXJl"  # noqa: S105 -- stands for one
"""Where a token stands in an example."""

_SUBSCRIPTION: Final = {
    "subscription_id": "s_5fe691b97d64e036",
    "subscription_type": "patient",
    "target_id": "123",
}
_SESSION_ID: Final = "4bV0gkBcQqV3mZ1vX0dJtC8oS2nY7rWlA5uEhFxKpTM"
_CONNECTED: Final = {
    "type": "connected",
    "connection_id": "c_9f27fecbc51225c22150b167",
    "session_id": _SESSION_ID,
    "session_ttl": 120.0,
    "user_id": "dr1",
    "role": "doctor",
    "protocol": "wsserver.v1.json",
    "heartbeat_interval": 30.0,
    "max_message_size": 1048576,
    "server_time": "2026-11-23T16:28:15.809Z",
    "cursor": {"7c1e90d4d": 0, "246da229v": 0},
    "subscriptions": [{**_SUBSCRIPTION, "filters": {}}],
    "errors": [],
}
_GAP: Final = {"type": "gap", "log": "7c1e90d4d", "topic": "patient:123", "from": 42, "to": 44}

COMMAND_EXAMPLES: Final[Mapping[str, tuple[Example, ...]]] = {
    "connect": (
        {
            "type": "connect",
            "request_id": "r1",
            "token": TOKEN,
            "user_id": "dr1",
            "role": "doctor",
            "patient_id": "123",
            "subscriptions": ["patient:123", "type:ecg"],
        },
        {
            "type": "connect",
            "token": TOKEN,
            "session": {"id": _SESSION_ID, "cursor": {"7c1e90d4d": 41, "246da229v": 977}},
        },
    ),
    "subscribe": (
        {
            "type": "subscribe",
            "request_id": "r2",
            "subscription_type": "patient",
            "target_id": "123",
            "filters": {"data_type": "ecg", "severity": ["warning", "critical"]},
        },
        {"type": "subscribe", "topic": "type:ecg", "filters": {"vitals.hr": {"$gt": 140}}},
    ),
    "unsubscribe": (
        {"type": "unsubscribe", "subscription_type": "patient", "target_id": "123"},
        {"type": "unsubscribe", "subscription_id": "s_5fe691b97d64e036"},
    ),
    "refresh": ({"type": "refresh"},),
    "broadcast": (
        {
            "type": "broadcast",
            "request_id": "r7",
            "target_type": "patient",
            "target_id": "123",
            "message": {"type": "note", "text": "seen"},
        },
    ),
    "ping": ({"type": "ping", "request_id": "r8", "t": 1700000000000},),
    "auth": ({"type": "auth", "request_id": "r9", "token": TOKEN},),
    "ack": ({"type": "ack", "message_id": "m_0660f414f02a6541348d488996"},),
    "health_check": ({"type": "health_check"},),
    "disconnect": ({"type": "disconnect"},),
}

CONTROL_EXAMPLES: Final[Mapping[str, tuple[Example, ...]]] = {
    "connected": (
        _CONNECTED,
        {
            **_CONNECTED,
            "session": {"resumed": True, "replayed": 7, "gaps": [{**_GAP, "reason": "trimmed"}]},
        },
    ),
    "subscription_confirmed": (
        {
            "type": "subscription_confirmed",
            "request_id": "r2",
            **_SUBSCRIPTION,
            "filters": {"data_type": "ecg", "severity": ["critical", "warning"]},
            "replaced": False,
        },
    ),
    "unsubscribed": (
        {"type": "unsubscribed", "subscription_type": "patient", "target_id": "123", "existed": True},
    ),
    "refreshed": ({"type": "refreshed", "count": 2, "expires_in": 3600.0},),
    "pong": (
        {
            "type": "pong",
            "request_id": "r8",
            "t": 1700000000000,
            "server_time": "2026-11-23T16:28:21.043Z",
            "cursor": {"7c1e90d4d": 0, "246da229v": 2},
        },
    ),
    "authenticated": ({"type": "authenticated", "request_id": "r9", "expires_in": 7192.748},),
    "health": (
        {
            "type": "health",
            "sent": 17,
            "bytes_sent": 2874,
            "received": 15,
            "bytes_received": 1492,
            "subscriptions": 2,
            "rtt_ms": None,
            "queue": {"messages": 0, "bytes": 0},
        },
    ),
    "broadcast_ack": ({"type": "broadcast_ack", "request_id": "r7", **REPORT},),
    "error": (
        {
            "type": "error",
            "request_id": "r2",
            "code": 1003,
            "name": "invalid_subscription",
            "message": "Invalid command: a field is unknown; did you mean topic?",
            "details": {"path": "topics", "reason": "is unknown; did you mean topic?"},
        },
        {
            "type": "error",
            "code": 1002,
            "name": "connection_limit_exceeded",
            "message": "Connection limit exceeded.",
            "retry_after_ms": 5000,
            "details": {"scope": "user"},
        },
    ),
    "gap": ({**_GAP, "count": 3, "reason": "conflated"},),
    "hint": (
        {
            "type": "hint",
            **_SUBSCRIPTION,
            "message": "No message had the field vitals.hart_rate; did you mean vitals.heart_rate?",
        },
    ),
    "token_expiring": ({"type": "token_expiring", "expires_in": 59.83},),
    "subscription_expiring": ({"type": "subscription_expiring", **_SUBSCRIPTION, "expires_in": 300.0},),
    "subscription_expired": (
        {
            "type": "subscription_expired",
            **_SUBSCRIPTION,
            "code": 1007,
            "name": "subscription_timeout",
            "message": "The subscription expired.",
        },
    ),
    "system_shutdown": (
        {
            "type": "system_shutdown",
            "message": "The server is shutting down. Come back in 5.4 seconds.",
            "reconnect_after_ms": 5402,
        },
    ),
}

PUBLISHED_EXAMPLE: Final[Example] = {
    "_meta": {
        "id": "m_0660f41b95bf5c41348d488996",
        "topic": "patient:123",
        "log": "246da229v",
        "seq": 6,
        "ts": "2026-11-23T16:30:11.349Z",
    },
    "type": "ecg_data",
    "patient_id": 123,
    "data": [1.2, 1.5],
    "sampling_rate": 250,
}
