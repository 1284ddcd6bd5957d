"""The latest points of several figures: fixed memory, nothing made for a point."""

import sys
from array import array
from collections.abc import Iterable, Sequence
from math import isnan, nan


class Ring:
    """Columns of single-precision numbers, one for each figure, with a place for each slot of time.

    Slots are numbered from 0 in the order of time. One in which nothing was noted is not a number.
    """

    def __init__(self, columns: int, length: int) -> None:
        self._columns = [array("f", (nan,)) * length for _ in range(columns)]
        self.length = length
        """Slots that are kept."""
        self.last = -1
        """The slot noted last."""

    def note(self, slot: int, row: Iterable[float]) -> None:
        """Put one number in each column; the slots since the last one stay without any.

        A slot must come after all before it.
        """
        length, columns = self.length, self._columns
        for missed in range(max(self.last + 1, slot - length + 1), slot):
            for column in columns:
                column[missed % length] = nan
        place = slot % length
        for column, value in zip(columns, row, strict=True):
            column[place] = value
        self.last = slot

    def most(self, column: int) -> float | None:
        """The largest number in a column, or None while there is none."""
        known = [value for value in self._columns[column] if not isnan(value)]
        return max(known, default=None)

    def series(self, column: int) -> Sequence[float]:
        """A column, oldest first."""
        start = (self.last + 1) % self.length
        kept = self._columns[column]
        return kept[start:] + kept[:start]

    def packed(self) -> bytes:
        """All columns one behind the other, each oldest first, as little-endian numbers."""
        start = (self.last + 1) % self.length
        parts = []
        for column in self._columns:
            turned = column[start:] + column[:start]
            if sys.byteorder == "big":
                turned.byteswap()
            parts.append(turned.tobytes())
        return b"".join(parts)
