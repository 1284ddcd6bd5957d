"""What the server itself says: one struct per control message.

Fields with a default are optional and stay away when they are not given. No control message
carries ``_meta``: that is how clients tell them from what publishers say.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

from wsserver.errors import SUBSCRIPTION_TIMEOUT, ServerError
from wsserver.protocol.commands import COMMAND_TYPES

GapReason = Literal["slow", "conflated", "expired", "trimmed", "restart", "ahead", "limit", "forbidden"]

_encoder: Final = msgspec.json.Encoder()


class Control(msgspec.Struct, tag_field="type", omit_defaults=True, frozen=True, kw_only=True):
    """What all of them have: ``members`` and ``encode`` say the same, one of them in JSON."""

    request_id: str | None = None

    def members(self) -> dict[str, Any]:
        """The object that is sent, as plain values."""
        members: dict[str, Any] = msgspec.to_builtins(self)
        return members

    def encode(self) -> bytes:
        """Its JSON text."""
        return _encoder.encode(self)


class SubscriptionView(msgspec.Struct, frozen=True, kw_only=True):
    """A subscription as its owner sees it."""

    subscription_id: str
    subscription_type: str
    target_id: str
    filters: Any


class Gap(Control, tag="gap", frozen=True, kw_only=True):
    """Messages of one log that this client should have got and did not, or may have missed."""

    log: str
    topic: str | None = None
    from_: int | None = msgspec.field(name="from", default=None)
    to: int | None = None
    count: int | None = None
    reason: GapReason


class SessionState(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a session was restored."""

    resumed: bool
    replayed: int
    gaps: list[Gap]


class Connected(Control, tag="connected", frozen=True, kw_only=True):
    """The answer to valid credentials. ``session_id`` is a secret of this user."""

    connection_id: str
    session_id: str | None = None
    session_ttl: float | None = None
    user_id: str
    role: str
    protocol: str
    heartbeat_interval: float
    max_message_size: int
    server_time: str
    session: SessionState | None = None
    cursor: Mapping[str, int]
    subscriptions: list[SubscriptionView]
    errors: list[dict[str, Any]]


class SubscriptionConfirmed(Control, tag="subscription_confirmed", frozen=True, kw_only=True):
    """``replaced`` says that the topic was already subscribed and now has these filters.

    ``break_glass`` is there when the patient is seen for the reason that was stated, and for a time.
    """

    subscription_id: str
    subscription_type: str
    target_id: str
    filters: Any
    replaced: bool
    hint: str | None = None
    break_glass: bool = False


class Unsubscribed(Control, tag="unsubscribed", frozen=True, kw_only=True):
    """``existed`` is False for a subscription that was not there: unsubscribing twice is no fault."""

    subscription_type: str
    target_id: str
    existed: bool


class Refreshed(Control, tag="refreshed", frozen=True, kw_only=True):
    """How many subscriptions were renewed, and the seconds until the first expires (None: none was)."""

    count: int
    expires_in: float | None


class Pong(Control, tag="pong", frozen=True, kw_only=True):
    """``cursor`` is the server's position for this connection, log by log."""

    t: int | float | str | None = None
    server_time: str
    cursor: Mapping[str, int]


class Authenticated(Control, tag="authenticated", frozen=True, kw_only=True):
    """The token was renewed; seconds until this one expires."""

    expires_in: float


class Health(Control, tag="health", frozen=True, kw_only=True):
    """This connection's counters, its round trip (None before the first pong) and what waits for it."""

    counters: Mapping[str, int]
    rtt_ms: float | None
    queue_messages: int
    queue_bytes: int

    def members(self) -> dict[str, Any]:
        """The counters stand beside the other members."""
        queue = {"messages": self.queue_messages, "bytes": self.queue_bytes}
        return _beside(self, {**self.counters, "rtt_ms": self.rtt_ms, "queue": queue})

    def encode(self) -> bytes:
        """Its JSON text."""
        return _encoder.encode(self.members())


class BroadcastAck(Control, tag="broadcast_ack", frozen=True, kw_only=True):
    """The report on a client's own broadcast, as ``DeliveryReport.as_dict`` gives it."""

    report: Mapping[str, Any]

    def members(self) -> dict[str, Any]:
        """The report's members stand right in the message."""
        return _beside(self, self.report)

    def encode(self) -> bytes:
        """Its JSON text."""
        return _encoder.encode(self.members())


class Error(Control, tag="error", frozen=True, kw_only=True):
    """A fault, by its row in the table of errors."""

    code: int
    name: str
    message: str
    retry_after_ms: int | None = None
    details: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, error: ServerError, request_id: str | None = None) -> "Error":
        """The message for an error, with the ``request_id`` of the command that caused it."""
        return cls(**error.as_dict(request_id))


class TokenExpiring(Control, tag="token_expiring", frozen=True, kw_only=True):
    """Seconds until this connection is closed, unless ``auth`` brings a new token."""

    expires_in: float


class SubscriptionExpiring(Control, tag="subscription_expiring", frozen=True, kw_only=True):
    """Seconds until this subscription ends, unless something renews it."""

    subscription_id: str
    subscription_type: str
    target_id: str
    expires_in: float


class SubscriptionExpired(Control, tag="subscription_expired", frozen=True, kw_only=True):
    """The subscription has ended (1007); the connection stays."""

    subscription_id: str
    subscription_type: str
    target_id: str
    code: Literal[1007]
    name: str
    message: str

    @classmethod
    def of(cls, subscription_id: str, subscription_type: str, target_id: str) -> "SubscriptionExpired":
        """The message for one subscription, worded as the table of errors has it."""
        return cls(
            subscription_id=subscription_id,
            subscription_type=subscription_type,
            target_id=target_id,
            code=1007,
            name=SUBSCRIPTION_TIMEOUT.name,
            message=SUBSCRIPTION_TIMEOUT.text,
        )


class Hint(Control, tag="hint", frozen=True, kw_only=True):
    """A filter may not be what was meant. No fault: the subscription goes on as it is."""

    subscription_id: str
    subscription_type: str
    target_id: str
    message: str


class SystemShutdown(Control, tag="system_shutdown", frozen=True, kw_only=True):
    """The server is about to go; this client should be back after its own time."""

    message: str
    reconnect_after_ms: int


CONTROL_TYPES: Final = frozenset(
    {
        "connected",
        "subscription_confirmed",
        "unsubscribed",
        "refreshed",
        "pong",
        "authenticated",
        "health",
        "broadcast_ack",
        "error",
        "gap",
        "hint",
        "token_expiring",
        "subscription_expiring",
        "subscription_expired",
        "system_shutdown",
    }
)

RESERVED_TYPES: Final = CONTROL_TYPES | COMMAND_TYPES | {"_meta"}
"""What a publisher's message may not have as its ``type``, lest it pass for the server's own."""


def _beside(control: Control, members: Mapping[str, Any]) -> dict[str, Any]:
    head: dict[str, Any] = {"type": control.__struct_config__.tag}
    if control.request_id is not None:
        head["request_id"] = control.request_id
    return {**head, **members}
