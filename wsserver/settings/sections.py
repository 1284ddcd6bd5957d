"""The settings: one tree of typed, frozen sections.

Defaults are the specification's where it gives one. Durations are seconds, sizes are
bytes; files, variables and options may also spell them ``"30s"`` and ``"1MiB"``. Where a
setting may be switched off its type includes None, spelled ``"none"`` in a file.
`wsserver.settings.load_settings` checks bounds and contradictions; a tree built by hand
is checked with `find_contradictions`.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from wsserver.settings.fields import Bytes, Count, CountOrZero, Seconds, Secret, Section, SomeSeconds, Text
from wsserver.settings.flow import BackpressureSettings, BroadcastSettings, InboundSettings, RateLimitSettings
from wsserver.settings.operation import (
    AlertsSettings,
    AuditSettings,
    LoggingSettings,
    OverloadSettings,
    ShutdownSettings,
    StatusSettings,
)
from wsserver.settings.operators import OperatorsSettings
from wsserver.settings.roles import RoleSettings, default_roles


class ServerSettings(Section, frozen=True, kw_only=True):
    """Where the server listens and whom it lets knock."""

    host: Text = "127.0.0.1"
    """Address or host name to listen on."""

    port: Annotated[int, Meta(ge=0, le=65535)] = 8000
    """TCP port, 0 to 65535; 0 takes any free one."""

    tls_certificate: Text | None = None
    """Path of a PEM certificate chain; none serves ``http:`` and ``ws:``. TLS 1.2 and later."""

    tls_key: Text | None = None
    """Path of the certificate's PEM key; goes with `tls_certificate`."""

    allowed_origins: tuple[Text, ...] = ()
    """Origins of pages that may connect, exactly as browsers send them (``https://ward.example``).

    The server's own origin is always allowed.
    """

    require_origin: bool = False
    """Whether a handshake without an Origin header, hence not from a browser, is refused."""

    trusted_proxies: tuple[Text, ...] = ()
    """Addresses or networks (``10.0.0.0/8``) whose ``X-Forwarded-For`` is believed."""


class ConnectionSettings(Section, frozen=True, kw_only=True):
    """How many connections there may be, and when one counts as dead."""

    max_connections: Count = 10_000
    """Open connections in this process, 1 or more."""

    max_connections_per_user: Count = 10
    """Open connections of one user, 1 or more."""

    max_connections_per_role: Count | dict[Text, CountOrZero] | None = 100
    """Open connections of one role: one number for each role, or a table by role.

    In a table 0 shuts a role out, and a role it leaves out has no limit of its own; none
    switches the limit off.
    """

    max_unauthenticated: Count = 1000
    """Open sockets that have sent no credentials yet, 1 or more, besides `max_connections`.

    They cannot take the places of clients with a token; those beyond it are refused with 503.
    """

    max_per_ip: Count | None = None
    """Open connections from one address, 1 or more; none is no limit.

    Behind a proxy set `server.trusted_proxies` first, or every client shares one address.
    """

    heartbeat_interval: SomeSeconds = 30.0
    """Seconds between two pings to a connection, give or take 20 %; below `timeout`."""

    timeout: SomeSeconds = 90.0
    """Seconds without any frame after which a connection is closed with 4006.

    One whose round trips take over a second on the average has twice as long.
    """

    cleanup_interval: SomeSeconds = 60.0
    """Seconds between two sweeps for what ended connections have left behind, such as revocations."""


class SubscriptionSettings(Section, frozen=True, kw_only=True):
    """How many subscriptions there may be, and how long they live."""

    max_per_connection: Count = 100
    """Subscriptions of one connection, 1 or more."""

    max_global: Count = 50_000
    """Subscriptions in this process, 1 or more."""

    timeout: SomeSeconds = 3600.0
    """Seconds without renewal after which a subscription expires; a live connection renews its own."""

    strict_timeout: bool = False
    """Whether only subscribing again and `refresh` renew a subscription, and no other sign of life."""

    event_history_size: Annotated[int, Meta(ge=0, le=10_000_000)] = 10_000
    """What happened to subscriptions lately: events kept in memory; 0 keeps none."""

    cleanup_interval: SomeSeconds = 300.0
    """Seconds between two sweeps for expired subscriptions."""


class FilterSettings(Section, frozen=True, kw_only=True):
    """Bounds on the filter of one subscription, and what filters see that is not in a message."""

    max_bytes: Annotated[int, Meta(ge=2, le=1024 * 1024, extra={"unit": "bytes"})] = 4096
    """Bytes of the filter as JSON."""

    max_nodes: Annotated[int, Meta(ge=1, le=10_000)] = 64
    """Conditions and connectives in it, 1 or more."""

    max_depth: Annotated[int, Meta(ge=1, le=32)] = 8
    """Names in a path, and connectives inside each other, 1 to 32."""

    max_values: Annotated[int, Meta(ge=1, le=100_000)] = 256
    """Values in one list, 1 or more."""

    max_pattern_bytes: Annotated[int, Meta(ge=1, le=4096, extra={"unit": "bytes"})] = 256
    """Bytes of one regular expression, 1 or more. What it compiles to is bounded, too."""

    max_patterns_per_connection: Count = 8
    """Distinct regular expressions in the filters of one connection, 1 or more."""

    severity_data: Text = "normal"
    """The severity that filters see in a message that has none."""

    severity_alert: Text = "info"
    """The same for a message with ``alert`` in its type."""

    severity_by_type: dict[Text, Text] = msgspec.field(default_factory=dict)
    """The same by type of message; it goes before the other two."""


class BinarySettings(Section, frozen=True, kw_only=True):
    """How messages are sent to clients that speak the binary protocol."""

    sample_fields: tuple[Text, ...] = ("data",)
    """Members of a message that may hold samples, the first that is there counts.

    16 numbers and more are sent in their own form and not as MessagePack. None named: never.
    """

    compression_threshold: Bytes | None = 100 * 1024
    """Bytes of a message over which it is compressed with LZ4, if that makes it smaller; none never does."""


class SessionSettings(Section, frozen=True, kw_only=True):
    """What is remembered of a connection that has ended, for a client that comes back."""

    ttl: Seconds = 120.0
    """Seconds for which a client may go on where it was; 0 keeps no sessions."""

    max_sessions: Count = 20_000
    """Ended connections that are remembered, 1 or more; beyond it those that ended first are forgotten.

    Of one user as many as it may have connections, so that it cannot push out the others'.
    """

    max_total_bytes: Bytes = 64 * 1024 * 1024
    """Bytes of what is remembered of them, subscriptions and filters above all."""


class HistorySettings(Section, frozen=True, kw_only=True):
    """Which messages are kept for clients that come back. Each topic has bounds of its own."""

    size: CountOrZero = 1000
    """Messages of one topic, the newest; 0 keeps none."""

    bytes: Bytes = 1024 * 1024
    """Bytes of one topic."""

    ttl: Seconds = 600.0
    """Seconds for which a message is kept."""

    size_by_type: dict[Text, CountOrZero] = msgspec.field(default_factory=dict)
    """`size` by type of message: a type named here, or in the next two, is kept apart in every topic.

    So a waveform does not push the alerts of its patient out.
    """

    bytes_by_type: dict[Text, Annotated[int, Meta(ge=1, le=2**40)]] = msgspec.field(default_factory=dict)
    """`bytes` by type of message, as plain numbers."""

    ttl_by_type: dict[Text, Annotated[float, Meta(ge=0, le=31_536_000)]] = msgspec.field(default_factory=dict)
    """`ttl` by type of message, as plain numbers of seconds."""

    max_total_bytes: Bytes = 256 * 1024 * 1024
    """Bytes of all topics together; beyond it the oldest messages go first.

    Forms of them for the binary protocol count here, too, and go before any message.
    """


class StoreSettings(Section, frozen=True, kw_only=True):
    """Where messages and sessions are kept."""

    url: Text = "memory:"
    """``memory:`` keeps them in this process and loses them with it; ``sqlite:///PATH`` keeps them in a file.

    A path that is not relative to the working directory has a fourth slash:
    ``sqlite:////var/lib/wsserver/store.db``.
    """

    durable_types: tuple[Text, ...] = ()
    """Types of messages that are durable whatever they say.

    All with a patient, all alerts and all that are critical are so anyway.
    """

    volatile_types: tuple[Text, ...] = ()
    """Types that are not, whatever they say: never stored, lost with the process; such as a waveform."""

    commit_interval: Annotated[float, Meta(ge=0, le=0.1, extra={"unit": "seconds"})] = 0.003
    """How long a durable message may wait for others that are committed with it, up to 0.1.

    0 commits what is there whenever the commit before has ended.
    """

    max_pending: Count = 10_000
    """Durable messages that may wait for the disk, 1 or more; beyond it publishers get 1005."""

    max_pending_bytes: Bytes = 64 * 1024 * 1024
    """Bytes of them; at least `broadcast.max_message_size`."""

    retention: SomeSeconds = 86_400.0
    """Seconds that a durable message stays in the file at most."""

    max_messages: Annotated[int, Meta(ge=1, le=1_000_000_000)] = 1_000_000
    """Durable messages in the file, 1 or more; the oldest go first."""

    max_bytes: Bytes = 1024 * 1024 * 1024
    """Bytes of them; the file is somewhat larger, and never gets smaller."""

    max_keys: Count = 100_000
    """Idempotency keys that are remembered, each for 24 hours; the oldest go first. Up to 1 KiB each."""


class RecordsSettings(Section, frozen=True, kw_only=True):
    """What is kept of the latest messages to explain why a client did or did not get one."""

    messages: CountOrZero = 1000
    """Messages of which it is known who got them, the newest, and as many alerts apart; 0 keeps none."""

    max_total_bytes: Bytes = 32 * 1024 * 1024
    """Bytes that they may take, with 8 for each recipient of each; the oldest go first."""

    connections: CountOrZero = 10_000
    """Ended connections that can still be asked about, the latest; 0 keeps none."""

    check: bool = False
    """Whether all queues and records are recounted four times a second, to find faults of the server.

    The sums in `/ws/metrics` are always checked.
    """


class AuthSettings(Section, frozen=True, kw_only=True):
    """Who clients are: which tokens are believed, by which keys."""

    algorithms: tuple[str, ...] = ("HS256",)
    """Signature algorithms that are believed, whatever a token's own header says.

    HS256 goes with `secret`, one of RS256, ES256, EdDSA with `public_key`, any of these
    with a JWKS.
    """

    secret: Secret | None = None
    """Key of HS256, at least 32 bytes."""

    public_key: Text | None = None
    """Public key as PEM text, or the path of such a file."""

    jwks_url: Text | None = None
    """``https:`` address of a JWKS; ``http:`` is accepted for this machine only."""

    jwks_file: Text | None = None
    """Path of a JWKS."""

    jwks_refresh_min: Annotated[float, Meta(ge=1, le=86_400, extra={"unit": "seconds"})] = 30.0
    """Least seconds between two fetches of the JWKS, 1 or more, whatever unknown keys tokens name."""

    issuer: Text | None = None
    """Required value of ``iss``; none does not look at it."""

    audience: Text | None = None
    """Required value of ``aud``; none refuses tokens that have one: they are meant for somebody else."""

    leeway: Annotated[float, Meta(ge=0, le=30, extra={"unit": "seconds"})] = 5.0
    """Seconds by which the clocks of issuer and server may differ, up to 30; 0 allows none."""

    max_token_lifetime: SomeSeconds | None = None
    """Most seconds from ``iat`` to ``exp``; none is no limit."""

    timeout: SomeSeconds = 10.0
    """Seconds a client may take to send its credentials."""

    allow_query_token: bool = False
    """Whether ``?token=`` is believed; such tokens end up in the logs of proxies."""


class AccessSettings(Section, frozen=True, kw_only=True):
    """What clients may do."""

    roles: dict[str, RoleSettings] = msgspec.field(default_factory=default_roles)
    """Rights by role. A table given here replaces the example policy as a whole."""

    break_glass_ttl: SomeSeconds = 3600.0
    """Seconds after which a subscription ends that somebody made by breaking the glass."""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All settings of one server."""

    server: ServerSettings = ServerSettings()
    connection: ConnectionSettings = ConnectionSettings()
    broadcast: BroadcastSettings = BroadcastSettings()
    inbound: InboundSettings = InboundSettings()
    backpressure: BackpressureSettings = BackpressureSettings()
    rate_limit: RateLimitSettings = RateLimitSettings()
    subscription: SubscriptionSettings = SubscriptionSettings()
    filter: FilterSettings = FilterSettings()
    binary: BinarySettings = BinarySettings()
    session: SessionSettings = SessionSettings()
    history: HistorySettings = HistorySettings()
    store: StoreSettings = StoreSettings()
    records: RecordsSettings = RecordsSettings()
    auth: AuthSettings = AuthSettings()
    access: AccessSettings = msgspec.field(default_factory=AccessSettings)
    operators: OperatorsSettings = msgspec.field(default_factory=OperatorsSettings)
    audit: AuditSettings = AuditSettings()
    alerts: AlertsSettings = AlertsSettings()
    overload: OverloadSettings = OverloadSettings()
    status: StatusSettings = StatusSettings()
    shutdown: ShutdownSettings = ShutdownSettings()
    logging: LoggingSettings = LoggingSettings()
