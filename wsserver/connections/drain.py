"""Sending every client away, each in its own time."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Any, Final

from wsserver.connection_manager import DRAIN, ConnectionManager
from wsserver.connections.connection_metadata import ConnectionMetadata
from wsserver.connections.return_schedule import LINGER, STEP, ReturnSchedule
from wsserver.errors import CloseCode
from wsserver.protocol.control import SystemShutdown
from wsserver.settings import ShutdownSettings

logger = logging.getLogger("wsserver.drain")

NOTICES_PER_TURN: Final = 500
"""Clients told before the loop has its turn again, some 3 ms."""

TEXT: Final = "The server is shutting down. Come back in {:.1f} seconds."

Sleep = Callable[[float], Awaitable[object]]


class DrainState(StrEnum):
    """How far a drain has come."""

    WAITING = "waiting"
    """Not ready any more; load balancers have time to notice."""
    TELLING = "telling"
    CLOSING = "closing"
    LINGERING = "lingering"
    """All are closed; some have not read what waited for them, or have not answered."""
    DRAINED = "drained"
    CANCELLED = "cancelled"


class Drain:
    """One drain of a manager's connections, from the first notice to the last answer.

    Call ``run`` once. It ends as soon as nobody is left, at the latest when the plan's time is
    over; what is still open then is the caller's to abort. Nobody comes in meanwhile, nor
    afterwards, until that is taken back (the cause `DRAIN` of ``set_accept_connections``).
    """

    def __init__(
        self, manager: ConnectionManager, plan: ShutdownSettings, *, sleep: Sleep = asyncio.sleep
    ) -> None:
        self.plan = plan
        self.state = DrainState.WAITING
        self.total = 0
        """Connections that were told."""
        self.closed = 0
        """Those of them whose turn to be closed has come."""
        self._manager = manager
        self._clock = manager.clock
        self._sleep = sleep
        self._began = self._clock.monotonic()
        self._ends = self._began + plan.timeout

    @property
    def is_over(self) -> bool:
        """Whether it has ended, one way or the other."""
        return self.state in (DrainState.DRAINED, DrainState.CANCELLED)

    def progress(self) -> dict[str, Any]:
        """How far it is, for an operator."""
        left = 0.0 if self.is_over else max(0.0, self._ends - self._clock.monotonic())
        return {
            "state": self.state.value,
            "total": self.total,
            "closed": self.closed,
            "open": self._manager.hub.open_count,
            "seconds_left": round(left, 1),
        }

    async def run(self) -> int:
        """Send everybody away; returns how many there were."""
        manager = self._manager
        manager.set_accept_connections(False, cause=DRAIN)
        try:
            await self._until(min(self._ends, self._began + self.plan.notice))
            waiting = list(manager.connections.values())
            self.total = len(waiting)
            logger.info("draining: %d connections, at most %g s", self.total, self.plan.timeout)
            schedule = self._schedule()
            await self._tell(waiting, schedule)
            await self._close(waiting, schedule)
            await self._linger()
        except asyncio.CancelledError:
            self.state = DrainState.CANCELLED
            raise
        self.state = DrainState.DRAINED
        logger.info("drained: %d of %d are still open", manager.hub.open_count, self.total)
        return self.total

    def _schedule(self) -> ReturnSchedule:
        left = self._ends - self._clock.monotonic()
        return ReturnSchedule(
            self.total,
            rate=self.plan.return_rate,
            # Whoever is closed last needs time to answer, too.
            window=max(left - LINGER, left / 2),
            restart_time=self.plan.restart_time,
        )

    async def _tell(self, waiting: list[ConnectionMetadata], schedule: ReturnSchedule) -> None:
        self.state = DrainState.TELLING
        for place, metadata in enumerate(waiting):
            away = schedule.away_ms(place)
            notice = SystemShutdown(message=TEXT.format(away / 1000), reconnect_after_ms=away)
            metadata.say(notice)
            if place % NOTICES_PER_TURN == NOTICES_PER_TURN - 1:
                await self._sleep(0)

    async def _close(self, waiting: list[ConnectionMetadata], schedule: ReturnSchedule) -> None:
        self.state = DrainState.CLOSING
        began = self._clock.monotonic()
        if self.plan.restart_time is not None:
            # Everybody waits for this server's end, so nobody may put it off by being slow.
            self._ends = min(self._ends, began + schedule.closing_time + LINGER)
        while self._manager.connections:
            portion = schedule.portion if self._clock.monotonic() < self._ends else self.total
            for metadata in waiting[self.closed : self.closed + portion]:
                if self._manager.connections.get(metadata.connection_id) is metadata:
                    self._manager.disconnect(metadata.connection_id, "server_shutdown", code=CloseCode.DRAIN)
            self.closed = min(self.total, self.closed + portion)
            if self.closed == self.total:
                return
            # Each comes back so long after its own close, so what a stall of the loop has put off is
            # made up for at one and a half times the pace, not at once.
            due = began + schedule.closes_after(self.closed)
            await self._sleep(max(due - self._clock.monotonic(), schedule.step / 1.5))
        self.closed = self.total

    async def _linger(self) -> None:
        self.state = DrainState.LINGERING
        await self._until(self._ends)

    async def _until(self, moment: float) -> None:
        """Wait, unless nobody is there."""
        while self._manager.hub.open_count and (left := moment - self._clock.monotonic()) > 0:
            await self._sleep(min(STEP, left))
