"""How the server is run: alerts, overload, shutdown, log."""

from typing import Annotated, Literal

from msgspec import Meta

from wsserver.settings.fields import (
    Bytes,
    Count,
    CountOrZero,
    Percent,
    PerSecond,
    Seconds,
    Secret,
    Section,
    SomeSeconds,
    Text,
)

WARNING_SHARE = 0.80
"""Share of `connection.max_connections` at which to warn unless a number is given."""

CRITICAL_SHARE = 0.95
"""The same for critical."""


class AlertsSettings(Section, frozen=True, kw_only=True):
    """From which values on the server asks for attention, and where it sends that.

    Each alert has a threshold for a warning and one, no lower, for critical.
    """

    connection_count_warning: Count | None = None
    """Open connections; none is 80 % of `connection.max_connections`."""

    connection_count_critical: Count | None = None
    """The same; none is 95 % of `connection.max_connections`."""

    error_rate_warning: Percent = 5.0
    """Failed commands, broadcasts and requests of the last minute."""

    error_rate_critical: Percent = 10.0
    """The same."""

    latency_warning: SomeSeconds = 0.2
    """Mean round trip of pings to clients."""

    latency_critical: SomeSeconds = 0.5
    """The same."""

    memory_usage_warning: Percent = 75.0
    """Memory in use, of `overload.memory_limit` or what the container and the machine allow."""

    memory_usage_critical: Percent = 90.0
    """The same."""

    loop_lag_warning: SomeSeconds = 0.25
    """Time by which the event loop is late, and every message with it."""

    loop_lag_critical: SomeSeconds = 1.0
    """The same."""

    descriptors_warning: Percent = 90.0
    """File descriptors in use, of those that clients may have."""

    descriptors_critical: Percent = 100.0
    """The same; at 100 new clients are refused."""

    slow_connections_warning: Percent = 5.0
    """Connections that read too slowly; ten at least, fewer are no alert."""

    slow_connections_critical: Percent = 20.0
    """The same."""

    margin: Annotated[float, Meta(ge=0, le=90, extra={"unit": "percent"})] = 10.0
    """How far below its threshold a value must be before its alert falls, up to 90."""

    hold: Seconds = 30.0
    """How long it must be there; 0 lets an alert fall at once."""

    history: Annotated[int, Meta(ge=0, le=100_000)] = 1000
    """Changes of alerts kept in memory; 0 keeps none."""

    webhook_url: Secret | None = None
    """``https:`` address that every change is posted to; ``http:`` is accepted for this machine only.

    It counts as a secret, as such addresses often hold one.
    """

    webhook_timeout: SomeSeconds = 5.0
    """Seconds that one attempt to post may take."""

    webhook_queue: Count = 100
    """Changes that may wait to be posted, 1 or more; beyond it the oldest are given up and counted."""


class OverloadSettings(Section, frozen=True, kw_only=True):
    """When the server defends itself: it takes no new connections and does less at a time."""

    automatic: bool = True
    """Whether it does so by itself; otherwise only when told to."""

    memory_limit: Bytes | None = None
    """Bytes of memory that are 100 %; none takes the least of what container and machine allow."""

    cleanup_at: Percent = 80.0
    """Memory in use at which what is not needed any more is cleared away early."""

    enter_at: Percent = 90.0
    """Memory in use at which the server counts as overloaded and publishers are held back."""

    leave_at: Percent = 70.0
    """Memory in use below which that ends, and share of `max_loop_lag` likewise; below `enter_at`."""

    max_loop_lag: SomeSeconds = 1.0
    """Lag of the event loop at which `/health` fails; three seconds in a row of it are an overload."""

    cleanup_interval: SomeSeconds = 30.0
    """Seconds between two clean-ups meanwhile, of connections and subscriptions, unless shorter anyway."""

    batch_share: Percent = 25.0
    """Share of `broadcast.batch_size` meanwhile."""

    resume_reserve: CountOrZero = 500
    """Clients that may come back into their sessions during an overload, in all; 0 lets nobody in."""


class ShutdownSettings(Section, frozen=True, kw_only=True):
    """How the server goes down, and how its clients come back."""

    timeout: Seconds = 25.0
    """Seconds that it may take to send all clients away; 0 closes all at once."""

    notice: Seconds = 1.0
    """Seconds between the first ``/ready`` that says ``draining`` and the first close, for load balancers.

    Below `timeout`, unless that is 0.
    """

    return_rate: PerSecond = 500.0
    """Clients that are to come back per second, to whoever takes them."""

    restart_time: Seconds | None = 2.0
    """Seconds from the end of this process until its successor listens at the same address.

    ``none`` says that other instances take the clients at once.
    """


class LoggingSettings(Section, frozen=True, kw_only=True):
    """What is logged, and how."""

    level: Literal["debug", "info", "warning", "error", "critical"] = "info"
    """Least level that is written."""

    format: Literal["auto", "text", "json"] = "auto"
    """``text`` for people, ``json`` for machines, ``auto`` is text on a terminal and JSON elsewhere."""


class StatusSettings(Section, frozen=True, kw_only=True):
    """The status page and its live feed."""

    max_viewers: Annotated[int, Meta(ge=1, le=96)] = 50
    """Connections to ``/ws/admin`` at a time, 1 to 96, besides `connection.max_connections`.

    They live on descriptors that no other client gets, of which they take half at the most.
    """


class AuditSettings(Section, frozen=True, kw_only=True):
    """Where it is kept who watched which patient, and what operators did."""

    path: Text | None = None
    """File that records are appended to; none keeps only the newest 1,000 in memory.

    It and those before it are made readable for their owner only.
    """

    max_bytes: Annotated[int, Meta(ge=65_536, le=2**40, extra={"unit": "bytes"})] = 64 * 1024 * 1024
    """Bytes of one file, 64 KiB or more; then it gets a number behind its name and the next one is begun."""

    files: CountOrZero = 0
    """Files that are kept, the one in use included; the oldest are deleted. 0 keeps all."""

    fsync: Literal["always", "second", "never"] = "second"
    """When records are brought to the disk: each group of them, once a second, or when the system likes.

    Only a power cut makes the difference, a crash of the server does not.
    """

    max_pending: Annotated[int, Meta(ge=100, le=10_000_000)] = 50_000
    """Records that may wait for the disk, 100 or more; what comes beyond it is lost, and counted."""

    required: bool = False
    """Whether nobody may subscribe while records cannot be written."""
