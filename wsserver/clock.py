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
    # A burst of commands or messages shares one spelling, which halves what each of them takes for it.
    whole, thousandths = divmod(milliseconds, 1000)
    return f"{_utc_second(whole)}.{thousandths:03}Z"


@lru_cache(maxsize=16)
def _utc_second(seconds: int) -> str:
    # Spelling a second out costs more than queueing a message; all that happens in it shares one spelling.
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").removesuffix("+00:00")
