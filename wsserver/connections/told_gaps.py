"""The losses that a client was told of, for whoever asks what it knows."""

from collections import deque
from typing import Final

from wsserver.protocol.control import Gap

KEPT: Final = 20
"""Losses of one connection that are kept, the newest."""


class ToldGaps:
    """Those of one connection. Most connections never have any, and none of these."""

    __slots__ = ("latest", "total")

    def __init__(self) -> None:
        self.latest: deque[tuple[float, Gap]] = deque(maxlen=KEPT)
        """When (seconds since 1970 UTC) and what, the newest last."""
        self.total = 0
        """Of them in all."""

    def add(self, at: float, gap: Gap) -> None:
        """The client is told of a loss now."""
        self.latest.append((at, gap))
        self.total += 1
