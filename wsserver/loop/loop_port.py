"""The hub's way to the event loop, there before any loop runs."""

import asyncio
from collections.abc import Callable
from typing import Any


class LoopPort:
    """Passes calls on to the bound loop, else to the one that is running.

    Without either they wait for ``bind``: a connection manager can be filled before the
    loop starts, and its messages leave once it does.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: list[Callable[[], Any]] = []

    def bind(self, loop: asyncio.AbstractEventLoop | None) -> None:
        """Use this loop from now on; None goes back to the running one."""
        self._loop = loop
        if loop is not None:
            waiting, self._waiting = self._waiting, []
            for callback in waiting:
                loop.call_soon(callback)

    def _current(self) -> asyncio.AbstractEventLoop | None:
        if self._loop is not None and not self._loop.is_closed():
            return self._loop
        try:
            return asyncio.get_running_loop()
        except RuntimeError:
            return None

    def call_soon(self, callback: Callable[[], Any]) -> None:
        """Run the callback in the loop's next turn."""
        loop = self._current()
        if loop is None:
            self._waiting.append(callback)
        else:
            loop.call_soon(callback)

    def call_later(self, delay: float, callback: Callable[[], Any]) -> None:
        """Run the callback after ``delay`` seconds."""
        loop = self._current()
        if loop is None:
            self._waiting.append(callback)
        else:
            loop.call_later(delay, callback)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Report a fault that nobody else can handle."""
        loop = self._current()
        if loop is None:
            raise context["exception"]
        loop.call_exception_handler(context)
