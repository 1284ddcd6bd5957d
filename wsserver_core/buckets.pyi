from typing import final

MESSAGES: int
BYTES: int
SUBSCRIBES: int
OFFENCES: int
SHARED_KINDS: int
CONTROL: int
KINDS: int

@final
class Buckets:
    """The buckets of one party that is no connection: a user, the bearer of a token, an address.

    It has none for control frames. 48 bytes, as there may be thousands.
    """

@final
class RateLimits:
    """Rate and burst of every bucket of one kind of party. New ones limit nothing."""

    def set(self, kind: int, rate: float, burst: float) -> None:
        """Let ``rate`` units come per second and ``burst`` at once. A rate of 0 is no limit.

        Counts for open buckets at once. Raises ValueError for anything else than a known kind,
        a rate of 0 or more and a burst above 0.
        """

    def spend(self, buckets: Buckets, kind: int, cost: float, now: float) -> float:
        """Take ``cost`` units and return 0, or take nothing and return the seconds until they are there.

        What costs more than a whole bucket costs a whole bucket.
        """

    def charge(self, buckets: Buckets, kind: int, cost: float, now: float) -> float:
        """Take ``cost`` units, for they are spent already; a bucket can owe as much as it holds.

        Returns 0, or when the bucket had less than that: the seconds until it is half full again.
        """

    def are_full(self, buckets: Buckets, now: float) -> bool:
        """Whether every bucket is full, so that a new party would be no better off."""
