"""What the close codes of the server mean, and what a client does on each."""

from collections.abc import Mapping
from typing import Final, Literal

from wsserver.errors import CloseCode

Reaction = Literal["reconnect", "reconnect_after", "final"]

MEANINGS: Final[Mapping[CloseCode, str]] = {
    CloseCode.NORMAL: "Either side was done.",
    CloseCode.GOING_AWAY: "The server ended at once.",
    CloseCode.PROTOCOL_ERROR: "A frame against RFC 6455.",
    CloseCode.INVALID_TEXT: "Text that is not UTF-8.",
    CloseCode.TOO_BIG: "A message over twice the limit, or not finished in time.",
    CloseCode.INTERNAL: "A fault of the server.",
    CloseCode.AUTHENTICATION_EXPIRED: "The token has ended, or no credentials came in time: bring a new one.",
    CloseCode.SLOW_CONSUMER: "The client does not read fast enough.",
    CloseCode.HEALTH_CHECK_FAILED: "No sign of life.",
    CloseCode.DRAIN: "The server goes down or sends its clients elsewhere: see `system_shutdown`.",
    CloseCode.RECONNECT_ASKED: "An operator wants the client elsewhere.",
    CloseCode.CONNECTION_LIMIT: "Too many connections.",
    CloseCode.RATE_LIMIT: "Too fast for too long, or too many pings.",
    CloseCode.AUTHENTICATION_FAILED: "The token does not count: ask for a new one once.",
    CloseCode.TOO_MANY_ERRORS: "Malformed commands, 20 of them or 3 before `connect`.",
    CloseCode.BINARY_PROTOCOL: "Binary messages that are not understood.",
    CloseCode.REVOKED: "The token or the user was revoked.",
    CloseCode.SUPERSEDED: "Another connection took the session over.",
    CloseCode.ENDED_BY_OPERATOR: "An operator ended it.",
}

_RECONNECT: Final = (CloseCode.GOING_AWAY, CloseCode.INTERNAL)


def reaction(code: CloseCode) -> Reaction:
    """What a client does: by the band, and for the codes of RFC 6455 as the RFC has it."""
    if 4000 <= code < 4100 or code in _RECONNECT:
        return "reconnect"
    return "reconnect_after" if 4100 <= code < 4200 else "final"
