"""How messages get to your code: one by one, and the cursor moves when it is done with each."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from wsserver.client.cursor import Cursor, Position
from wsserver.client.emitter import Emitter
from wsserver.client.errors import ClientError
from wsserver.client.inbox import Inbox
from wsserver.client.message import Gap, Message

logger: Final = logging.getLogger("wsserver.client")


class Consumer:
    """Either you ask for the next message, or listeners are called. Both at once would share them out."""

    def __init__(self, inbox: Inbox, cursor: Cursor, emitter: Emitter) -> None:
        self._inbox = inbox
        self._cursor = cursor
        self._emitter = emitter
        self._in_hand: Message | None = None
        self._is_asked = False
        self._has_asked = False
        self._task: asyncio.Task[None] | None = None
        self._is_handling = False

    async def receive(self) -> Message | Gap:
        """The next message, or word of missing ones; with it you are done with the one before.

        Raises Drained after the client was disconnected, else what ended it.
        """
        if self._emitter.listens("message"):
            raise ClientError("messages go to the listeners of 'message' already")
        if self._is_asked:
            raise ClientError("somebody else waits for the next message already")
        self._is_asked = self._has_asked = True
        try:
            return await self._next()
        finally:
            self._is_asked = False

    async def _next(self) -> Message | Gap:
        self._finish()
        while True:
            item = await self._inbox.get()
            if isinstance(item, Position):
                self._cursor.reached(item)
                continue
            if isinstance(item, Message):
                self._in_hand = item
            return item

    def _finish(self) -> None:
        message, self._in_hand = self._in_hand, None
        if message is not None:
            self._cursor.finished(message.meta)

    # -- listeners

    def check_listener(self) -> None:
        """Raise unless listeners may have the messages."""
        if self._has_asked:
            raise ClientError("messages are asked for one by one already")

    def attend(self, spawn: Callable[..., asyncio.Task[None]]) -> None:
        """Call listeners from now on, if there are any."""
        if self._emitter.listens("message") and (self._task is None or self._task.done()):
            self._task = spawn(self._dispatch())

    def heed(self) -> None:
        """A listener has gone: without one, messages wait."""
        if self._task is not None and not self._emitter.listens("message") and not self._is_handling:
            self._task.cancel()

    def stop(self) -> None:
        """Call no listener any more."""
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()

    async def _dispatch(self) -> None:
        while self._emitter.listens("message"):
            try:
                item = await self._next()
            except ClientError:
                # 'disconnected' and 'reconnect_failed' tell it.
                return
            self._is_handling = True
            try:
                for left in self._emitter.emit(self._event_of(item), item):
                    await left
                self._finish()
            finally:
                self._is_handling = False

    def _event_of(self, item: Message | Gap) -> str:
        if isinstance(item, Message):
            return "message"
        if not self._emitter.listens("gap"):
            # Never the topic: it may name a patient.
            logger.warning("messages are missing (%s), and nobody listens to 'gap'", item.reason)
        return "gap"
