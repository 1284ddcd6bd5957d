"""The token buckets of parties that come and go: users, bearers of tokens, addresses."""

from itertools import islice
from typing import Final

from wsserver.clock import Clock
from wsserver_core.buckets import Buckets, RateLimits

REMEMBERED: Final = 20_000
"""Parties whose buckets are known at most. Beyond it those that came first start afresh."""


class BucketTable:
    """Buckets by a key, for as long as they are not full: a party that took nothing lately costs nothing.

    ``limits`` hold for every party; they may be set at any time.
    """

    def __init__(self, clock: Clock, *, remembered: int = REMEMBERED) -> None:
        self.limits = RateLimits()
        self.remembered = remembered
        self._clock = clock
        # Not an OrderedDict, which takes three times the memory.
        self._buckets: dict[str, Buckets] = {}

    def __len__(self) -> int:
        """Parties that are remembered."""
        return len(self._buckets)

    def __contains__(self, key: str) -> bool:
        """Whether a party is remembered."""
        return key in self._buckets

    def spend(self, key: str, kind: int, cost: float = 1.0) -> float:
        """Take ``cost`` of a party's bucket and return 0, or take nothing and return the seconds to wait."""
        wait = self.limits.spend(self._buckets_of(key), kind, cost, self._clock.monotonic())
        if wait:
            # Whoever keeps on is forgotten last.
            self._buckets[key] = self._buckets.pop(key)
        return wait

    def charge(self, key: str, kind: int, cost: float = 1.0) -> float:
        """Take ``cost`` whatever there is.

        Returns 0, or when the bucket had less than that: the seconds until it is half full again.
        """
        return self.limits.charge(self._buckets_of(key), kind, cost, self._clock.monotonic())

    def debt(self, key: str, kind: int) -> float:
        """Seconds until a party's bucket owes nothing any more; 0 for one that holds something."""
        buckets = self._buckets.get(key)
        return 0.0 if buckets is None else self.limits.spend(buckets, kind, 0.0, self._clock.monotonic())

    def sweep(self) -> None:
        """Forget those whose buckets are full: they would start with full ones anyway."""
        now, are_full = self._clock.monotonic(), self.limits.are_full
        for key in [key for key, buckets in self._buckets.items() if are_full(buckets, now)]:
            del self._buckets[key]

    def _buckets_of(self, key: str) -> Buckets:
        buckets = self._buckets.get(key)
        if buckets is None:
            if len(self._buckets) >= self.remembered:
                self._forget_oldest()
            buckets = self._buckets[key] = Buckets()
        return buckets

    def _forget_oldest(self) -> None:
        # Several at once: to find the first entry of a dict means to pass those that were deleted.
        for key in list(islice(self._buckets, 1 + self.remembered // 16)):
            del self._buckets[key]
