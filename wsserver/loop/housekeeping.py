"""The one timer of the server: everything that is due now and then hangs on it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from wsserver.clock import Clock
from wsserver.incidents import report_incident

TICK: Final = 0.25
"""Seconds between two looks; also the grain of the hub's coarse clock."""


LATE: Final = 2 * TICK
"""Seconds between two ticks from which on the later one came late."""


@dataclass(slots=True)
class _Chore:
    work: Callable[[], object]
    interval: Callable[[], float]
    last: float


class Housekeeping:
    """Calls chores at their intervals. A chore that fails is logged and called again next time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._chores: list[_Chore] = []
        self._handle: asyncio.TimerHandle | None = None

    def every(self, interval: float | Callable[[], float], work: Callable[[], object]) -> None:
        """Call ``work`` every ``interval`` seconds, 0 being every tick. The interval may change meanwhile."""
        read = interval if callable(interval) else lambda: interval
        self._chores.append(_Chore(work, read, self._clock.monotonic()))

    def tick(self) -> None:
        """Do what is due."""
        now = self._clock.monotonic()
        for chore in self._chores:
            if now - chore.last < chore.interval():
                continue
            chore.last = now
            try:
                chore.work()
            except Exception:
                report_incident("doing a periodic chore")

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Tick on this loop until ``stop``.

        A tick that comes late is left out: the loop stood still, and what clients have sent
        meanwhile is read first, before anybody's deadline is looked at. Of several late ones in a
        row only the first is.
        """
        last, late = self._clock.monotonic(), False

        def turn() -> None:
            nonlocal last, late
            now, was_late = self._clock.monotonic(), late
            late = now - last > LATE
            last = now
            if was_late or not late:
                self.tick()
            self._handle = loop.call_later(TICK, turn)

        self._handle = loop.call_later(TICK, turn)

    def stop(self) -> None:
        """Stop ticking."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
