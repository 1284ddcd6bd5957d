"""The store in a SQLite file, as the loop sees it."""

import asyncio
import contextlib
import logging
import time
from asyncio import Future
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from wsserver.clock import Clock
from wsserver.incidents import report_incident
from wsserver.protocol.report import Durability
from wsserver.settings import StoreSettings
from wsserver.store.sqlite_file import SqliteFile
from wsserver.store.store import KeyRecord, MessageRecord, Recovered, SessionRecord, StoreUnavailable
from wsserver.store.store_batch import Pending
from wsserver.store.store_inbox import StoreInbox
from wsserver.store.store_writer import Reports, StoreWriter

logger = logging.getLogger("wsserver.store")

TURN: Final = 0.004
"""Seconds that telling of stored messages may take of one turn of the loop; each is a broadcast."""

CLOSE_PATIENCE: Final = 10.0
"""Seconds that the disk has at the end; a server that goes down must not hang with it."""


class SqliteStore(Reports):
    """Durable messages, sessions and keys in one file, written by one thread in groups.

    All methods but those of ``Reports`` belong to the loop's thread.
    """

    durability: Durability = "fsync"

    def __init__(self, path: Path, settings: StoreSettings, clock: Clock, *, vfs: str | None = None) -> None:
        """``vfs`` is the way to the disk, by SQLite's name for it; None is the usual one."""
        self._file = SqliteFile(path, settings, vfs=vfs)
        self._settings = settings
        self._clock = clock
        self._inbox = StoreInbox()
        self._writer = StoreWriter(self._file, self._inbox, self, clock)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended: Future[None] | None = None
        # In the order in which they were appended, which is the order in which they are told of.
        self._pending: deque[Pending] = deque()
        self._pending_bytes = 0
        self._outcomes: deque[tuple[int, int, str | None]] = deque()
        self._flushes: deque[tuple[int, Future[None]]] = deque()
        self._telling = False
        self._closed = True
        self._appended = 0
        self._stored = 0
        self._failed = 0
        self._fault: str | None = None
        self.on_change: Callable[[str | None], object] | None = None

    @property
    def fault(self) -> str | None:
        """Why durable messages are refused at the moment, or None."""
        return self._fault

    def configure(self, settings: StoreSettings) -> None:
        """Take new limits; the file stays the same."""
        self._settings = self._file.settings = settings

    # -- life

    async def open(self, *, max_bytes: int, max_age: float) -> Recovered:
        """Open the file in another thread, as checking it reads all of it, and begin to write."""
        recovered = await asyncio.to_thread(
            self._file.open, self._clock.time(), max_bytes=max_bytes, max_age=max_age
        )
        self._loop = asyncio.get_running_loop()
        self._ended = self._loop.create_future()
        self._closed = False
        self._writer.start()
        return recovered

    async def flush(self) -> None:
        """Wait until everybody who has appended so far has been told; ten seconds at the most."""
        if not self._pending:
            return
        last, told = self._appended, asyncio.get_running_loop().create_future()
        self._flushes.append((last, told))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(told, CLOSE_PATIENCE)

    async def close(self) -> None:
        """Write what waits, tell of it, and close the file. Gives a disk that hangs ten seconds."""
        if self._closed or self._ended is None:
            return
        self._closed = True
        self._inbox.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(self._ended), CLOSE_PATIENCE)
        if not self._ended.done():
            logger.error("the store does not answer: what waits for it may be lost")
            untold = sum(count for _, count, _ in self._outcomes)
            self._outcomes.append((0, len(self._pending) - untold, "io_error"))
            self._loop = None
        while self._outcomes:
            self._tell()
            await asyncio.sleep(0)

    # -- taking in

    def append(
        self,
        message: MessageRecord,
        stored: Callable[[int], object],
        failed: Callable[[StoreUnavailable], object],
        *,
        key: KeyRecord | None = None,
    ) -> None:
        """Hand a message to the writer; see Store."""
        self._check()
        if (
            len(self._pending) >= self._settings.max_pending
            or self._pending_bytes + message.cost > self._settings.max_pending_bytes
        ):
            raise StoreUnavailable("busy")
        pending = Pending(message, stored, failed, key)
        self._pending.append(pending)
        self._pending_bytes += message.cost
        self._appended += 1
        self._inbox.put_message(pending)

    def _check(self) -> None:
        if self._closed:
            raise StoreUnavailable("closed")
        if self._fault is not None:
            raise StoreUnavailable(self._fault)

    def put_session(self, session: SessionRecord) -> None:
        """Keep a session; while the disk fails it waits."""
        self._inbox.put_session(session.key, session)

    def drop_session(self, key: bytes) -> None:
        """Forget a session."""
        self._inbox.put_session(key, None)

    def put_key(self, key: KeyRecord) -> None:
        """Keep a key; while the disk fails it waits, unless too many do."""
        self._inbox.put_key(key, self._settings.max_pending)

    async def find_key(self, key: bytes) -> KeyRecord | None:
        """What was done under a key; see Store."""
        self._check()
        answer: Future[KeyRecord | None] = asyncio.get_running_loop().create_future()
        self._inbox.put_lookup(key, answer)
        return await answer

    def sweep(self) -> None:
        """Let go of what is too old, when nobody publishes."""
        if not self._closed and self._fault is None:
            self._inbox.put_sweep()

    # -- what the writer tells, on its thread

    def stored(self, before: int, count: int) -> None:
        """The next messages are durable."""
        self._pass_on(self._take, before, count, None)

    def failed(self, count: int, reason: str) -> None:
        """The next messages are not stored."""
        self._pass_on(self._take, 0, count, reason)

    def changed(self, fault: str | None) -> None:
        """A fault has begun or is over."""
        self._pass_on(self._change, fault)

    def found(self, answer: "Future[KeyRecord | None]", key: KeyRecord | StoreUnavailable | None) -> None:
        """A question is answered."""
        self._pass_on(_answer, answer, key)

    def ended(self) -> None:
        """The thread is about to end."""
        self._pass_on(self._end)

    def _pass_on(self, call: Callable[..., object], *arguments: Any) -> None:
        # A loop that has ended takes nothing any more, and nobody there waits.
        with contextlib.suppress(RuntimeError):
            if self._loop is not None:
                self._loop.call_soon_threadsafe(call, *arguments)

    # -- the same on the loop's thread

    def _take(self, before: int, count: int, reason: str | None) -> None:
        if self._loop is None:
            return
        self._outcomes.append((before, count, reason))
        if not self._telling:
            self._tell()

    def _tell(self) -> None:
        """Tell whom it concerns, for one turn's time; the rest in the next."""
        self._telling = False
        until = time.perf_counter() + TURN
        while self._outcomes:
            before, count, reason = self._outcomes.popleft()
            for number in range(1, count + 1):
                self._tell_next(before + number, reason)
                if time.perf_counter() >= until and (number < count or self._outcomes):
                    if number < count:
                        self._outcomes.appendleft((before + number, count - number, reason))
                    self._telling = True
                    if self._loop is not None:
                        self._loop.call_soon(self._tell)
                    return

    def _tell_next(self, seq: int, reason: str | None) -> None:
        pending = self._pending.popleft()
        self._pending_bytes -= pending.message.cost
        try:
            if reason is None:
                self._stored += 1
                pending.stored(seq)
            else:
                self._failed += 1
                pending.failed(StoreUnavailable(reason))
        except Exception:
            # The others behind it are stored as well.
            report_incident("telling of a stored message")
        while self._flushes and self._flushes[0][0] <= self._stored + self._failed:
            told = self._flushes.popleft()[1]
            if not told.done():
                told.set_result(None)

    def _change(self, fault: str | None) -> None:
        self._fault = fault
        if self.on_change is not None:
            self.on_change(fault)

    def _end(self) -> None:
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(None)

    # -- figures

    def get_metrics(self) -> dict[str, Any]:
        """Figures of this store since it was opened; see Store."""
        return {
            "kind": "sqlite",
            "fault": self._fault,
            "stored": self._stored,
            "failed": self._failed,
            "pending": len(self._pending),
            "pending_bytes": self._pending_bytes,
            "commits": self._writer.commits,
            "messages": self._file.messages,
            "file_bytes": self._file.size,
        }


def _answer(answer: "Future[KeyRecord | None]", key: KeyRecord | StoreUnavailable | None) -> None:
    if answer.done():
        return
    if isinstance(key, StoreUnavailable):
        answer.set_exception(key)
    else:
        answer.set_result(key)
