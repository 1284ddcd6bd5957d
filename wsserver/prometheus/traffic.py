"""Connections, and what goes in and out through them."""

from collections.abc import Iterator
from typing import Final

from prometheus_client.metrics_core import Metric

from wsserver.errors import CLOSE_CODES
from wsserver.prometheus.families import (
    closed,
    counter,
    counters,
    first_of,
    gauge,
    gauges,
    histograms,
)
from wsserver.service import Service
from wsserver.store.log import DURABLE, VOLATILE
from wsserver_core.outgoing import ALERT, CRITICAL, DATA

MAX_ROLES: Final = 100
"""Roles of the settings that have series of their own."""

_CLOSE_CODES: Final = tuple(map(str, CLOSE_CODES))

_IMPORTANCES: Final = {"critical": CRITICAL, "alert": ALERT, "data": DATA}
_REFUSALS: Final = ("slow", "closing", "catching_up")
_LOGS: Final = {"durable": DURABLE, "volatile": VOLATILE}


def connection_families(service: Service) -> Iterator[Metric]:
    """Who is there, who came and how they went."""
    manager, inlet, health = service.manager, service.inlet, service.health.get_health_metrics()
    roles = first_of(manager.settings.access.roles, MAX_ROLES)
    active, binary = len(manager.connections), manager.binary_connections
    yield gauges(
        "wsserver_connections",
        "Open connections that are authenticated.",
        ("role",),
        closed(manager.limits.by_role, roles),
    )
    yield gauges(
        "wsserver_connections_by_encoding",
        "The same by the protocol that they speak.",
        ("encoding",),
        {"json": active - binary, "binary": binary},
    )
    yield gauge(
        "wsserver_connections_limit",
        "Connections that there may be (connection.max_connections).",
        manager.limits.max_connections,
    )
    yield counter("wsserver_connects_total", "Connections authenticated since the start.", manager.opened)
    yield counters(
        "wsserver_disconnects_total",
        "Those of them that have ended, by close code, 1006 where none was sent: "
        "wsserver_connects_total less the open ones.",
        ("code",),
        closed({str(code): count for code, count in manager.disconnects.items()}, _CLOSE_CODES),
    )
    yield counters(
        "wsserver_sockets_closed_total",
        "Closed WebSockets by close code, those that never authenticated included.",
        ("code",),
        closed({str(code): count for code, count in service.sink.closes.items()}, _CLOSE_CODES),
    )
    yield gauge("wsserver_newcomers", "WebSockets that have not authenticated yet.", len(service.admission))
    yield gauges(
        "wsserver_connections_by_health",
        "Open connections by their heartbeats.",
        ("state",),
        {state: health[f"{state}_connections"] for state in ("healthy", "unhealthy", "unmonitored")},
    )
    yield gauge(
        "wsserver_connections_closing",
        "WebSockets in the closing handshake.",
        inlet.closing_connections,
    )
    yield gauge(
        "wsserver_connections_throttled",
        "Connections that are not read now, as they sent too many bytes.",
        inlet.throttled_connections,
    )
    yield counter("wsserver_throttles_total", "How often one was not read for that.", inlet.throttles)
    yield counter("wsserver_errors_total", "Errors that clients were told of.", manager.faults)
    yield counters(
        "wsserver_rate_limited_total",
        "What was refused with error 1010, by whose rate it was and what was too fast.",
        ("scope", "limit"),
        service.rates.refused,
    )
    yield counter(
        "wsserver_offenders_closed_total",
        "Connections closed with 4110 for what they sent.",
        service.rates.offenders,
    )


def message_families(service: Service) -> Iterator[Metric]:
    """What is read and written, and what waits."""
    manager, hub, inlet = service.manager, service.manager.hub, service.inlet
    received, bytes_received = inlet.received_totals()
    yield counters(
        "wsserver_messages_total",
        "Messages from clients; frames that reached the kernel, control frames included.",
        ("direction",),
        {"received": received, "sent": hub.frames_written},
    )
    yield counters(
        "wsserver_bytes_total",
        "Bytes of WebSockets as read and written.",
        ("direction",),
        {"received": bytes_received, "sent": hub.bytes_written},
    )
    yield gauge(
        "wsserver_unfinished_bytes", "Bytes of messages that are being received.", service.budget.used
    )
    yield gauge("wsserver_queue_frames", "Frames that wait for a socket.", hub.frames_queued)
    yield gauge(
        "wsserver_queue_bytes",
        "Bytes that these queues keep in memory, each shared frame once.",
        hub.pinned_bytes,
    )
    yield gauge(
        "wsserver_queue_limit_bytes",
        "Bytes that they may keep (backpressure.max_total_bytes).",
        manager.backpressure.max_total_bytes,
    )
    yield counters(
        "wsserver_frames_dropped_total",
        "Queued frames that never left, control frames included, by reason.",
        ("reason",),
        hub.frames_dropped,
    )
    yield gauge("wsserver_slow_connections", "Connections that read too slowly.", hub.slow_count)
    yield counter("wsserver_slow_connections_entered_total", "How often one became slow.", hub.slow_entered)
    yield counter(
        "wsserver_slow_connections_closed_total",
        "Connections that were ended for it (4005).",
        manager.backpressure.closed,
    )
    yield gauge("wsserver_stalled_connections", "Connections with a full socket.", hub.stalled_connections)
    yield gauge(
        "wsserver_crowded_connections",
        "Connections for which much waits though their socket takes it.",
        hub.crowded_count,
    )
    yield counter(
        "wsserver_publishers_refused_total",
        "Messages whose publishers were asked to come back later (error 1005).",
        manager.backpressure.refused,
    )
    yield counter("wsserver_send_calls_total", "System calls of direct sends.", hub.send_calls)


def delivery_families(service: Service) -> Iterator[Metric]:
    """Broadcasts, and what became of every copy."""
    manager, broadcasts, hub = service.manager, service.manager.broadcasts, service.manager.hub
    accounts = broadcasts.accounts
    _, queued, written, dropped = hub.published_figures()
    yield counters(
        "wsserver_broadcasts_total",
        "Broadcasts by importance.",
        ("importance",),
        {name: broadcasts.by_importance[place] for name, place in _IMPORTANCES.items()},
    )
    yield counter(
        "wsserver_binary_encodings_total",
        "Messages that were encoded for the binary protocol, each once.",
        manager.binary.encoded,
    )
    yield counter(
        "wsserver_filter_operations_total",
        "Subscriptions that a filter decided on.",
        broadcasts.filter_operations,
    )
    yield counters(
        "wsserver_subscriptions_considered_total",
        "Subscriptions that messages were held against, by outcome.",
        ("outcome",),
        {
            "matching": accounts.considered - accounts.filtered - accounts.denied,
            "filtered": accounts.filtered,
            "denied": accounts.denied,
        },
    )
    yield counter(
        "wsserver_matched_total",
        "Connections that messages were for = delivered + refused.",
        accounts.matched,
    )
    yield counter(
        "wsserver_delivered_total",
        "Those whose queue took the message; with the replayed ones = written + queued + dropped.",
        accounts.delivered,
    )
    yield counters(
        "wsserver_refused_total",
        "Those whose queue did not, by reason.",
        ("reason",),
        closed(accounts.refused, _REFUSALS),
    )
    yield counter(
        "wsserver_replayed_total",
        "Messages queued once more for connections that came back.",
        accounts.replayed,
    )
    yield counter("wsserver_written_total", "Copies of messages that reached the kernel.", written)
    yield gauge("wsserver_queued", "Copies of messages that wait for a socket.", queued)
    yield counters("wsserver_dropped_total", "Copies of messages that never left.", ("reason",), dropped)
    yield counter(
        "wsserver_accounting_violations_total",
        "How often one of these sums did not add up: 0, or the server has a fault.",
        accounts.violations,
    )
    yield counter(
        "wsserver_duplicate_requests_total",
        "Requests answered with what had been done under their Idempotency-Key.",
        service.idempotency.duplicates,
    )
    yield histograms(
        "wsserver_broadcast_enqueue_seconds",
        "From the moment a broadcast was taken in to its last queue; durable ones wait for the store.",
        "log",
        {name: hub.enqueue_times[place] for name, place in _LOGS.items()},
    )
    yield histograms(
        "wsserver_broadcast_write_seconds",
        "The same to its last socket; those whose last copy was dropped are left out.",
        "log",
        {name: hub.write_times[place] for name, place in _LOGS.items()},
    )
