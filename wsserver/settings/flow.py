"""How messages flow: their sizes, queues and rates."""

from typing import Annotated

from msgspec import Meta

from wsserver.settings.fields import (
    Bytes,
    Count,
    MessageBytes,
    PerSecond,
    RateBytes,
    Section,
    SomeSeconds,
    Text,
)


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
