"""The garbage collector of a process that serves: seldom a walk over all there is."""

import gc
from typing import Final

from wsserver.loop.housekeeping import Housekeeping

FULL_AFTER: Final = 1_000
"""Collections of the middle generation before a full one; Python's own figure is 10."""

FULL_EVERY: Final = 3600.0
"""Seconds after which the housekeeping asks for a full collection, whatever has been made meanwhile."""


def leave_the_living_alone(housekeeping: Housekeeping | None = None) -> None:
    """For a process that is all the server's: call it once, when all is there that stays to the end.

    Looking for garbage in what is there by then took 30 ms each time. What comes later is open
    connections above all, some 60 objects each with five subscriptions. A full collection walks over them
    all while the loop stands still, 0.2 s at 5,000 connections, and finds nothing: connections that
    end leave no cycles. So there is one of a hundred only.

    Cycles that somebody leaves all the same are found as ever while they are young, within some 7,000
    objects made and not freed again. Those that end later stay until the next full collection: Python asks
    for one when some 7 million such objects have been made, ``housekeeping`` after ``FULL_EVERY`` at the
    latest; only a process that ends soon may do without. Cycles that the call itself froze stay for good.
    """
    gc.collect()
    gc.freeze()
    young, middle, _ = gc.get_threshold()
    gc.set_threshold(young, middle, FULL_AFTER)
    if housekeeping is not None:
        housekeeping.every(FULL_EVERY, gc.collect)
