"""Time as a parameter: tests pass a clock that they move by hand."""

import asyncio
import contextlib
import time
from collections.abc import Coroutine
from typing import Any, Protocol, TypeVar

_T = TypeVar("_T")


class Clock(Protocol):
    """Where a client reads the time and waits."""

    def monotonic(self) -> float:
        """Seconds from an arbitrary point; never steps back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after so many seconds."""
        ...


class SystemClock:
    """The machine's clock, and the event loop's timers."""

    monotonic = staticmethod(time.monotonic)
    sleep = staticmethod(asyncio.sleep)


async def within(clock: Clock, seconds: float, work: Coroutine[Any, Any, _T]) -> _T:
    """The result of ``work``; raises TimeoutError, and ends it, when it takes longer than this."""
    task = asyncio.ensure_future(work)
    timer = asyncio.ensure_future(clock.sleep(seconds))
    try:
        await asyncio.wait({task, timer}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise TimeoutError
        return task.result()
    finally:
        timer.cancel()
        if not task.done():
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task
        elif not task.cancelled():
            # Whoever is cancelled in the moment in which the work fails does not look at it any more.
            task.exception()
