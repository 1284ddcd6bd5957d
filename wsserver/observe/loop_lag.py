"""How late the event loop is: the time by which a timer fires after it was due."""

import asyncio
from collections import deque
from typing import Final

from wsserver.clock import Clock
from wsserver_core.histogram import Histogram

INTERVAL: Final = 0.1
"""Seconds between two measurements. One costs about 10 µs."""

WINDOW: Final = 5.0
"""Seconds for which a lag is remembered as recent."""

_WEIGHT: Final = 0.1


class LoopLag:
    """Measures the lag of one loop, in seconds.

    What holds the loop for a second delays everybody's messages by a second: a handler that
    blocks, a machine that swaps, a process that was stopped.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._handle: asyncio.TimerHandle | None = None
        self._due: float | None = None
        self._recent: deque[tuple[float, float]] = deque()
        self._untaken = 0.0
        self.lags = Histogram()
        """Every measurement since the start."""
        self.average = 0.0
        """Exponentially weighted mean over about the last ten measurements."""

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Measure on this loop until ``stop``."""

        def turn() -> None:
            self.measure()
            self._handle = loop.call_later(INTERVAL, turn)

        self._due = self._clock.monotonic() + INTERVAL
        self._handle = loop.call_later(INTERVAL, turn)

    def stop(self) -> None:
        """Stop measuring and forget."""
        if self._handle is not None:
            self._handle.cancel()
        self._handle = self._due = None
        self._recent.clear()
        self._untaken = self.average = 0.0

    def measure(self) -> None:
        """Note by how much this call is late, and when the next one is due."""
        now = self._clock.monotonic()
        lag = 0.0 if self._due is None else max(now - self._due, 0.0)
        self._due = now + INTERVAL
        self.average += _WEIGHT * (lag - self.average)
        self._untaken = max(self._untaken, lag)
        self.lags.note(lag)
        # Only what may still be the worst of the window is kept: each is worse than all after it.
        while self._recent and self._recent[-1][1] <= lag:
            self._recent.pop()
        self._recent.append((now, lag))
        self._forget(now)

    def worst(self) -> float:
        """The worst lag of the last ``WINDOW`` seconds, the one going on at this moment included."""
        now = self._clock.monotonic()
        self._forget(now)
        known = self._recent[0][1] if self._recent else 0.0
        return max(known, self._overdue(now))

    def worst_since(self, moment: float) -> float:
        """The same of what was measured after a moment (monotonic seconds) in that time."""
        now = self._clock.monotonic()
        # Each is worse than all after it, so the first one after the moment is the worst.
        known = next((lag for at, lag in self._recent if at > moment), 0.0)
        return max(known, self._overdue(now))

    def take(self) -> float:
        """The worst lag since the last call, the one going on at this moment included."""
        worst, self._untaken = self._untaken, 0.0
        return max(worst, self._overdue(self._clock.monotonic()))

    def _overdue(self, now: float) -> float:
        return 0.0 if self._due is None else max(now - self._due, 0.0)

    def _forget(self, now: float) -> None:
        while self._recent and self._recent[0][0] < now - WINDOW:
            self._recent.popleft()
