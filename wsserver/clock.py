"""Time as a parameter: monotonic seconds for durations, aware UTC for people, neither for order."""

import time
from datetime import UTC, datetime
from functools import lru_cache
from typing import Protocol


class Clock(Protocol):
    """Where the server reads the time. Tests pass one that they move by hand."""

    def monotonic(self) -> float:
        """Seconds from an arbitrary point; never steps back."""
        ...

    def time(self) -> float:
        """Seconds since 1970 UTC, as tokens and people count them; may be set."""
        ...


class SystemClock:
    """The machine's clocks."""

    monotonic = staticmethod(time.monotonic)
    time = staticmethod(time.time)


def microseconds(seconds: float) -> int:
    """The whole microseconds of a time; ``utc_text`` spells the same instant."""
    return int(seconds * 1_000_000)


def utc_text(seconds: float) -> str:
    """RFC 3339 in UTC with milliseconds, e.g. ``2026-01-01T00:00:00.000Z``."""
    return _utc_text(microseconds(seconds) // 1000)


@lru_cache(maxsize=16)
def _utc_text(milliseconds: int) -> str:
    # Spelling a time out costs more than queueing a message; a burst shares one spelling.
    moment = datetime.fromtimestamp(milliseconds // 1000, UTC).replace(microsecond=milliseconds % 1000 * 1000)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
