"""Heartbeats found in an ECG as it arrives, and the rule by which one counts as abnormal.

A beat is a hump that rises by at least ``threshold`` above its foot within 160 ms and falls
back by half of that height within 160 ms of its top. The threshold follows the record: 0.45 of
the median height of the last eight beats. Comparing with the foot instead of with zero makes
the wandering baseline of a real recording harmless.

The rule: a beat is *wide* when its width at half height is at least 65 ms, and *premature* when
it comes after less than 0.75 of the median of the last eight intervals. Either makes it abnormal.
In the recording that comes with this package 97 of 100 beats measure either under 60 ms at half
height (normal) or 80 to 120 ms (ventricular ectopic). It is a rule for a demonstration, not for
patients.
"""

from collections import deque
from collections.abc import Iterable
from enum import StrEnum
from statistics import median
from typing import Final, NamedTuple

WIDE_SECONDS: Final = 0.065
PREMATURE_RATIO: Final = 0.75

_SMOOTHING_SECONDS = 0.014
_FOOT_SECONDS = 0.16
_FALL_SECONDS = 0.16
_REFRACTORY_SECONDS = 0.22
_HEIGHT_RATIO = 0.45
_LEAST_HEIGHT_MILLIVOLTS = 0.45
_REMEMBERED_BEATS = 8
# A longer pause is a lost signal rather than an interval between two beats.
_LONGEST_INTERVAL_SECONDS = 2.5


class BeatKind(StrEnum):
    """What the stated rule says of a beat."""

    NORMAL = "normal"
    WIDE = "wide"
    PREMATURE = "premature"


class Beat(NamedTuple):
    """One heartbeat."""

    position: int
    """Sample number of its highest point, counted from the first sample fed."""
    height: float
    """Millivolts above its foot."""
    width: float
    """Seconds at half height."""
    interval: float | None
    """Seconds since the beat before; None after a pause without a signal."""
    kind: BeatKind

    @property
    def abnormal(self) -> bool:
        return self.kind is not BeatKind.NORMAL


class BeatDetector:
    """Finds beats in one patient's samples, fed in order and in pieces of any size.

    What it finds does not depend on how the samples are cut into pieces.
    """

    def __init__(self, rate: int) -> None:
        """``rate``: samples per second."""
        self._rate = rate
        self._span = max(1, round(_SMOOTHING_SECONDS * rate))
        self._foot_samples = round(_FOOT_SECONDS * rate)
        self._fall_samples = round(_FALL_SECONDS * rate)
        self._refractory = round(_REFRACTORY_SECONDS * rate)
        self._window: deque[float] = deque(maxlen=self._span)
        # Smoothed values back to the foot of the oldest hump that can still become a beat.
        self._past: deque[float] = deque(maxlen=self._foot_samples + self._fall_samples + 1)
        self._position = -1
        self._top = float("-inf")
        self._top_position = 0
        self._last_beat: int | None = None
        self._heights: deque[float] = deque(maxlen=_REMEMBERED_BEATS)
        self._intervals: deque[float] = deque(maxlen=_REMEMBERED_BEATS)

    def feed(self, millivolts: Iterable[float]) -> list[Beat]:
        """The beats that these samples complete, oldest first."""
        beats = []
        for value in millivolts:
            beat = self._step(value)
            if beat is not None:
                beats.append(beat)
        return beats

    @property
    def heart_rate(self) -> int | None:
        """Beats per minute over the last eight intervals; None while there is no signal to tell from."""
        if len(self._intervals) < 2 or self._silence() > _LONGEST_INTERVAL_SECONDS:
            return None
        return round(60 * len(self._intervals) / sum(self._intervals))

    def _silence(self) -> float:
        """Seconds since the last beat."""
        last = self._last_beat
        return float("inf") if last is None else (self._position - last) / self._rate

    def _step(self, value: float) -> Beat | None:
        self._position += 1
        self._window.append(value)
        smooth = sum(self._window) / len(self._window)
        self._past.append(smooth)
        if smooth > self._top or self._position - self._top_position > self._fall_samples:
            self._top = smooth
            self._top_position = self._position
            return None
        threshold = self._threshold()
        if self._top - smooth < threshold / 2:
            return None
        return self._hump(smooth, threshold)

    def _threshold(self) -> float:
        if not self._heights:
            return _LEAST_HEIGHT_MILLIVOLTS
        return max(_LEAST_HEIGHT_MILLIVOLTS, _HEIGHT_RATIO * median(self._heights))

    def _hump(self, smooth: float, threshold: float) -> Beat | None:
        """The beat whose falling side has just reached ``smooth``, if it is one."""
        past = list(self._past)
        top_index = len(past) - 1 - (self._position - self._top_position)
        rising = past[max(0, top_index - self._foot_samples) : top_index + 1]
        height = self._top - min(rising)
        half = self._top - height / 2
        if height < threshold or smooth > half:
            return None
        left = len(rising) - 1
        while left > 0 and rising[left] > half:
            left -= 1
        width = (self._position - self._top_position + len(rising) - 1 - left) / self._rate
        # Averaging over the last few samples shows every top half that span late.
        position = max(0, self._top_position - self._span // 2)
        self._top = smooth
        self._top_position = self._position
        if self._last_beat is not None and position - self._last_beat < self._refractory:
            return None
        return self._accept(position, height, width)

    def _accept(self, position: int, height: float, width: float) -> Beat:
        interval = None
        if self._last_beat is not None:
            interval = (position - self._last_beat) / self._rate
            if interval > _LONGEST_INTERVAL_SECONDS:
                interval = None
                self._intervals.clear()
        kind = BeatKind.NORMAL
        if width >= WIDE_SECONDS:
            kind = BeatKind.WIDE
        elif (
            interval is not None
            and len(self._intervals) == _REMEMBERED_BEATS
            and interval < PREMATURE_RATIO * median(self._intervals)
        ):
            kind = BeatKind.PREMATURE
        self._last_beat = position
        self._heights.append(height)
        if interval is not None:
            self._intervals.append(interval)
        return Beat(position, height, width, interval, kind)
