"""Which share of the work fails."""

from collections import deque
from typing import Final

WINDOW: Final = 60.0
"""Seconds that are looked back on."""

LEAST: Final = 50
"""Operations below which there is no rate: one failure of one is no alarm."""


class ErrorRate:
    """Failed operations per hundred in the last minute, from totals that only grow."""

    def __init__(self) -> None:
        self._totals: deque[tuple[float, int, int]] = deque()

    def note(self, now: float, operations: int, failures: int) -> None:
        """Note both totals since the start; call it at intervals of about a second."""
        self._totals.append((now, operations, failures))
        # One older than the window stays: the rate counts from it.
        while len(self._totals) > 1 and self._totals[1][0] <= now - WINDOW:
            self._totals.popleft()

    def percent(self) -> float | None:
        """The rate; None while there were too few operations to tell."""
        if not self._totals:
            return None
        _, operations_then, failures_then = self._totals[0]
        _, operations, failures = self._totals[-1]
        done = operations - operations_then
        if done < LEAST:
            return None
        # An operation may fail in more than one way; what fails altogether is 100 percent.
        return min(100.0 * (failures - failures_then) / done, 100.0)
