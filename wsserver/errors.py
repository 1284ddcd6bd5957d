"""Every error and every close code, in one table each.

Outcomes are returned on the hot path; what is raised at the edges is a ``ServerError``,
and two places turn it into something a client sees: the message router (an ``error``
message) and the HTTP middleware (a JSON body with a status).

The error numbers 1001-1015 live in messages only. As WebSocket close codes those numbers
are taken or forbidden by RFC 6455 section 7.4, so closing uses the bands of ``CloseCode``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, unique
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class ErrorKind:
    """One row of the table: what a client is told, over HTTP and over a socket."""

    code: int
    name: str
    text: str
    http_status: int


_TABLE: dict[int, ErrorKind] = {}


def _kind(code: int, name: str, http_status: int, text: str) -> ErrorKind:
    if code in _TABLE or any(row.name == name for row in _TABLE.values()):
        raise AssertionError(f"error {code} {name} stands twice in the table")
    _TABLE[code] = kind = ErrorKind(code, name, text, http_status)
    return kind


AUTHENTICATION_FAILED: Final = _kind(1001, "authentication_failed", 401, "Authentication failed.")
CONNECTION_LIMIT: Final = _kind(1002, "connection_limit_exceeded", 503, "Connection limit exceeded.")
INVALID_MESSAGE: Final = _kind(1003, "invalid_subscription", 400, "The message or subscription is not valid.")
MESSAGE_TOO_LARGE: Final = _kind(1004, "message_too_large", 413, "The message is too large.")
BACKPRESSURE: Final = _kind(1005, "backpressure_active", 503, "The server cannot take more at the moment.")
HEALTH_CHECK_FAILED: Final = _kind(1006, "health_check_failed", 500, "The connection did not answer in time.")
SUBSCRIPTION_TIMEOUT: Final = _kind(1007, "subscription_timeout", 410, "The subscription expired.")
FILTER_ERROR: Final = _kind(1008, "filter_parsing_error", 400, "The filter is not valid.")
BINARY_PROTOCOL_ERROR: Final = _kind(1009, "binary_protocol_error", 400, "The binary frame is not valid.")
RATE_LIMIT: Final = _kind(1010, "rate_limit_exceeded", 429, "Too many messages.")
PERMISSION_DENIED: Final = _kind(1011, "permission_denied", 403, "Not allowed.")
SUBSCRIPTION_LIMIT: Final = _kind(1012, "subscription_limit_exceeded", 429, "Subscription limit exceeded.")
SHUTTING_DOWN: Final = _kind(1013, "server_shutting_down", 503, "The server is shutting down.")
NOT_FOUND: Final = _kind(1014, "not_found", 404, "Not found.")
INTERNAL_ERROR: Final = _kind(1015, "internal_error", 500, "Internal error.")

ERRORS: Final[Mapping[int, ErrorKind]] = _TABLE


@unique
class CloseCode(IntEnum):
    """Codes this server closes with.

    Rule for clients: 4000-4099 reconnect with backoff; 4100-4199 reconnect after the
    ``retry_after_ms`` of the error that came before; 4500-4999 final.
    """

    NORMAL = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    INVALID_TEXT = 1007
    TOO_BIG = 1009
    INTERNAL = 1011
    AUTHENTICATION_EXPIRED = 4001
    SLOW_CONSUMER = 4005
    HEALTH_CHECK_FAILED = 4006
    DRAIN = 4020
    RECONNECT_ASKED = 4021
    CONNECTION_LIMIT = 4102
    RATE_LIMIT = 4110
    AUTHENTICATION_FAILED = 4501
    TOO_MANY_ERRORS = 4503
    BINARY_PROTOCOL = 4509
    REVOKED = 4511
    SUPERSEDED = 4522
    ENDED_BY_OPERATOR = 4523


CLOSE_CODES: Final = tuple(
    # With those that clients end with and no server may send (RFC 6455 section 7.4.1); 1006 is no code.
    sorted({*map(int, CloseCode), 1003, 1005, 1006, 1008, 1010, 1012, 1013})
)
"""Every code that a connection may have ended with, but for those that clients make up."""


class ServerError(Exception):
    """A fault with a row in the table.

    ``message`` is text for a person and never carries a token, a path or another
    user's id. ``details`` and ``retry_after_ms`` are for programs.
    """

    def __init__(
        self,
        kind: ErrorKind,
        message: str | None = None,
        *,
        details: dict[str, Any] | None = None,
        retry_after_ms: int | None = None,
        http_status: int | None = None,
    ) -> None:
        self.kind = kind
        self.message = message or kind.text
        self.details = details
        self.retry_after_ms = retry_after_ms
        self.http_status = http_status or kind.http_status
        super().__init__(f"{kind.code} {kind.name}: {self.message}")

    def as_dict(self, request_id: str | None = None) -> dict[str, Any]:
        """The members of an ``error`` message or of the ``error`` object in an HTTP body."""
        out: dict[str, Any] = {"code": self.kind.code, "name": self.kind.name, "message": self.message}
        if request_id is not None:
            out["request_id"] = request_id
        if self.retry_after_ms is not None:
            out["retry_after_ms"] = self.retry_after_ms
        if self.details is not None:
            out["details"] = self.details
        return out


class ConnectionNotFound(ServerError):
    """No open connection has this id."""

    def __init__(self) -> None:
        super().__init__(INVALID_MESSAGE, "No such connection.", http_status=404)
