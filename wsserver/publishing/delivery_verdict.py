"""What became of one message at one connection: a reason out of a closed set, and what goes with it."""

from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias, get_args

from wsserver.clock import utc_text
from wsserver.subscriptions.match_explainer import MatchVerdict

Reason: TypeAlias = Literal[
    "acknowledged",
    "written",
    "replayed",
    "queued",
    "conflated",
    "slow",
    "expired",
    "closed",
    "shutdown",
    "uncertain",
    "refused_slow",
    "refused_closing",
    "refused_catching_up",
    "own_message",
    "other_connection",
    "connected_later",
    "ended_before",
    "denied",
    "not_subscribed",
    "other_topic",
    "subscribed_later",
    "subscription_ended",
    "subscription_expired",
    "filtered",
    "changed",
]

REASONS: Final[tuple[Reason, ...]] = get_args(Reason)

TEXTS: Final[dict[Reason, str]] = {
    "acknowledged": "The client said that it has handled it.",
    "written": "It was handed to the kernel of this machine, which delivers it or closes the connection.",
    "replayed": "It was handed to the kernel when the connection came back, from the history.",
    "queued": "It waits for the connection to take it.",
    "conflated": "The client read too slowly, and a newer message of the same kind took its place.",
    "slow": "It was dropped because the client read too slowly.",
    "expired": "It was dropped because it waited for too long.",
    "closed": "The connection ended, or lost the right to it, while it waited.",
    "shutdown": "The server went down while it waited.",
    "uncertain": "It was handed to the kernel or dropped; which of the two is not known any more.",
    "refused_slow": "The queue of the connection was full.",
    "refused_closing": "The connection was being closed when the message came.",
    "refused_catching_up": "The connection was catching up when the message came.",
    "own_message": "It was sent by this connection, which did not ask for an echo.",
    "other_connection": "It was sent to one other connection.",
    "connected_later": "The connection was opened after the message.",
    "ended_before": "The connection had ended before the message.",
    "denied": "This user may not see the patient.",
    "not_subscribed": "The connection is subscribed to nothing.",
    "other_topic": "The connection is subscribed to other topics only.",
    "subscribed_later": "The connection was subscribed to the topic after the message.",
    "subscription_ended": "The subscription to the topic had ended.",
    "subscription_expired": "The subscription had expired.",
    "filtered": "The filter of each subscription to the topic is false for the message.",
    "changed": "It was not for this connection, and what decided that has changed since.",
}


@dataclass(frozen=True, slots=True)
class DeliveryVerdict:
    """What became of one message at one connection."""

    connection_id: str
    open: bool
    reason: Reason
    certain: bool = True
    """Whether it is known, and not just what can be told from how things are now."""
    remarks: tuple[str, ...] = ()
    """More for people: what has changed since, and when."""
    members: dict[str, Any] = field(default_factory=dict)
    """More for programs: ``into``, ``waiting``, ``gap``, ``topics``, ``values_withheld``."""
    subscriptions: tuple[MatchVerdict, ...] = ()
    connected_at: float = 0.0
    """Seconds since 1970 UTC."""
    ended_at: float | None = None
    """The same; None while it is open."""

    def text(self) -> str:
        """The verdict for people."""
        return " ".join([TEXTS[self.reason], *self.remarks])

    def as_dict(self) -> dict[str, Any]:
        """The verdict for JSON."""
        return {
            "connection_id": self.connection_id,
            "open": self.open,
            "connected_at": utc_text(self.connected_at),
            "ended_at": None if self.ended_at is None else utc_text(self.ended_at),
            "reason": self.reason,
            "certain": self.certain,
            "text": self.text(),
            **self.members,
            "subscriptions": [one.as_dict() for one in self.subscriptions],
        }
