"""A clock that a test moves by hand, for what waits on an event loop."""

import asyncio
import heapq
import itertools


async def settle() -> None:
    """Let everything happen that does not wait for time."""
    for _ in range(40):
        await asyncio.sleep(0)


class HandClock:
    """``wsserver.client.clock.Clock``: time passes in ``advance`` and at no other moment."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.waits: list[float] = []
        """All that anybody wanted to sleep, in seconds."""
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        sleeper = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now + seconds, next(self._numbers), sleeper))
        await sleeper

    async def advance(self, seconds: float) -> None:
        """Let time pass, and everything happen that is due meanwhile, each thing at its moment."""
        await settle()
        until = self.now + seconds
        while self._sleepers and self._sleepers[0][0] <= until + 1e-9:
            due, _, sleeper = heapq.heappop(self._sleepers)
            if sleeper.cancelled():
                continue
            self.now = max(self.now, due)
            sleeper.set_result(None)
            await settle()
        self.now = until
        await settle()

    def stand_still(self, seconds: float) -> None:
        """Time passes, and nobody notices: the machine sleeps."""
        self.now += seconds
