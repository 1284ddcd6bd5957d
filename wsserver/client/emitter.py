"""Listeners, and what becomes of those that fail."""

import inspect
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from wsserver.client.errors import InvalidOption

Listener = Callable[[Any], object]


class Emitter:
    """Calls listeners in the order in which they came. One that raises is reported, and stops no other."""

    def __init__(self, names: Iterable[str], on_fault: Callable[[str, Exception], object]) -> None:
        self._listeners: dict[str, list[Listener]] = {name: [] for name in names}
        self._on_fault = on_fault

    def on(self, event: str, listener: Listener) -> Callable[[], None]:
        """Add a listener; returns what takes it away. Raises InvalidOption for an event that there is not."""
        self._of(event).append(listener)

        def off() -> None:
            self.off(event, listener)

        return off

    def once(self, event: str, listener: Listener) -> Callable[[], None]:
        """The same for one time."""

        def first(payload: Any) -> object:
            off()
            return listener(payload)

        off = self.on(event, first)
        return off

    def off(self, event: str, listener: Listener) -> None:
        """Take a listener away, if it is there."""
        listeners = self._of(event)
        if listener in listeners:
            listeners.remove(listener)

    def listens(self, event: str) -> bool:
        """Whether anybody does."""
        return bool(self._of(event))

    def emit(self, event: str, payload: Any) -> list[Awaitable[None]]:
        """Call the listeners; returns what is left of those that are coroutines. Never raises."""
        left: list[Awaitable[None]] = []
        for listener in list(self._of(event)):
            try:
                result = listener(payload)
            except Exception as fault:
                self._on_fault(event, fault)
            else:
                if inspect.isawaitable(result):
                    left.append(self._finish(event, result))
        return left

    async def _finish(self, event: str, result: Awaitable[object]) -> None:
        try:
            await result
        except Exception as fault:
            self._on_fault(event, fault)

    def _of(self, event: str) -> list[Listener]:
        listeners = self._listeners.get(event)
        if listeners is None:
            raise InvalidOption("event", f"must be one of {', '.join(self._listeners)}")
        return listeners
