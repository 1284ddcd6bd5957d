"""How often one place in the code may say the same thing.

A fault that ten thousand clients run into at once is one piece of news, not ten thousand
lines. What is held back is counted and told, so that nothing looks rarer than it is.
"""

import logging
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from wsserver.clock import Clock

WINDOW: Final = 10.0
"""Seconds over which the lines of one place are counted, from the first one on."""

WARNINGS: Final = 10
"""Warnings of one place that are written in one window."""

ERRORS: Final = 50
"""The same for errors: each may be an incident whose number a client was told."""

MAX_PLACES: Final = 512
"""Places known at a time. Beyond it the one whose window began first is forgotten, its count told."""


@dataclass(slots=True)
class _Window:
    """What one place has said since ``began``; its text without values, which may be large."""

    logger: str
    level: int
    text: str
    began: float
    seen: int = 0
    held_back: int = 0


class RepeatLimit:
    """Decides which records are written.

    INFO and DEBUG always are: clients cannot cause many of the one, and who asks for the other
    wants all of it. Not for use by two threads at once.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        # All windows last equally long, so the one that began first ends first.
        self._windows: OrderedDict[tuple[str, int], _Window] = OrderedDict()

    def __len__(self) -> int:
        """Places that have spoken in a window which is not over."""
        return len(self._windows)

    def admits(self, record: logging.LogRecord) -> bool:
        """Whether this record is to be written. `due` comes first: it ends windows."""
        if record.levelno < logging.WARNING:
            return True
        # By place and not by text: a text may differ every time, and there are only as many
        # places as the code has lines.
        place = record.pathname, record.lineno
        window = self._windows.get(place)
        if window is None:
            window = _Window(record.name, record.levelno, str(record.msg), self._clock.monotonic())
            self._windows[place] = window
        window.seen += 1
        if window.seen <= (WARNINGS if record.levelno < logging.ERROR else ERRORS):
            return True
        window.held_back += 1
        return False

    def due(self, *, everything: bool = False) -> list[logging.LogRecord]:
        """What must be told of the windows that are over, or of all: a record for each that held back."""
        now = self._clock.monotonic()
        told = []
        while self._windows:
            window = next(iter(self._windows.values()))
            if not everything and len(self._windows) <= MAX_PLACES and now - window.began < WINDOW:
                break
            self._windows.popitem(last=False)
            if window.held_back:
                told.append(_summary(window, now - window.began))
        return told


def _summary(window: _Window, seconds: float) -> logging.LogRecord:
    text = f"held back, more of: {window.text}"
    record = logging.LogRecord(window.logger, window.level, "", 0, text, None, None)
    record.__dict__.update(lines=window.held_back, seconds=round(seconds, 1))
    return record
