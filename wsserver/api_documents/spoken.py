"""What is said over the WebSocket as it is on the wire, and which answer belongs to which command."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, get_args

import msgspec
from msgspec import Meta as Says

from wsserver.api_documents.publishing import DeliveryReport
from wsserver.protocol.commands import Command
from wsserver.protocol.control import (
    Authenticated,
    Connected,
    Error,
    Gap,
    Hint,
    Pong,
    Refreshed,
    SubscriptionConfirmed,
    SubscriptionExpired,
    SubscriptionExpiring,
    SystemShutdown,
    TokenExpiring,
    Unsubscribed,
)
from wsserver.protocol.meta import Meta


class BroadcastAck(DeliveryReport, tag_field="type", tag="broadcast_ack", kw_only=True):
    """The report on a client's own broadcast."""

    request_id: str | None = None


class Queue(msgspec.Struct):
    """What waits for this connection."""

    messages: int
    bytes: int


class Health(msgspec.Struct, tag_field="type", tag="health", kw_only=True):
    """This connection's counters."""

    request_id: str | None = None
    sent: int
    bytes_sent: int
    received: int
    bytes_received: int
    subscriptions: int
    rtt_ms: Annotated[float | None, Says(description="Null before the first heartbeat was answered.")]
    queue: Queue


class Published(msgspec.Struct):
    """What a publisher said, with the values that were published, and ``_meta`` in front.

    A message with ``_meta`` was published; one without it is the server's own.
    """

    meta: Meta = msgspec.field(name="_meta")
    type: str | None = None


COMMANDS: Final[Mapping[str, Any]] = {
    str(command.__struct_config__.tag): command for command in get_args(Command)
}

CONTROLS: Final[Mapping[str, Any]] = {
    str(control.__struct_config__.tag): control
    for control in (
        Connected,
        SubscriptionConfirmed,
        Unsubscribed,
        Refreshed,
        BroadcastAck,
        Pong,
        Authenticated,
        Health,
        Error,
        Gap,
        Hint,
        TokenExpiring,
        SubscriptionExpiring,
        SubscriptionExpired,
        SystemShutdown,
    )
}

ANSWERS: Final[Mapping[str, str | None]] = {
    "connect": "connected",
    "subscribe": "subscription_confirmed",
    "unsubscribe": "unsubscribed",
    "refresh": "refreshed",
    "broadcast": "broadcast_ack",
    "ping": "pong",
    "auth": "authenticated",
    "health_check": "health",
    "ack": None,
    "disconnect": None,
}
"""The answer to each command, if it has one; each may be answered by ``error`` instead."""
