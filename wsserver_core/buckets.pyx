"""Token buckets, each kept as one number (GCRA, the generic cell rate algorithm).

The number is the moment at which the bucket will be full again. What is taken puts that
moment off, and it may lie as far ahead as an empty bucket takes to fill. So nothing has to be
refilled, 0 is a full bucket at any time, and how long to wait comes out of the same subtraction.
"""

from libc.math cimport isfinite

cdef enum:
    # What a double loses of a clock that has run for a year is a hundredth of this.
    TOLERANCE_NS = 1000


cdef inline double bounded(double full_at, const Rate *rate, double now) noexcept nogil:
    """The moment as it counts now: never in the past, nor beyond a debt of one whole bucket.

    The latter shrinks old debts when a limit was raised or the clock set back.
    """
    return min(max(full_at, now), now + 2 * rate.depth)


cdef double spend(double *full_at, const Rate *rate, double cost, double now) noexcept nogil:
    """Take ``cost`` units and return 0, or take nothing and return the seconds until they are there.

    What costs more than a whole bucket costs a whole bucket.
    """
    cdef double moment, wait
    if rate.interval <= 0:
        return 0.0
    moment = bounded(full_at[0], rate, now) + min(cost * rate.interval, rate.depth)
    wait = moment - now - rate.depth
    if wait > TOLERANCE_NS * 1e-9:
        return wait
    full_at[0] = moment
    return 0.0


cdef double charge(double *full_at, const Rate *rate, double cost, double now) noexcept nogil:
    """Take ``cost`` units, for they are spent already; a bucket can owe as much as it holds.

    Returns 0, or when the bucket had less than that: the seconds until it is half full again.
    """
    cdef double moment
    if rate.interval <= 0:
        return 0.0
    moment = bounded(full_at[0], rate, now) + cost * rate.interval
    full_at[0] = bounded(moment, rate, now)
    if moment - now - rate.depth <= TOLERANCE_NS * 1e-9:
        return 0.0
    return full_at[0] - now - rate.depth / 2


cdef class Buckets:
    """The buckets of one party that is no connection: a user, the bearer of a token, an address.

    It has none for control frames. 48 bytes, as there may be thousands.
    """


cdef class RateLimits:
    """Rate and burst of every bucket of one kind of party. New ones limit nothing."""

    def set(self, int kind, double rate, double burst):
        """Let ``rate`` units come per second and ``burst`` at once. A rate of 0 is no limit.

        Counts for open buckets at once. Raises ValueError for anything else than a known kind,
        a rate of 0 or more and a burst above 0.
        """
        check_kind(kind, KINDS)
        if not (isfinite(rate) and rate >= 0 and isfinite(burst) and burst > 0):
            raise ValueError("no such rate or burst")
        self.rates[kind].interval = 1.0 / rate if rate > 0 else 0.0
        self.rates[kind].depth = burst / rate if rate > 0 else 0.0

    def spend(self, Buckets buckets not None, int kind, double cost, double now):
        """Take ``cost`` units and return 0, or take nothing and return the seconds until they are there.

        What costs more than a whole bucket costs a whole bucket.
        """
        check_kind(kind, SHARED_KINDS)
        return spend(&buckets.full_at[kind], &self.rates[kind], cost, now)

    def charge(self, Buckets buckets not None, int kind, double cost, double now):
        """Take ``cost`` units, for they are spent already; a bucket can owe as much as it holds.

        Returns 0, or when the bucket had less than that: the seconds until it is half full again.
        """
        check_kind(kind, SHARED_KINDS)
        return charge(&buckets.full_at[kind], &self.rates[kind], cost, now)

    def are_full(self, Buckets buckets not None, double now):
        """Whether every bucket is full, so that a new party would be no better off."""
        cdef int kind
        for kind in range(SHARED_KINDS):
            if buckets.full_at[kind] > now and self.rates[kind].interval > 0:
                return False
        return True


cdef int check_kind(int kind, int kinds) except -1:
    if not 0 <= kind < kinds:
        raise ValueError("no such kind of bucket")
    return 0
