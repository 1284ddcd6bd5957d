"""What the status page shows, panel by panel: the messages on the topics ``status:<panel>``.

Ids of users and patients are masked in all of them as they are sent. Lists are bounded, and a count says
how much is left out. Times are text in UTC.
"""

from typing import Any, Final, Literal, TypeAlias

import msgspec

SUBSCRIPTION_TYPE: Final = "status"
"""The type of the topics; the target is the panel's name."""

MAX_ENTRIES: Final = 100
"""Entries of a list in one message at the most."""

State: TypeAlias = Literal["accepting", "overloaded", "refusing", "store_lost", "draining"]
"""What the server does with newcomers, and whether it can keep what it is given."""


class Capacity(msgspec.Struct, frozen=True, kw_only=True):
    """How full something is."""

    current: float
    peak: float
    """The most of the last 15 minutes, as sampled once a second."""
    limit: float | None
    """None where there is no limit."""


class Capacities(msgspec.Struct, frozen=True, kw_only=True):
    """What there is only so much of."""

    connections: Capacity
    subscriptions: Capacity
    memory_bytes: Capacity
    """What counts against the memory limit; its peak is that of the resident memory."""
    descriptors: Capacity
    queue_bytes: Capacity
    """Bytes that wait for sockets, each shared message once."""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A topic by how many follow it."""

    subscription_type: str
    target_id: str
    """Masked for a patient."""
    subscriptions: int


class Acknowledged(msgspec.Struct, frozen=True, kw_only=True):
    """Who has seen an alert, and when."""

    by: str
    at: str


class ActiveAlert(msgspec.Struct, frozen=True, kw_only=True):
    """An alert that is raised."""

    alert: str
    level: Literal["warning", "critical"]
    since: str
    value: float | None
    peak: float | None
    unit: str
    acknowledged: Acknowledged | None = None


class _Panel(msgspec.Struct, frozen=True, kw_only=True, tag_field="panel"):
    type: Literal["status"] = "status"
    at: str
    """When it was so."""


class Overview(_Panel, frozen=True, kw_only=True, tag="overview"):
    """Whether all is well. Published every second."""

    state: State
    reasons: list[str]
    """Why it is not ``accepting``; empty while it is."""
    since: str
    """Since when the state holds."""
    node: str
    """The name of the machine."""
    version: str
    core: str
    """How the core is built: ``cython``."""
    python: str
    started_at: str
    uptime_s: float
    capacity: Capacities
    point: dict[str, float | None]
    """The newest second of every column of ``GET /ws/status/series``; None for what is unknown."""
    point_at: float
    """Its time in seconds since 1970, as ``last_at`` there."""
    disconnects: dict[str, int]
    """Connections that ended in the last 15 minutes by close code, ``other`` for unknown ones."""
    disconnects_over_s: float
    """Seconds that these go back, fewer than 900 after a start."""
    top_targets: list[Target]
    """The topics with the most subscriptions, ten at the most, as of the last ten seconds."""
    slow_connections: int
    alerts: list[ActiveAlert]
    viewers: int
    """Connections to ``/ws/admin``."""
    viewers_limit: int


class SlowConsumer(msgspec.Struct, frozen=True, kw_only=True):
    """A connection that reads too slowly."""

    connection_id: str
    user_id: str
    """Masked."""
    role: str
    protocol: str
    slow_for_s: float
    oldest_age_s: float
    """Age of the oldest message that waits for it."""
    pending_messages: int
    pending_bytes: int
    dropped: int
    """Messages that it has lost since it became slow."""
    policy: Literal["thinning", "closing"]
    """``thinning``: it loses the data that newer data replaces; ``closing``: it is about to be ended."""


class Slow(_Panel, frozen=True, kw_only=True, tag="slow"):
    """Who does not keep up, those slow for longest first. Published when it changes."""

    consumers: list[SlowConsumer]
    left_out: int
    slow_connections: int
    stalled_connections: int
    """Connections with a full socket now, slow ones included."""
    queued_messages: int
    queued_bytes: int
    queue_limit_bytes: int
    slow_after_s: float
    """Seconds for which the oldest message may wait before its connection counts as slow."""
    closed_after_s: float
    """Seconds that a connection may be slow."""
    closed: int
    """Connections that were ended for it since the start."""
    publishers_wait: bool
    """Whether publishers of data are asked to come back later."""


class Alerts(_Panel, frozen=True, kw_only=True, tag="alerts"):
    """What is wrong, and what was. Published when it changes."""

    active: list[ActiveAlert]
    current: dict[str, dict[str, Any]]
    """As in ``GET /ws/alerts``: value, level, unit and thresholds of everything that is measured."""
    history: list[dict[str, Any]]
    """The latest changes, newest first, 20 at the most."""
    overload_causes: list[str]
    changes: int
    """Changes and notices since the start."""


class Events(_Panel, frozen=True, kw_only=True, tag="events"):
    """What happened to subscriptions since the last such message. Published when anything did."""

    events: list[dict[str, Any]]
    """As in ``GET /ws/events``, newest first, 100 at the most; ``target_id`` of a patient masked."""
    left_out: int
    total: int
    """Events since the start."""
    counts: dict[str, int]
    """The same by kind."""


class Traces(_Panel, frozen=True, kw_only=True, tag="traces"):
    """Messages under observation. Published when it changes."""

    armed: list[dict[str, Any]]
    latest: list[dict[str, Any]]


Panel: TypeAlias = Overview | Slow | Alerts | Events | Traces
PANELS: Final = ("overview", "slow", "alerts", "events", "traces")
"""Their names."""
