"""The last hours of a service in figures, kept in the process so that a chart is full when it opens.

Two windows: 15 minutes by the second, and six hours by ten seconds. Together they take half a
megabyte, whatever happens.
"""

from math import nan
from typing import Any, Final

import msgspec

from wsserver.service import Service
from wsserver.status.columns import COLUMNS, GAUGES, PEAKS, described
from wsserver.status.reading import Reading, quantile, read
from wsserver.status.ring import Ring

QUANTILES: Final = (0.50, 0.95, 0.99)

_PLACES: Final = {column.name: place for place, column in enumerate(COLUMNS)}


class Window:
    """One span of time in steps of so many seconds."""

    def __init__(self, name: str, step: int, length: int) -> None:
        self.name = name
        self.step = step
        """Seconds from point to point."""
        self.last_at = 0.0
        """The time of the newest point in seconds since 1970."""
        self.row: tuple[float, ...] = (nan,) * len(COLUMNS)
        """The newest point."""
        self._ring = Ring(len(COLUMNS), length)
        self._before: Reading | None = None
        self._from = 0.0
        self._looks = 0
        self._sums: list[float] = []
        self._worst: list[float] = []

    def begin(self, reading: Reading, now: float) -> None:
        """Count from here on."""
        self._before, self._from = reading, now
        self._forget()

    def note(self, reading: Reading, second: int, now: float, at: float) -> None:
        """Take what was read at a second, counted from the start; a point is made when its step is over.

        ``now`` is of the monotonic clock, ``at`` the time for people.
        """
        self._looks += 1
        self._sums = [kept + value for kept, value in zip(self._sums, reading.gauges, strict=True)]
        self._worst = list(map(max, self._worst, reading.peaks))
        slot = second // self.step - 1
        if slot <= self._ring.last or self._before is None:
            return
        self.row = self._point(self._before, reading, now - self._from)
        self.last_at = at
        self._ring.note(slot, self.row)
        self.begin(reading, now)

    def _point(self, before: Reading, after: Reading, elapsed: float) -> tuple[float, ...]:
        gauges = [total / self._looks for total in self._sums]
        rates = [(b - a) / elapsed for a, b in zip(before.totals, after.totals, strict=True)]
        latencies = []
        for earlier, later in ((before.enqueued, after.enqueued), (before.written, after.written)):
            counts = [b - a for a, b in zip(earlier, later, strict=True)]
            latencies += [_milliseconds(quantile(share, counts)) for share in QUANTILES]
        answered = after.round_trips - before.round_trips
        seconds = after.round_trip_seconds - before.round_trip_seconds
        latencies.append(seconds / answered * 1000 if answered else nan)
        return (*gauges, *self._worst, *rates, *latencies)

    def _forget(self) -> None:
        self._looks = 0
        self._sums = [0.0] * len(GAUGES)
        self._worst = [0.0] * len(PEAKS)

    def most(self, name: str) -> float | None:
        """The largest point of a column in this window; None while there is none. Raises KeyError."""
        return self._ring.most(_PLACES[name])

    def packed(self) -> bytes:
        """The whole window as ``GET /ws/status/series`` sends it.

        The length of a head as a 32-bit number, the head (JSON, padded so that what follows stands at a
        multiple of four), then each column, oldest first. All numbers are little-endian.
        """
        head = msgspec.json.encode(self.head())
        head += b" " * (-len(head) % 4)
        return len(head).to_bytes(4, "little") + head + self._ring.packed()

    def head(self) -> dict[str, Any]:
        """What the columns are."""
        return {
            "window": self.name,
            "step": self.step,
            "count": self._ring.length,
            "last_at": self.last_at,
            "columns": described(),
        }


class Series:
    """Both windows of one service. ``tick`` often; once in each second it looks at the service."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._clock = service.clock
        self.minutes = Window("15m", 1, 900)
        self.hours = Window("6h", 10, 2160)
        self.windows = {window.name: window for window in (self.minutes, self.hours)}
        self._began = self._looked_at = 0.0
        self._second = 0

    def begin(self) -> None:
        """Count from now on."""
        self._began = self._looked_at = now = self._clock.monotonic()
        self._second = 0
        reading = read(self._service, now)
        for window in self.windows.values():
            window.begin(reading, now)

    def tick(self) -> bool:
        """Look if another second has passed; says whether it did.

        When the loop stood still there is nothing to be said about the seconds that it missed.
        """
        now = self._clock.monotonic()
        second = int(now - self._began)
        if second <= self._second:
            return False
        reading = read(self._service, self._looked_at)
        self._second, self._looked_at = second, now
        at = self._clock.time()
        for window in self.windows.values():
            window.note(reading, second, now, at)
        return True


def _milliseconds(seconds: float | None) -> float:
    return nan if seconds is None else seconds * 1000
