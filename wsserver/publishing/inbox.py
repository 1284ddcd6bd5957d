"""The bounded inbox through which other threads publish."""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from threading import Lock
from typing import Final

from wsserver.errors import BACKPRESSURE, ServerError
from wsserver.protocol.report import DeliveryReport

Publish = Callable[[], DeliveryReport]

SLICE: Final = 100
"""Messages published in one turn of the loop: a thread that floods must not hold up the heartbeats."""


class Inbox:
    """Calls handed over to the loop's thread, in order, at most ``capacity`` of them waiting."""

    def __init__(self, capacity: int = 10_000, *, is_behind: Callable[[], bool] = lambda: False) -> None:
        """While ``is_behind()`` nothing is taken out: the server sends first what it has."""
        self._capacity = capacity
        self._is_behind = is_behind
        self._waiting: deque[tuple[Publish, Future[DeliveryReport]]] = deque()
        self._lock = Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def bind(self, loop: asyncio.AbstractEventLoop) -> None:
        """Say which loop does the work; what waits is done in its next turn."""
        with self._lock:
            self._loop = loop
            if self._waiting:
                loop.call_soon_threadsafe(self._drain)

    def unbind(self) -> None:
        """The loop ends: nothing more is taken, and what waits is refused."""
        with self._lock:
            self._loop = None
            refused, self._waiting = self._waiting, deque()
        for _, future in refused:
            if future.set_running_or_notify_cancel():
                future.set_exception(ServerError(BACKPRESSURE, "The server has stopped."))

    def put(self, publish: Publish) -> Future[DeliveryReport]:
        """Have ``publish`` called on the loop's thread. May be called from any thread.

        Raises ServerError 1005 when the inbox is full or no server runs. The future gives
        the report or raises what the publish raised.
        """
        future: Future[DeliveryReport] = Future()
        with self._lock:
            if self._loop is None or self._loop.is_closed():
                raise ServerError(BACKPRESSURE, "No server is running.")
            if len(self._waiting) >= self._capacity:
                raise ServerError(BACKPRESSURE, retry_after_ms=1_000)
            first = not self._waiting
            self._waiting.append((publish, future))
            if first:
                self._loop.call_soon_threadsafe(self._drain)
        return future

    def _drain(self) -> None:
        for _ in range(SLICE):
            with self._lock:
                if not self._waiting or self._is_behind():
                    break
                publish, future = self._waiting.popleft()
            if not future.set_running_or_notify_cancel():
                continue
            try:
                report = publish()
            except Exception as fault:
                future.set_exception(fault)
            else:
                report.when_done(partial(_settle, future))
        with self._lock:
            if self._waiting and self._loop is not None:
                self._loop.call_soon(self._drain)


def _settle(future: Future[DeliveryReport], report: DeliveryReport) -> None:
    """Give the report to whoever waits in another thread: when it has been stored, if it is to be."""
    if report.fault is None:
        future.set_result(report)
    else:
        future.set_exception(report.fault)
