"""What the server holds, and how it is doing."""

import platform
from collections.abc import Iterator
from importlib.metadata import version
from typing import Final

import psutil
from prometheus_client.metrics_core import Metric

from wsserver._version import __version__
from wsserver.connection_manager import DRAIN, OVERLOAD
from wsserver.observe.alerts import ALERT_NAMES
from wsserver.overload import Cause
from wsserver.prometheus.families import (
    closed,
    counter,
    counters,
    first_of,
    gauge,
    gauges,
    histogram,
    info,
)
from wsserver.protocol.topic import ANY, PATIENT
from wsserver.service import Service

MAX_TYPES: Final = 50
"""Subscription types, out of those that the roles of the settings name, that have series of their own."""

_PROCESS: Final = psutil.Process()
_BUILD: Final = {
    "version": __version__,
    "python": platform.python_version(),
    "aiohttp": version("aiohttp"),
    "uvloop": version("uvloop"),
}


def subscription_families(service: Service) -> Iterator[Metric]:
    """What is subscribed to."""
    manager = service.manager
    figures = manager.subscription_manager.get_metrics()
    named = (name for role in manager.settings.access.roles.values() for name in role.subscribe)
    yield gauges(
        "wsserver_subscriptions",
        "Subscriptions held, by those types that a role of the settings names.",
        ("type",),
        closed(figures["by_type"], first_of((PATIENT, "type", ANY, *named), MAX_TYPES)),
    )
    yield gauge("wsserver_subscriptions_wildcard", "Those of them to *.", figures["wildcard_count"])
    yield gauge(
        "wsserver_subscriptions_idle",
        "Those of them past their time, which are about to go.",
        figures["expired"],
    )
    yield counter(
        "wsserver_subscriptions_expired_total", "Subscriptions that ended so.", figures["expired_total"]
    )
    yield counter(
        "wsserver_subscription_operations_total",
        "Subscribes, unsubscribes and refreshes.",
        figures["operations"],
    )
    yield counters(
        "wsserver_subscription_events_total",
        "What happened to subscriptions.",
        ("kind",),
        manager.subscription_manager.history.counts,
    )
    yield gauge("wsserver_topics", "Topics that are subscribed to.", figures["topics"])
    yield gauge(
        "wsserver_patients", "Patients who are subscribed to by their id.", manager.index.targets(PATIENT)
    )
    yield gauge("wsserver_filters", "Distinct filters in use.", figures["distinct_filters"])
    yield gauge(
        "wsserver_filter_complexity",
        "Average complexity of the filters, in conditions.",
        figures["filter_complexity"],
    )


def memory_families(service: Service) -> Iterator[Metric]:
    """What is kept for later: sessions, history, store."""
    manager = service.manager
    sessions, history = manager.sessions.get_metrics(), manager.history.get_metrics()
    yield gauge("wsserver_sessions", "Ended connections that may be taken up again.", sessions["waiting"])
    yield gauge("wsserver_sessions_bytes", "What is remembered of them.", sessions["bytes"])
    yield counters(
        "wsserver_sessions_ended_total",
        "Sessions that were taken up again, that nobody came back to in time, that went for want of room.",
        ("outcome",),
        {name: sessions[name] for name in ("resumed", "expired", "dropped")},
    )
    yield counter(
        "wsserver_sessions_taken_over_total",
        "Those of the resumed whose old connection was still open.",
        sessions["taken_over"],
    )
    yield counter(
        "wsserver_sessions_unknown_total",
        "Attempts to take up a session that was not there.",
        sessions["unknown"],
    )
    yield gauge(
        "wsserver_catching_up", "Connections that are given what they missed.", len(manager.catch_ups)
    )
    yield gauge("wsserver_history_messages", "Messages remembered for replay.", history["messages"])
    yield gauge("wsserver_history_topics", "Topics that they belong to.", history["topics"])
    yield gauge("wsserver_history_bytes", "Memory that they take.", history["bytes"])
    yield counter("wsserver_history_evicted_total", "Messages let go of.", history["evicted"])
    store = service.store_keeper.get_metrics()
    yield info("wsserver_store", "Which store there is.", {"kind": store["kind"]})
    yield gauge(
        "wsserver_store_fault", "1 while durable messages cannot be stored.", store["fault"] is not None
    )
    yield counters(
        "wsserver_store_messages_total",
        "Durable messages that were stored and could not be.",
        ("outcome",),
        {name: store[name] for name in ("stored", "failed")},
    )
    yield gauge("wsserver_store_pending", "Durable messages yet to be stored.", store["pending"])
    yield gauge("wsserver_store_pending_bytes", "Their bytes.", store["pending_bytes"])
    yield counter("wsserver_store_commits_total", "Transactions of the file.", store["commits"])
    yield gauge("wsserver_store_file_messages", "Messages in the file.", store["messages"])
    yield gauge("wsserver_store_file_bytes", "Its size.", store["file_bytes"])


def audit_families(service: Service) -> Iterator[Metric]:
    """Whether what has to be accounted for is."""
    audit = service.audit.get_metrics()
    yield info("wsserver_audit", "Where records of the audit are kept.", {"kind": audit["kind"]})
    yield counter("wsserver_audit_records_total", "Records of the audit.", audit["recorded"])
    yield counter("wsserver_audit_written_total", "Those of them in the file.", audit["written"])
    yield counter(
        "wsserver_audit_lost_total", "Records that could not be kept, as too many waited.", audit["lost"]
    )
    yield gauge("wsserver_audit_pending", "Records yet to be written.", audit["pending"])
    yield gauge("wsserver_audit_fault", "1 while records cannot be written.", audit["fault"] is not None)


def load_families(service: Service) -> Iterator[Metric]:
    """Whether the server keeps up."""
    manager, signals, overload = service.manager, service.overload.signals, service.overload
    operations, failures = service.operation_totals()
    yield counter(
        "wsserver_operations_total", "Commands of clients, broadcasts and HTTP requests.", operations
    )
    yield counter("wsserver_operation_failures_total", "Those of them that failed.", failures)
    yield counter(
        "wsserver_http_requests_total", "HTTP requests but for probes.", service.operations.requests
    )
    yield counter(
        "wsserver_http_request_failures_total",
        "Those answered with a status of 400 or above.",
        service.operations.failures,
    )
    yield histogram("wsserver_loop_lag_seconds", "How late timers of the event loop fire.", signals.lag.lags)
    yield gauge(
        "wsserver_loop_lag_worst_seconds", "The worst lag of the last five seconds.", signals.lag.worst()
    )
    yield histogram(
        "wsserver_flush_slice_seconds",
        "How long the loop is held by one slice of sends.",
        manager.hub.slice_times,
    )
    memory = signals.memory.usage()
    yield gauge("wsserver_memory_used_bytes", "What counts against the memory limit.", memory.used)
    yield gauge(
        "wsserver_memory_limit_bytes",
        "The nearest memory limit: overload.memory_limit, a control group's, the machine's.",
        memory.limit,
    )
    yield gauges(
        "wsserver_alert_level",
        "0 ok, 1 warning, 2 critical, of each alert of the server itself.",
        ("alert",),
        {name: int(service.alerts.level(name)) for name in ALERT_NAMES},
    )
    yield counter("wsserver_alert_changes_total", "Changes of alerts, and notices.", service.alerts.changes)
    yield gauges(
        "wsserver_overloaded",
        "1 while the server counts as overloaded, by cause.",
        ("cause",),
        {cause.value: cause.value in overload.causes for cause in Cause},
    )
    yield counter("wsserver_overloads_total", "Overloads.", overload.entered)
    yield gauges(
        "wsserver_refusing",
        "1 while new connections are refused, by cause.",
        ("cause",),
        {
            cause: min(count, 1)
            for cause, count in closed(
                dict.fromkeys(manager.refusals, 1.0), ("operator", DRAIN, OVERLOAD)
            ).items()
        },
    )
    yield gauge("wsserver_draining", "1 while clients are sent away, or have been.", service.draining)


def heartbeat_families(service: Service) -> Iterator[Metric]:
    """Whether the other sides are still there."""
    health = service.health.get_health_metrics()
    latency = health["avg_latency"]
    yield histogram(
        "wsserver_heartbeat_rtt_seconds", "Round trips of pings that can be told.", service.health.round_trips
    )
    yield gauge(
        "wsserver_connection_latency_seconds",
        "Mean of the average round trips of the open connections.",
        None if latency is None else latency / 1000,
    )
    yield counter("wsserver_heartbeat_pings_total", "Pings sent.", health["pings"])
    yield counters(
        "wsserver_heartbeats_total",
        "What came of them before the next one was due.",
        ("outcome",),
        {"answered": health["pongs"], "missed": health["missed"]},
    )
    yield counter("wsserver_heartbeat_timeouts_total", "Connections ended for silence.", health["timed_out"])
    yield gauge(
        "wsserver_extended_timeouts",
        "Connections with twice the timeout, as their round trips take over a second.",
        health["extended_timeouts"],
    )
    yield counter("wsserver_stalls_total", "How often the server itself stood still.", health["own_stalls"])
    yield counter("wsserver_stalled_seconds_total", "For how long.", health["own_stall_seconds"])


def process_families(service: Service) -> Iterator[Metric]:
    """The process, under the names that every client library of Prometheus uses, and its build."""
    times = _PROCESS.cpu_times()
    descriptors = service.overload.signals.descriptors
    yield counter("process_cpu_seconds_total", "Processor time of the process.", times.user + times.system)
    yield gauge(
        "process_resident_memory_bytes", "Resident memory of the process.", _PROCESS.memory_info().rss
    )
    yield gauge(
        "process_start_time_seconds",
        "Start of the process in seconds since 1970.",
        _PROCESS.create_time(),
    )
    yield gauge("process_open_fds", "Open file descriptors.", descriptors.used())
    yield gauge("process_max_fds", "File descriptors that there may be.", descriptors.limit)
    yield info("wsserver_build", "Versions.", _BUILD)
