"""How fast queued messages may leave."""

from collections.abc import Callable
from typing import Final

BURST: Final = 100
"""So many may leave at once; the server takes twice as many."""


class Pace:
    """A bucket that fills at ``rate`` a second; 0 is no bound."""

    def __init__(self, rate: float, monotonic: Callable[[], float]) -> None:
        self._rate = rate
        self._monotonic = monotonic
        self._at = monotonic()
        self._level = float(BURST)

    def wait(self) -> float:
        """Seconds until the next one may leave, which then counts as gone."""
        if not self._rate:
            return 0.0
        now = self._monotonic()
        self._level = min(BURST, self._level + (now - self._at) * self._rate) - 1
        self._at = now
        return max(0.0, -self._level / self._rate)
