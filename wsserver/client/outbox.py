"""Messages that wait for a connection."""

import math
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Literal

from wsserver.client.errors import OutboxFull
from wsserver.client.reconnection_config import ReconnectionConfig

Fate = Literal["sent", "queued", "dropped"]


class Outbox:
    """A bounded queue of commands, sent in order when there is a connection."""

    def __init__(self, config: ReconnectionConfig, monotonic: Callable[[], float]) -> None:
        self._limit = config.max_queue_size
        self._overflow = config.queue_overflow
        self._monotonic = monotonic
        self._waiting: deque[tuple[Mapping[str, Any], float]] = deque()
        self.dropped = 0
        """How many had to go, for want of room or because their time was over."""

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, command: Mapping[str, Any], ttl: float | None = None) -> bool:
        """Queue a command, for so many seconds at the most. Returns whether it was taken.

        Raises OutboxFull if that is how ``queue_overflow`` wants it.
        """
        if len(self._waiting) >= self._limit:
            if self._overflow == "throw":
                raise OutboxFull(f"{self._limit} messages wait already")
            self.dropped += 1
            if self._overflow == "drop-newest":
                return False
            self._waiting.popleft()
        self._waiting.append((command, math.inf if ttl is None else self._monotonic() + ttl))
        return True

    def first(self) -> Mapping[str, Any] | None:
        """The one to be sent next. It stays until ``sent``, so that a cut loses nothing that was not sent."""
        now = self._monotonic()
        while self._waiting and self._waiting[0][1] <= now:
            self._waiting.popleft()
            self.dropped += 1
        return self._waiting[0][0] if self._waiting else None

    def sent(self, command: Mapping[str, Any]) -> None:
        """It has been handed to the socket; unless it was dropped meanwhile it leaves the queue."""
        if self._waiting and self._waiting[0][0] is command:
            self._waiting.popleft()
