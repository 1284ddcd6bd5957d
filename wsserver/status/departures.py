"""How connections ended lately, by close code."""

from collections import deque
from collections.abc import Mapping
from typing import Final

from wsserver.errors import CLOSE_CODES

STEP: Final = 10
"""Seconds between two looks."""

SPAN: Final = 900
"""Seconds that are looked back on."""

OTHER: Final = "other"
"""What stands for every code that is not in the table, which clients choose as they like."""

_Counts = tuple[int, ...]


class Departures:
    """Remembers how many connections had ended by each code at the looks of the last 15 minutes."""

    def __init__(self) -> None:
        self._looks: deque[tuple[float, _Counts]] = deque(maxlen=SPAN // STEP)

    def note(self, now: float, ended: Mapping[int, int]) -> None:
        """Take the counts since the start; between two looks at least ``STEP`` seconds pass."""
        if not self._looks or now - self._looks[-1][0] >= STEP:
            self._looks.append((now, _by_code(ended)))

    def lately(self, now: float, ended: Mapping[int, int]) -> tuple[dict[str, int], float]:
        """How many ended by each code since the oldest look, and how many seconds that is."""
        if not self._looks:
            return {}, 0.0
        at, then = self._looks[0]
        found = zip((*map(str, CLOSE_CODES), OTHER), then, _by_code(ended), strict=True)
        return {code: after - before for code, before, after in found if after != before}, now - at


def _by_code(ended: Mapping[int, int]) -> _Counts:
    known = [ended.get(code, 0) for code in CLOSE_CODES]
    return (*known, sum(ended.values()) - sum(known))
