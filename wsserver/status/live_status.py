"""What is kept and told of a running server for those who operate it, put together."""

import asyncio

from wsserver.service import Service
from wsserver.status.feed import Feed
from wsserver.status.overview import OverviewDesk
from wsserver.status.series import Series
from wsserver.status.viewers import Viewers


class LiveStatus:
    """The figures over time of one service, its viewers, and what they are told.

    ``start`` after the service, ``stop`` before it.
    """

    def __init__(self, service: Service) -> None:
        self.series = Series(service)
        self.viewers = Viewers(service)
        self._overview = OverviewDesk(service, self.series, self.viewers)
        self.feed = Feed(service, self._overview, self.viewers)
        self._running = False
        service.housekeeping.every(0, self.tick)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin on the loop that serves."""
        self.series.begin()
        self.viewers.start(loop)
        self._running = True

    def tick(self) -> None:
        """What is due: the viewers' own housekeeping, and each second the rest."""
        if not self._running:
            return
        self.viewers.tick()
        if self.series.tick():
            self.viewers.look_after()
            self._overview.look()
            self.feed.tick()

    async def stop(self) -> None:
        """Let the viewers go."""
        self._running = False
        await self.viewers.stop()
