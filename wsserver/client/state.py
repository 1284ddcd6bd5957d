"""Where a client stands."""

from enum import StrEnum


class State(StrEnum):
    """``reconnecting`` is both waiting for the next attempt and making it."""

    IDLE = "idle"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    RECONNECTING = "reconnecting"
    FAILED = "failed"
    """The attempts are used up."""
    CLOSED = "closed"
