"""What has been received and waits for its consumer: bounded, so that the socket is not read instead."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Iterator
from typing import Final

from wsserver.client.cursor import Position
from wsserver.client.errors import ConnectionLost
from wsserver.client.message import Gap, Message

STRETCH: Final = 4
"""How many times the bounds may be passed while an answer is awaited.

An answer comes behind the messages. A consumer that subscribes while it handles one would otherwise
wait for what cannot be read before it goes on.
"""

Item = Message | Gap | Position


class Drained(ConnectionLost):
    """The client was disconnected, and everything that it had received has been taken."""

    def __init__(self) -> None:
        super().__init__("the client was disconnected")


class Inbox:
    """A queue between the reader of the socket and one consumer."""

    def __init__(self, max_messages: int, max_bytes: int) -> None:
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._items: deque[tuple[Item, int]] = deque()
        self._bytes = 0
        self._stretches = 0
        self._end: Exception | None = None
        self._is_over = False
        self._filled = asyncio.Event()
        self._room = asyncio.Event()

    def __len__(self) -> int:
        return len(self._items)

    @property
    def bytes(self) -> int:
        """The size of what waits, as received."""
        return self._bytes

    def put(self, item: Item | None, size: int = 0) -> None:
        """Add an item, if it is one; positions that follow each other become one."""
        if item is None:
            return
        if isinstance(item, Position) and self._items:
            last = self._items[-1][0]
            if isinstance(last, Position) and last.era == item.era:
                for log, seq in item.places.items():
                    last.places[log] = max(seq, last.places.get(log, 0))
                return
        self._items.append((item, size))
        self._bytes += size
        self._filled.set()

    async def get(self) -> Item:
        """The next item. When all are taken: raises what it was ended with, else Drained."""
        while not self._items:
            if self._is_over:
                if self._end is not None:
                    raise self._end
                raise Drained
            self._filled.clear()
            await self._filled.wait()
        item, size = self._items.popleft()
        self._bytes -= size
        self._room.set()
        return item

    def end(self, error: Exception | None) -> None:
        """Nothing more will come."""
        self._is_over = True
        self._end = error
        self._filled.set()

    def reopen(self) -> None:
        """More will come again."""
        self._is_over = False
        self._end = None

    @property
    def is_full(self) -> bool:
        """Whether nothing more should be read now."""
        factor = STRETCH if self._stretches else 1
        return len(self._items) >= self._max_messages * factor or self._bytes >= self._max_bytes * factor

    async def room(self) -> None:
        """Return when more may be read."""
        while self.is_full:
            self._room.clear()
            await self._room.wait()

    @contextlib.contextmanager
    def stretched(self) -> Iterator[None]:
        """Let it take more than its bounds meanwhile."""
        self._stretches += 1
        self._room.set()
        try:
            yield
        finally:
            self._stretches -= 1
