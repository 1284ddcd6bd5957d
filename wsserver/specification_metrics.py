"""The figures of ``GET /ws/metrics``, in the shape the specification gives."""

from typing import Any

import psutil

from wsserver.protocol.encoding import BINARY_PROTOCOL, JSON_PROTOCOL
from wsserver.service import Service

_PROCESS = psutil.Process()


def specification_metrics(service: Service) -> dict[str, Any]:
    """Counts since the start, and what is open now.

    ``total`` = ``active`` + ``disconnected`` for connections; for subscriptions ``total`` are
    those held, ``expired`` those held but past their time. Bytes are as written to and read
    from the sockets, frames included; messages sent count every frame that reached the kernel.
    """
    manager = service.manager
    subscriptions = manager.subscription_manager.get_metrics()
    rates = service.rates.get_metrics()
    received, bytes_received = service.inlet.received_totals()
    active = len(manager.connections)
    return {
        "connections": {
            "total": manager.opened,
            "active": active,
            "disconnected": manager.opened - active,
            "errors": manager.faults,
            "slow": manager.slow_connections(),
            "throttled": service.inlet.throttled_connections,
            "offenders": rates["offenders_closed"],
            "by_protocol": {
                JSON_PROTOCOL: active - manager.binary_connections,
                BINARY_PROTOCOL: manager.binary_connections,
            },
        },
        "messages": {
            "sent": manager.hub.frames_written,
            "received": received,
            "bytes_sent": manager.hub.bytes_written,
            "bytes_received": bytes_received,
            "encoded_binary": manager.binary.encoded,
            "queued": manager.hub.frames_queued,
            "dropped": manager.hub.frames_dropped,
            "refused": rates["refused"],
        },
        "deliveries": {
            **manager.broadcasts.accounts.get_metrics(),
            "duplicates": service.idempotency.duplicates,
        },
        "storage": service.store_keeper.get_metrics(),
        "auditing": service.audit.get_metrics(),
        "subscriptions": {
            "total": subscriptions["total"],
            "active": subscriptions["active"],
            "expired": subscriptions["expired"],
            "operations": subscriptions["operations"],
        },
        "sessions": manager.sessions.get_metrics() | {"catching_up": len(manager.catch_ups)},
        "remembered": manager.history.get_metrics(),
        "performance": {
            "broadcast_operations": manager.broadcasts.operations,
            "filter_operations": manager.broadcasts.filter_operations,
            "memory_usage_mb": round(_PROCESS.memory_info().rss / 2**20, 1),
        },
        "health": service.health.get_health_metrics(),
    }
