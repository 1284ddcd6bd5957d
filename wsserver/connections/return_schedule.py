"""When each client of a server that goes down is closed, and how long it then stays away.

Ten thousand clients that come back together are an attack on whoever takes them. So each
gets a moment of its own, ``1 / rate`` seconds after the one before it, and the closes are
laid out such that nobody is away for longer than that takes:

- Where others take the clients (``restart_time`` None), they are closed at the rate at which
  they shall arrive, and each comes back at once.
- Where this server's successor takes them at the same address, it cannot listen before this
  one has ended: all are closed quickly, and the first comes back when the successor is there.
"""

import math
from typing import Final

STEP: Final = 0.1
"""Least seconds between two portions of closes."""

CLOSES_PER_SECOND: Final = 4000
"""Clients closed per second before a restart: a portion of them holds the loop for some 30 ms."""

LINGER: Final = 3.0
"""Seconds from the last close for clients that still have to read what waits for them and to answer.

All others wait for them, for the successor cannot listen before.
"""

PAUSE: Final = 0.2
"""Seconds that a client stays away whom somebody else takes."""


class ReturnSchedule:
    """The moments of ``count`` clients, known by their places from 0 on. Seconds from the first close."""

    def __init__(self, count: int, *, rate: float, window: float, restart_time: float | None) -> None:
        """``rate`` clients per second shall arrive; all are closed within ``window`` seconds.

        ``restart_time`` is what passes from the end of this server to the start of the next
        one at its address, None if others take the clients.
        """
        self.rate = rate
        if window > 0:
            # Too many for the rate: they leave faster than they may arrive, and wait outside.
            pace = max(rate if restart_time is None else CLOSES_PER_SECOND, count / window)
            self.step = max(STEP, 1 / pace)
            # Less a hair: 4000 a second times a tenth of one is 400 and not 401.
            self.portion = math.ceil(pace * self.step - 1e-9)
        else:
            self.step, self.portion = 0.0, max(count, 1)
        self.closing_time = max(math.ceil(count / self.portion) - 1, 0) * self.step
        """Seconds from the first close to the last."""
        self.first_return = PAUSE if restart_time is None else self.closing_time + LINGER + restart_time
        """Seconds from the first close to the first return."""

    def closes_after(self, place: int) -> float:
        """Seconds from the first close to this client's."""
        return place // self.portion * self.step

    def returns_after(self, place: int) -> float:
        """Seconds from the first close to this client's return."""
        return self.first_return + place / self.rate

    def away_ms(self, place: int) -> int:
        """Milliseconds that this client is to wait once it is closed."""
        return math.ceil((self.returns_after(place) - self.closes_after(place)) * 1000)
