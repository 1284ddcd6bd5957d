"""When a request that did not get through is sent again, and when not any more."""

from collections.abc import Callable
from typing import Final

FIRST: Final = 0.1
LONGEST: Final = 5.0
"""Seconds before the first repetition and before any later one, their random part not counted."""


class RetryPlan:
    """Waits for one request: growing, with a random part, and all within ``patience`` seconds."""

    def __init__(self, patience: float, monotonic: Callable[[], float], random: Callable[[], float]) -> None:
        self._until = monotonic() + patience
        self._monotonic = monotonic
        self._random = random
        self._attempt = 0

    @property
    def left(self) -> float:
        """Seconds until patience ends."""
        return self._until - self._monotonic()

    def wait(self, retry_after: float | None) -> float | None:
        """Seconds to wait before the next attempt, at least ``retry_after``; None to give up."""
        base = min(LONGEST, FIRST * 2.0 ** min(self._attempt, 16))
        self._attempt += 1
        # Half of it is fixed: else the first repetitions come too early to help.
        wait = max(retry_after or 0.0, base * (0.5 + self._random() / 2))
        return wait if wait < self.left else None
