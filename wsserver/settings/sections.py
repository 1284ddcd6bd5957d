"""The settings: one tree of typed, frozen sections.

Defaults are the specification's where it gives one. Durations are seconds, sizes are
bytes; files, variables and options may also spell them ``"30s"`` and ``"1MiB"``. Where a
setting may be switched off its type includes None, spelled ``"none"`` in a file.
`wsserver.settings.load_settings` checks bounds and contradictions; a tree built by hand
is checked with `find_contradictions`.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from wsserver.settings.roles import RoleSettings, default_roles

Text = Annotated[str, Meta(min_length=1)]
Secret = Annotated[str, Meta(min_length=1, extra={"secret": True})]
Seconds = Annotated[float, Meta(ge=0, le=31_536_000, extra={"unit": "seconds"})]
SomeSeconds = Annotated[float, Meta(ge=0.001, le=31_536_000, extra={"unit": "seconds"})]
Bytes = Annotated[int, Meta(ge=1, le=2**40, extra={"unit": "bytes"})]
# Frames are built in one piece and lengths are 32-bit in the binary protocol.
MessageBytes = Annotated[int, Meta(ge=128, le=2**30, extra={"unit": "bytes"})]
Count = Annotated[int, Meta(ge=1, le=10_000_000)]
CountOrZero = Annotated[int, Meta(ge=0, le=10_000_000)]
Percent = Annotated[float, Meta(ge=0.1, le=100, extra={"unit": "percent"})]
PerSecond = Annotated[float, Meta(ge=0.01, le=1_000_000)]
RateBytes = Annotated[int, Meta(ge=1024, le=2**40, extra={"unit": "bytes"})]

WARNING_SHARE = 0.80
"""Share of `connection.max_connections` at which to warn unless a number is given."""

CRITICAL_SHARE = 0.95
"""The same for critical."""

SECRET_MASK = "********"  # noqa: S105 -- what is shown instead of a secret


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A group of settings whose text form never shows a secret."""

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        members = []
        for info in msgspec.structs.fields(type(self)):
            value = getattr(self, info.name)
            masked = value is not None and metadata(info.type).get("secret")
            members.append((info.name, SECRET_MASK if masked else value))
        return members

    def __repr__(self) -> str:
        members = ", ".join(f"{name}={value!r}" for name, value in self.__rich_repr__())
        return f"{type(self).__name__}({members})"


def metadata(annotation: Any) -> dict[str, Any]:
    """What the annotation of a setting says beyond its type: ``unit``, ``secret``."""
    found: dict[str, Any] = {}
    for part in getattr(annotation, "__args__", ()):
        found |= metadata(part)
    for part in getattr(annotation, "__metadata__", ()):
        found |= getattr(part, "extra", None) or {}
    return found


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


class BroadcastSettings(Section, frozen=True, kw_only=True):
    """How messages go out."""

    batch_size: Annotated[int, Meta(ge=1, le=100_000)] = 100
    """Connections flushed per slice of the event loop, 1 or more. Changes latency, never results."""

    timeout: SomeSeconds = 5.0
    """Seconds the oldest byte may wait for a connection before that connection counts as slow."""

    max_message_size: MessageBytes = 1024 * 1024
    """Bytes of one message as a publisher hands it in, inclusive."""

    flush_interval: Annotated[float, Meta(ge=0, le=1, extra={"unit": "seconds"})] = 0.0
    """Seconds that messages may be held to leave in one send, up to 1.

    0 flushes at the end of each turn of the event loop.
    """


class InboundSettings(Section, frozen=True, kw_only=True):
    """What clients may send."""

    max_message_size: MessageBytes = 1024 * 1024
    """Bytes of one message, inclusive.

    A larger one is dropped with error 1004; one over twice this closes the connection with 1009.
    """

    max_message_size_unauthenticated: MessageBytes = 16 * 1024
    """The same limit before authentication."""

    max_fragments: Annotated[int, Meta(ge=1, le=1_000_000)] = 128
    """Frames that one message may be split into, 1 or more; 1 forbids fragments."""

    message_deadline: SomeSeconds = 10.0
    """Seconds from the first byte of a message to its last."""

    max_unfinished_total: Bytes = 256 * 1024 * 1024
    """Bytes of unfinished messages of all connections together."""


class BackpressureSettings(Section, frozen=True, kw_only=True):
    """What may wait for clients that read slowly."""

    max_queue_messages: Count = 1000
    """Messages waiting for one connection, 1 or more; beyond it the connection is closed with 4005."""

    max_queue_bytes: Bytes = 1024 * 1024
    """Bytes waiting for one connection; beyond it the connection is closed with 4005."""

    max_total_bytes: Bytes = 256 * 1024 * 1024
    """Bytes waiting for all connections together, a message to many counted once.

    From nine tenths on publishers of data are refused with 1005, until less than eight tenths wait.
    """

    slow_share: Annotated[float, Meta(gt=0, le=1)] = 0.5
    """The part of `max_queue_messages` or `max_queue_bytes` at which a connection is slow, up to 1.

    A connection is also slow when its oldest byte has waited for `broadcast.timeout`.
    """

    slow_timeout: SomeSeconds = 120.0
    """Seconds that a connection may be slow before it is closed with 4005."""

    conflatable_types: tuple[Text, ...] = ("ecg_data", "vitals")
    """Types of messages of which a slow connection gets only the newest per topic and patient."""

    stream_fields: tuple[Text, ...] = ("lead", "device_id")
    """Members of such a message that tell what is newest apart: one message of each value is kept."""

    critical_severities: tuple[Text, ...] = ("critical",)
    """Severities of messages that are never dropped."""

    alert_severities: tuple[Text, ...] = ("high", "warning")
    """Severities of messages that are dropped after all others; so are types with ``alert`` or ``alarm``."""

    send_buffer: Annotated[int, Meta(ge=0, le=16 * 1024 * 1024, extra={"unit": "bytes"})] = 128 * 1024
    """Bytes of the kernel's send buffer of each socket, up to 16 MiB.

    0 leaves it to the kernel, which takes up to 4 MiB for a slow reader before anybody notices.
    """


class RateLimitSettings(Section, frozen=True, kw_only=True):
    """How fast clients may send. Token buckets: a burst at once, then the steady rate.

    What is refused gets error 1010 with `retry_after_ms`. Those of a connection are counted by a clock
    that moves four times a second.
    """

    messages_per_second: PerSecond = 50.0
    """Messages per second of one connection in the long run."""

    burst: Count = 200
    """Messages at once, 1 or more."""

    bytes_per_second: RateBytes = 1024 * 1024
    """Bytes per second of one connection in the long run, from 1 KiB.

    Whoever sends more is not read for a while; nothing is lost.
    """

    byte_burst: RateBytes = 4 * 1024 * 1024
    """Bytes at once, from 1 KiB."""

    subscribes_per_second: PerSecond = 10.0
    """Commands `subscribe`, `unsubscribe` and `refresh` per second of one connection in the long run.

    A filter that is refused costs ten, a pattern that nobody uses yet four.
    """

    subscribe_burst: Count = 200
    """Such commands at once, 1 or more."""

    control_per_second: PerSecond = 10.0
    """Pings and pongs per second in the long run; a connection that sends more is closed with 4110."""

    control_burst: Count = 50
    """Pings and pongs at once, 1 or more."""

    refusals: Count = 100
    """Refusals with 1010 that a connection may run up, 1 or more, before it is closed with 4110."""

    refusals_forgiven_per_second: PerSecond = 1.0
    """Refusals per second that are forgiven."""

    user_messages_per_second: PerSecond = 200.0
    """Messages per second of one user over all connections in the long run."""

    user_burst: Count = 2000
    """Messages of one user at once, 1 or more."""

    user_bytes_per_second: RateBytes = 4 * 1024 * 1024
    """Bytes per second of one user over all connections in the long run, from 1 KiB.

    The connection that goes beyond is not read for a while.
    """

    user_byte_burst: RateBytes = 16 * 1024 * 1024
    """Bytes of one user at once, from 1 KiB."""

    user_subscribes_per_second: PerSecond = 20.0
    """Commands that work on subscriptions per second of one user in the long run."""

    user_subscribe_burst: Count = 2000
    """Such commands of one user at once, 1 or more; the topics named in `connect` count."""

    requests_per_second: PerSecond | None = 2000.0
    """REST requests per second of one token subject in the long run; none is no limit.

    About what one core answers: it keeps a backend that has run wild from filling the queue
    of the others.
    """

    request_burst: Count = 4000
    """REST requests of one token subject at once, 1 or more."""

    handshakes_per_ip: PerSecond | None = 500.0
    """Handshakes per second that one address may start in the long run; none is no limit.

    Behind a proxy set `server.trusted_proxies` first, or every client shares one address.
    """

    handshake_burst: Count = 10_000
    """Handshakes that one address may start at once, 1 or more.

    A hospital behind one address comes back all together after a cut.
    """


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

    severity_by_type: dict[Text, Text] = {}
    """The same by type of message; it goes before the other two."""


class HistorySettings(Section, frozen=True, kw_only=True):
    """Which messages are kept for clients that come back. Each topic has bounds of its own."""

    size: CountOrZero = 1000
    """Messages of one topic, the newest; 0 keeps none."""

    bytes: Bytes = 1024 * 1024
    """Bytes of one topic."""

    ttl: Seconds = 600.0
    """Seconds for which a message is kept."""

    size_by_type: dict[Text, CountOrZero] = {}
    """`size` by type of message: a type named here, or in the next two, is kept apart in every topic.

    So a waveform does not push the alerts of its patient out.
    """

    bytes_by_type: dict[Text, Annotated[int, Meta(ge=1, le=2**40)]] = {}
    """`bytes` by type of message, as plain numbers."""

    ttl_by_type: dict[Text, Annotated[float, Meta(ge=0, le=31_536_000)]] = {}
    """`ttl` by type of message, as plain numbers of seconds."""

    max_total_bytes: Bytes = 256 * 1024 * 1024
    """Bytes of all topics together; beyond it the oldest messages go first."""


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
    """Messages of which it is known who got them, the newest; 0 keeps none."""

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
    history: HistorySettings = HistorySettings()
    store: StoreSettings = StoreSettings()
    records: RecordsSettings = RecordsSettings()
    auth: AuthSettings = AuthSettings()
    access: AccessSettings = msgspec.field(default_factory=AccessSettings)
    alerts: AlertsSettings = AlertsSettings()
    overload: OverloadSettings = OverloadSettings()
    shutdown: ShutdownSettings = ShutdownSettings()
    logging: LoggingSettings = LoggingSettings()
