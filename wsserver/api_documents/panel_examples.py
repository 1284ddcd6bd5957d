"""Examples of the panels of the status page, by the name of the panel."""

from collections.abc import Mapping
from typing import Any, Final

_AT: Final = "2026-11-26T19:08:09.841Z"


def _published(panel: str, seq: int, **members: Any) -> dict[str, Any]:
    meta = {
        "id": f"m_066132aa127bb0088abaa9b5f{seq}",
        "topic": f"status:{panel}",
        "log": "7a6018abv",
        "seq": seq,
        "ts": _AT,
    }
    return {"_meta": meta, "panel": panel, "type": "status", "at": _AT, **members}


_LATENCY: Final = {
    "alert": "latency",
    "level": "warning",
    "since": "2026-11-26T19:07:41.063Z",
    "value": 240.0,
    "peak": 300.0,
    "unit": "ms",
    "acknowledged": {"by": "olga", "at": "2026-11-26T19:07:58.402Z"},
}

_TRACED: Final = {
    "trace_id": "t_63b7aaac4df8e8a6f01873c8",
    "state": "armed",
    "armed_at": "2026-11-26T19:08:08.896Z",
    "by": "olga",
    "criteria": {"type": "vitals"},
    "messages": 10,
    "seconds": 60.0,
    "body": False,
    "seen": 0,
}

PANEL_EXAMPLES: Final[Mapping[str, dict[str, Any]]] = {
    "overview": _published(
        "overview",
        1,
        state="accepting",
        reasons=[],
        since="2026-11-26T08:00:00.709Z",
        node="ward-7",
        version="0.1.0",
        core="cython",
        python="3.11.7",
        started_at="2026-11-26T08:00:00.752Z",
        uptime_s=40089.1,
        capacity={
            "connections": {"current": 412, "peak": 420, "limit": 10000},
            "subscriptions": {"current": 961, "peak": 980, "limit": 50000},
            "memory_bytes": {"current": 74207232, "peak": 75100160, "limit": 25276063744},
            "descriptors": {"current": 431, "peak": 440, "limit": 19744},
            "queue_bytes": {"current": 0, "peak": 8192, "limit": 268435456},
        },
        point={"connections": 412.0, "messages_out": 1840.0, "loop_lag_ms": 1.8, "rtt_ms": None},
        point_at=1795720089.8,
        disconnects={"1000": 3, "4005": 1},
        disconnects_over_s=900.0,
        top_targets=[{"subscription_type": "patient", "target_id": "•••23", "subscriptions": 12}],
        slow_connections=1,
        alerts=[_LATENCY],
        viewers=2,
        viewers_limit=50,
    ),
    "slow": _published(
        "slow",
        2,
        consumers=[
            {
                "connection_id": "c_5856de104d03cda6868f4395",
                "user_id": "•••e7",
                "role": "nurse",
                "protocol": "wsserver.v1.json",
                "slow_for_s": 12.5,
                "oldest_age_s": 17.5,
                "pending_messages": 214,
                "pending_bytes": 70410,
                "dropped": 96,
                "policy": "thinning",
            }
        ],
        left_out=0,
        slow_connections=1,
        stalled_connections=1,
        queued_messages=214,
        queued_bytes=70410,
        queue_limit_bytes=268435456,
        slow_after_s=5.0,
        closed_after_s=120.0,
        closed=0,
        publishers_wait=False,
    ),
    "alerts": _published(
        "alerts",
        3,
        active=[_LATENCY],
        current={
            "latency": {"value": 240.0, "level": "warning", "unit": "ms", "warning": 200.0, "critical": 500.0}
        },
        history=[
            {"alert": "latency", "level": "warning", "previous": "ok", "at": "2026-11-26T19:07:41.063Z"}
        ],
        overload_causes=[],
        changes=1,
    ),
    "events": _published(
        "events",
        4,
        events=[
            {
                "at": _AT,
                "kind": "subscribed",
                "connection_id": "c_5856de104d03cda6868f4395",
                "subscription_id": "s_97f5171f2d9d4e77",
                "subscription_type": "patient",
                "target_id": "•••23",
                "detail": None,
            }
        ],
        left_out=0,
        total=1204,
        counts={"subscribed": 1000, "unsubscribed": 104, "disconnected": 100},
    ),
    "traces": _published("traces", 5, armed=[_TRACED], latest=[]),
}
