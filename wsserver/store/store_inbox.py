"""What the loop has for the writer's thread, and how that thread waits for it."""

import time
from asyncio import Future
from threading import Condition
from typing import Final

from wsserver.store.store import KeyRecord, SessionRecord
from wsserver.store.store_batch import Batch, Pending

MOST_TOGETHER: Final = 1_000
"""Messages in one transaction."""


class StoreInbox:
    """Filled by the loop's thread, emptied by the writer's. How much may wait is for the one who fills it.

    The writer is woken by the first of a batch and by the last there is room for, not by each in
    between: every wake-up takes the interpreter from the loop.
    """

    def __init__(self) -> None:
        self._condition = Condition()
        self._batch = Batch()
        self._closed = False
        self._awake = True

    def put_message(self, pending: Pending) -> None:
        """Add a message."""
        with self._condition:
            self._batch.messages.append(pending)
            self._wake(len(self._batch.messages) == MOST_TOGETHER)

    def put_session(self, key: bytes, session: SessionRecord | None) -> None:
        """Add a session, None to drop it, instead of what was there for it."""
        with self._condition:
            self._batch.sessions[key] = session
            self._wake()

    def put_key(self, key: KeyRecord, most: int) -> None:
        """Add a key, of which at most that many wait; the oldest goes then."""
        with self._condition:
            keys = self._batch.keys
            keys[key.key] = key
            if len(keys) > most:
                del keys[next(iter(keys))]
            self._wake()

    def put_lookup(self, key: bytes, answer: "Future[KeyRecord | None]") -> None:
        """Ask for a key."""
        with self._condition:
            self._batch.lookups.append((key, answer))
            # A question is no reason to commit early, but somebody waits for the answer.
            self._wake(True)

    def put_sweep(self) -> None:
        """Ask for what is too old to be let go."""
        with self._condition:
            self._batch.sweep = True
            self._wake()

    def close(self) -> None:
        """Nothing more comes; who waits is woken."""
        with self._condition:
            self._closed = True
            self._condition.notify()

    def _wake(self, now: bool = False) -> None:
        if now or not self._awake:
            self._awake = True
            self._condition.notify()

    # -- for the writer

    @property
    def is_closed(self) -> bool:
        """Whether nothing more comes."""
        return self._closed

    def collect(self, interval: float) -> Batch:
        """Wait for something, then ``interval`` seconds for more; empty only when it is closed."""
        with self._condition:
            while not self._batch and not self._closed:
                self._awake = False
                self._condition.wait()
            deadline = time.monotonic() + interval
            while not self._closed and not self._is_full():
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                self._condition.wait(left)
            return self.take()

    def wait(self, seconds: float) -> None:
        """Wait that long, less if something comes or it is closed."""
        with self._condition:
            if not self._batch.messages and not self._batch.lookups and not self._closed:
                self._awake = False
                self._condition.wait(seconds)

    def take(self) -> Batch:
        """What is there now, of messages no more than go into one transaction."""
        with self._condition:
            batch = self._batch
            self._batch = Batch(messages=batch.messages[MOST_TOGETHER:])
            del batch.messages[MOST_TOGETHER:]
            return batch

    def take_waited_for(self) -> Batch:
        """What somebody waits for: messages and questions. The rest stays."""
        with self._condition:
            batch = Batch(messages=self._batch.messages, lookups=self._batch.lookups)
            self._batch.messages, self._batch.lookups = [], []
            return batch

    def take_unwaited_for(self) -> Batch:
        """Sessions and keys. The rest stays."""
        with self._condition:
            batch = Batch(sessions=self._batch.sessions, keys=self._batch.keys, sweep=self._batch.sweep)
            self._batch.sessions, self._batch.keys, self._batch.sweep = {}, {}, False
            return batch

    def put_back(self, batch: Batch) -> None:
        """Sessions and keys that could not be written, unless newer ones have come."""
        with self._condition:
            self._batch.sessions = batch.sessions | self._batch.sessions
            self._batch.keys = batch.keys | self._batch.keys

    def _is_full(self) -> bool:
        return len(self._batch.messages) >= MOST_TOGETHER or bool(self._batch.lookups)
