"""What a client tells its listeners besides messages and gaps. Times are in seconds."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from wsserver.client.errors import ClientError
from wsserver.client.state import State
from wsserver.client.subscriptions import Subscription


@dataclass(frozen=True, slots=True)
class StateChanged:
    """``state``."""

    state: State
    previous: State


@dataclass(frozen=True, slots=True)
class Connecting:
    """``connecting``: a WebSocket is being opened; ``attempt`` is 0 for the first."""

    attempt: int


@dataclass(frozen=True, slots=True)
class Connected:
    """``connected``: the server has let the client in.

    ``resumed``: it went on with the session. ``replayed`` messages follow because they were missed.
    ``errors``: subscriptions that were refused, as the server told it.
    """

    connection_id: str
    user_id: str
    role: str
    protocol: str
    resumed: bool
    replayed: int
    subscriptions: list[Subscription]
    errors: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Disconnected:
    """``disconnected``. ``terminal``: to connect again would be refused again."""

    code: int
    reason: str
    was_clean: bool
    will_reconnect: bool
    terminal: bool


@dataclass(frozen=True, slots=True)
class Reconnecting:
    """``reconnecting``: the next attempt follows after ``delay``; ``advised`` by the server or not."""

    attempt: int
    delay: float
    max_attempts: int
    advised: bool


@dataclass(frozen=True, slots=True)
class Reconnected:
    """``reconnected``. ``gap``: something is missing, and the gaps say what."""

    attempts: int
    downtime: float
    resumed: bool
    replayed: int
    gap: bool


@dataclass(frozen=True, slots=True)
class ReconnectsExhausted:
    """``reconnect_failed``: the attempts are used up. Whoever watches is blind from here on."""

    attempts: int
    error: ClientError


@dataclass(frozen=True, slots=True)
class QueueChanged:
    """``queue``: messages that wait for a connection, and how many were dropped so far."""

    length: int
    dropped: int


@dataclass(frozen=True, slots=True)
class ServerShutdown:
    """``server_shutdown``: the server will close; ``reconnect_in`` is counted from then."""

    reconnect_in: float | None
    message: str


@dataclass(frozen=True, slots=True)
class Beat:
    """``heartbeat``: a ping was answered."""

    rtt: float


@dataclass(frozen=True, slots=True)
class TokenExpiring:
    """``token_expiring``. Without ``get_token`` call ``authenticate`` with a new one in this time."""

    expires_in: float


EVENTS: Final[Mapping[str, str]] = {
    "state": "StateChanged",
    "connecting": "Connecting",
    "connected": "Connected",
    "disconnected": "Disconnected",
    "reconnecting": "Reconnecting",
    "reconnected": "Reconnected",
    "reconnect_failed": "ReconnectsExhausted",
    "message": "Message",
    "gap": "Gap",
    "error": "ClientError",
    "queue": "QueueChanged",
    "server_shutdown": "ServerShutdown",
    "heartbeat": "Beat",
    "token_expiring": "TokenExpiring",
    "control": "dict",
}
"""The names of events and what their listeners get. ``control`` is every message of the server itself
that is no ``connected`` and no ``pong``, as it came."""
