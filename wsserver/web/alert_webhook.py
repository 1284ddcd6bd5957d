"""Posting alerts to where people are called from: an incident service, a chat, a pager."""

import asyncio
import logging
import random
import socket
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final

import aiohttp
import msgspec

from wsserver.observe.alerts import AlertChange
from wsserver.settings import AlertsSettings

logger = logging.getLogger("wsserver.alerts")

ATTEMPTS: Final = 8
"""Attempts for one change; with the pauses between them it takes about two minutes to give up."""

FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 60.0

FLUSH: Final = 2.0
"""Seconds that the end of the server waits for what is still to be posted."""

_RETRIED: Final = frozenset({408, 425, 429})
"""Refusals that mean "later" although they are the client's fault by their number."""


class AlertWebhook:
    """Posts changes one after the other, in order, and never makes anybody wait.

    What cannot be posted is tried again with growing pauses. The queue is bounded: beyond it
    the oldest are given up, because the newest say how things are. Neither the address nor
    anything it answers is logged.
    """

    def __init__(
        self,
        settings: Callable[[], AlertsSettings],
        *,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """``settings()`` is asked anew each time; ``sleep`` and ``chance`` are for tests."""
        self._settings = settings
        self._sleep = sleep
        self._chance = chance
        self._queue: deque[AlertChange] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._worker: asyncio.Task[None] | None = None
        self._session: aiohttp.ClientSession | None = None
        self._host = socket.gethostname()
        self.delivered = 0
        """Changes that were taken."""
        self.retries = 0
        """Attempts beyond the first."""
        self.dropped = 0
        """Changes given up: refused, not taken after all attempts, or pushed out of the queue."""

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to post on this loop, what has been put before included."""
        self._loop = loop
        self._wake()

    def put(self, change: AlertChange) -> None:
        """Have a change posted. Returns at once."""
        settings = self._settings()
        if settings.webhook_url is None:
            return
        self._queue.append(change)
        while len(self._queue) > settings.webhook_queue:
            self._queue.popleft()
            self.dropped += 1
        self._wake()

    def figures(self) -> dict[str, Any]:
        """Counts since the start, and what waits."""
        return {
            "configured": self._settings().webhook_url is not None,
            "delivered": self.delivered,
            "waiting": len(self._queue),
            "retries": self.retries,
            "dropped": self.dropped,
        }

    async def close(self) -> None:
        """Post what can be posted in two seconds and end."""
        self._loop = None
        worker, self._worker = self._worker, None
        if worker is not None:
            await asyncio.wait({worker}, timeout=FLUSH)
            if worker.cancel():
                # One more: the change whose posting is cut short.
                self.dropped += 1
            await asyncio.wait({worker})
        if self._queue:
            logger.warning("%d alerts could not be posted before the end", len(self._queue))
            self.dropped += len(self._queue)
            self._queue.clear()
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _wake(self) -> None:
        if self._loop is not None and self._queue and (self._worker is None or self._worker.done()):
            self._worker = self._loop.create_task(self._work(), name="alert webhook")

    async def _work(self) -> None:
        while self._queue:
            await self._deliver(self._queue.popleft())

    async def _deliver(self, change: AlertChange) -> None:
        body = msgspec.json.encode({"source": "wsserver", "host": self._host, **change.as_dict()})
        for attempt in range(ATTEMPTS):
            if attempt:
                self.retries += 1
                await self._sleep(self._pause(attempt))
            settings = self._settings()
            if settings.webhook_url is None:
                break
            problem, final = await self._post(settings.webhook_url, body, settings.webhook_timeout)
            if problem is None:
                self.delivered += 1
                return
            logger.warning("an alert could not be posted (attempt %d): %s", attempt + 1, problem)
            if final:
                break
        self.dropped += 1

    def _pause(self, attempt: int) -> float:
        # Half of it by chance: the alerts of many servers must not come back all at once.
        pause = min(FIRST_PAUSE * 2.0 ** (attempt - 1), LONGEST_PAUSE)
        return pause * (0.5 + self._chance() / 2)

    async def _post(self, url: str, body: bytes, timeout: float) -> tuple[str | None, bool]:
        """What went wrong, if anything, and whether trying again is of no use."""
        try:
            if self._session is None:
                self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
            async with self._session.post(
                url,
                data=body,
                headers={"Content-Type": "application/json"},
                timeout=aiohttp.ClientTimeout(total=timeout),
                # A redirect would carry it to an address that nobody has checked.
                allow_redirects=False,
            ) as answer:
                status = answer.status
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as fault:
            # Its class only: the text of some holds the address, which may be a secret.
            return type(fault).__name__, False
        if 200 <= status < 300:
            return None, False
        return f"HTTP {status}", status < 500 and status not in _RETRIED
