"""Whether the other side is still there: pings spread over the interval, and the end of the silent."""

import struct
from collections.abc import Callable
from math import ceil
from typing import Any, Final

from wsserver.clock import Clock
from wsserver_core.frames import PING, encode_frame
from wsserver_core.hub import Frame, Hub

LEAST_STALL: Final = 1.0
"""Seconds without a tick that count as an absence of our own, however short the interval is."""

_PAYLOAD: Final = struct.Struct("!d")


class HealthMonitor:
    """One sweep instead of a timer per connection.

    Each tick looks at its share of the hub's table, so that every connection is pinged once
    per interval and never all at once. Any frame from a client is a sign of life.
    """

    def __init__(
        self, hub: Hub, clock: Clock, *, interval: float, timeout: float, stale: Callable[[Any], None]
    ) -> None:
        """``stale(connection)`` is called for one that has been silent for ``timeout`` seconds."""
        self._hub = hub
        self._clock = clock
        self.interval = interval
        self.timeout = timeout
        self._stale = stale
        self._position = 0
        self._owed = 0.0
        self._last: float | None = None
        self._trusted_since = 0.0
        self.closed = 0
        """Connections that were ended for silence."""

    def tick(self) -> None:
        """Ping the connections whose turn it is, and hand over those that are silent."""
        now = self._clock.monotonic()
        elapsed = 0.0 if self._last is None else now - self._last
        self._last = now
        if elapsed > max(self.interval / 2, LEAST_STALL):
            # We ourselves were away, and heard nobody meanwhile: everybody starts afresh.
            self._trusted_since = now
            elapsed = 0.0
        self._owed = min(self._owed + self._hub.top * elapsed / self.interval, self._hub.top)
        share = ceil(self._owed)
        if not share:
            return
        self._owed -= share
        stale_before = now - self.timeout if now - self._trusted_since >= self.timeout else -1.0
        ping = Frame(encode_frame(PING, _PAYLOAD.pack(now)))
        self._position, stale = self._hub.sweep(self._position, share, stale_before, ping)
        for connection in stale:
            self.closed += 1
            self._stale(connection)

    def round_trip(self, payload: bytes) -> float | None:
        """Seconds since the ping that this pong answers; None for a pong nobody asked for."""
        if len(payload) != _PAYLOAD.size:
            return None
        rtt = self._clock.monotonic() - _PAYLOAD.unpack(payload)[0]
        # The payload comes back through the client's hands.
        return rtt if 0 <= rtt <= self.timeout else None
