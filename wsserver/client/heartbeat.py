"""Whether the line is still there: pings, and the silence after them."""

import enum
from collections import deque
from collections.abc import Callable
from typing import Final

_SAMPLES: Final = 64


class Pulse(enum.Enum):
    """What a heartbeat asks for."""

    NOTHING = enum.auto()
    PING = enum.auto()
    DEAD = enum.auto()


class Heartbeat:
    """Decides by timestamps, for timers come late: on a busy loop, and after a machine has slept.

    A ping goes out every ``interval``. The line is dead when one has been out for ``grace`` and nothing
    at all has been heard since. Whoever looks ``grace`` later than it meant to has stood still itself, and
    what came meanwhile may still wait in the socket: then another ping is the question, and not an end.
    """

    def __init__(
        self, interval: float, grace: float, monotonic: Callable[[], float], *, first: float | None = None
    ) -> None:
        """``first``: the first ping goes out after so long already."""
        self._interval = interval
        self._grace = grace
        self._monotonic = monotonic
        self._ping_due = monotonic() + (interval if first is None else min(first, interval))
        self._asked: float | None = None
        """When the first ping went out since anything was heard."""
        self._is_reading = True
        self.next_look = self._ping_due
        """Monotonic seconds at which to call ``look``."""
        self._trips: deque[float] = deque(maxlen=_SAMPLES)

    def heard(self) -> None:
        """A frame has come, of whatever kind."""
        self._asked = None

    def reading(self, is_reading: bool) -> None:
        """Whether the socket is being read; while it is not, silence says nothing."""
        if is_reading and not self._is_reading and self._asked is not None:
            self._asked = self._monotonic()
        self._is_reading = is_reading

    def look(self) -> Pulse:
        """What is to be done now. For PING the ping counts as sent."""
        now = self._monotonic()
        stood_still = now - self.next_look >= self._grace
        if self._asked is not None and self._is_reading and now - self._asked >= self._grace:
            if not stood_still:
                return Pulse.DEAD
            self._asked = now
        pulse = Pulse.NOTHING
        if stood_still or now >= self._ping_due:
            pulse = Pulse.PING
            self._ping_due = now + self._interval
            if self._asked is None:
                self._asked = now
        self.next_look = self._ping_due
        if self._asked is not None and self._is_reading:
            self.next_look = min(self.next_look, self._asked + self._grace)
        return pulse

    def round_trip(self, seconds: float) -> None:
        """A pong has come back after so long."""
        self._trips.append(seconds)

    @property
    def rtt(self) -> dict[str, float] | None:
        """Last, average and 95th percentile of the latest round trips, in seconds; None before the first."""
        if not self._trips:
            return None
        ordered = sorted(self._trips)
        return {
            "last": self._trips[-1],
            "avg": sum(ordered) / len(ordered),
            "p95": ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))],
        }
