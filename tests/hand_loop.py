"""An event loop that turns when a test says so: no thread, no socket, no time."""

from collections import deque
from collections.abc import Callable
from typing import Any


class HandLoop:
    """As much of asyncio's loop as the hub, the inbox and the housekeeping ask for."""

    def __init__(self) -> None:
        self.ready: deque[tuple[Callable[..., Any], tuple[Any, ...]]] = deque()
        self.later: list[tuple[float, Callable[..., Any]]] = []
        self.faults: list[dict[str, Any]] = []
        self.closed = False

    def call_soon(self, callback: Callable[..., Any], *args: Any) -> None:
        self.ready.append((callback, args))

    call_soon_threadsafe = call_soon

    def call_later(self, delay: float, callback: Callable[..., Any]) -> "HandLoop":
        self.later.append((delay, callback))
        return self

    def cancel(self) -> None:
        self.later.clear()

    def is_closed(self) -> bool:
        return self.closed

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.faults.append(context)

    def turn(self) -> int:
        """One turn: what is ready now, and not what that makes ready."""
        due, self.ready = self.ready, deque()
        for callback, args in due:
            callback(*args)
        return len(due)

    def run(self) -> None:
        """Turn until nothing is left to do; a loop that never comes to rest is a fault."""
        for _ in range(10_000):
            if not self.turn():
                return
        raise AssertionError("the loop does not come to rest")
