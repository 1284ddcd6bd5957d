"""What a client has counted."""

from dataclasses import dataclass


@dataclass(slots=True)
class Metrics:
    """Counters over all connections of a client."""

    sent: int = 0
    received: int = 0
    bytes_sent: int = 0
    """Characters of text, bytes of binary frames; so is ``bytes_received``."""
    bytes_received: int = 0
    reconnects: int = 0
    replayed: int = 0
    duplicates: int = 0
    gaps: int = 0
    downtime: float = 0.0
    """Seconds between two connections, all together."""
    last_close_code: int | None = None
    last_error: str | None = None
    """The name of the last error, never its text."""
