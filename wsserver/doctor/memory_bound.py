"""The most memory that the settings allow, against what there is."""

from collections.abc import Callable
from typing import Final

from wsserver.clock import SystemClock
from wsserver.doctor.finding import Finding, ok, warning
from wsserver.doctor.machine import socket_memory
from wsserver.observe.process_memory import MemoryUsage, ProcessMemory
from wsserver.settings import Settings
from wsserver.settings.store_url import BadStoreUrl, store_path

PROCESS: Final = 64 * 1024 * 1024
"""Bytes of a server to which nobody is connected."""

CONNECTION: Final = 8 * 1024
"""Bytes of a connection with its identity, rights and session, its queue left out."""

SUBSCRIPTION: Final = 1024
"""Bytes of a subscription with a small filter of its own."""

EVENT: Final = 400
"""Bytes of an event or of an ended connection that is remembered."""

KEY: Final = 1024
"""Bytes of an idempotency key with its answer."""

RECORD: Final = 1024
"""Bytes of a record of the audit that waits for the disk."""

VIEWER: Final = 512 * 1024
"""Bytes that may wait for one viewer (wsserver.status.viewers, whose import loads the core)."""

Part = tuple[str, int]


def parts(settings: Settings) -> list[Part]:
    """What may take memory and how many bytes at most, the largest first."""
    connection, subscription, store = settings.connection, settings.subscription, settings.store
    on_disk = _is_on_disk(settings)
    found = [
        ("the process itself", PROCESS),
        ("connections (connection.max_connections)", connection.max_connections * CONNECTION),
        ("subscriptions (subscription.max_global)", subscription.max_global * SUBSCRIPTION),
        ("events (subscription.event_history_size)", subscription.event_history_size * EVENT),
        ("queues (backpressure.max_total_bytes)", settings.backpressure.max_total_bytes),
        ("unfinished messages (inbound.max_unfinished_total)", settings.inbound.max_unfinished_total),
        ("history (history.max_total_bytes)", settings.history.max_total_bytes),
        ("sessions (session.max_total_bytes)", settings.session.max_total_bytes),
        ("records (records.max_total_bytes)", settings.records.max_total_bytes),
        ("ended connections (records.connections)", settings.records.connections * EVENT),
        ("waiting for the disk (store.max_pending_bytes)", store.max_pending_bytes if on_disk else 0),
        ("idempotency keys (store.max_keys)", 0 if on_disk else store.max_keys * KEY),
        ("audit (audit.max_pending)", settings.audit.max_pending * RECORD if settings.audit.path else 0),
        ("viewers of the status page (status.max_viewers)", settings.status.max_viewers * VIEWER),
        ("send buffers in the kernel (backpressure.send_buffer)", socket_memory(settings)),
    ]
    return sorted(found, key=lambda part: -part[1])


def examine_memory(settings: Settings, usage: Callable[[], MemoryUsage] | None = None) -> Finding:
    """The sum of all bounds against the limit that is nearest: the container's or the machine's."""
    read = usage or ProcessMemory(SystemClock(), limit=settings.overload.memory_limit).usage
    limit, each = read().limit, parts(settings)
    whole = sum(size for _, size in each)
    told = f"the settings bound memory at {whole / 2**20:.0f} MiB of {limit / 2**20:.0f} MiB"
    if whole > limit * settings.overload.enter_at / 100:
        largest = ", ".join(f"{name} {size / 2**20:.0f} MiB" for name, size in each[:3])
        return warning(
            "memory",
            f"{told}: under the worst of loads the server would count as overloaded before a bound holds",
            f"lower the largest: {largest}",
        )
    return ok("memory", told)


def _is_on_disk(settings: Settings) -> bool:
    try:
        return store_path(settings.store.url) is not None
    except BadStoreUrl:
        return False
