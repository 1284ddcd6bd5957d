"""The one thread that waits for the disk."""

import logging
from asyncio import Future
from threading import Thread
from typing import Final, Protocol

import apsw

from wsserver.clock import Clock
from wsserver.incidents import report_incident
from wsserver.store.sqlite_file import FileFault, SqliteFile, reason_of
from wsserver.store.store import KeyRecord, StoreUnavailable
from wsserver.store.store_batch import Batch
from wsserver.store.store_inbox import StoreInbox

logger = logging.getLogger("wsserver.store")

RETRY_FIRST: Final = 0.1
"""Seconds after a fault until the file is tried again; twice as long each time."""

RETRY_MOST: Final = 5.0

REOPEN_EVERY: Final = 4
"""Tries of which the last opens the file anew: a disk that was taken away has left dead descriptors."""


class Reports(Protocol):
    """What the writer tells; called on its thread."""

    def stored(self, before: int, count: int) -> None:
        """The next ``count`` messages are durable; their places begin after ``before``."""
        ...

    def failed(self, count: int, reason: str) -> None:
        """The next ``count`` messages are not stored."""
        ...

    def changed(self, fault: str | None) -> None:
        """A fault has begun, or is over."""
        ...

    def found(self, answer: "Future[KeyRecord | None]", key: KeyRecord | StoreUnavailable | None) -> None:
        """What a question was answered with."""
        ...

    def ended(self) -> None:
        """Nothing more will be told."""
        ...


class StoreWriter:
    """Writes batches until the inbox is closed and empty, and gets over faults of the disk.

    While the disk fails, messages fail at once: who publishes must know, and nothing piles up.
    Sessions and keys wait, as only the latest of each is kept.
    """

    def __init__(self, file: SqliteFile, inbox: StoreInbox, reports: Reports, clock: Clock) -> None:
        self._file = file
        self._inbox = inbox
        self._reports = reports
        self._clock = clock
        self._thread = Thread(target=self._run, name="wsserver-store", daemon=True)
        self._delay = RETRY_FIRST
        self._due = 0.0
        self._tries = 0
        self.fault: str | None = None
        """Why nothing can be written at the moment, or None."""
        self.commits = 0
        """Transactions since the start."""

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def _run(self) -> None:
        try:
            while not self._inbox.is_closed:
                self.turn()
            while self.fault is None and (batch := self._inbox.take()):
                self.write(batch)
            if self.fault is not None:
                # The last chance for sessions and keys.
                self.try_again()
            self._file.close()
        except Exception:
            # Without its writer the store would take messages that nobody writes.
            report_incident("writing the store")
            self._begin_fault("io_error")
        finally:
            self._inbox.close()
            while batch := self._inbox.take():
                self._fail(batch, self.fault or "closed")
            self._reports.ended()

    def turn(self) -> None:
        """Wait for something to do and do it."""
        if self.fault is None:
            batch = self._inbox.collect(self._file.settings.commit_interval)
            if batch:
                self.write(batch)
            return
        self._inbox.wait(max(0.0, self._due - self._clock.monotonic()))
        self._fail(self._inbox.take_waited_for(), self.fault)
        if self._clock.monotonic() >= self._due:
            self.try_again()

    def write(self, batch: Batch) -> None:
        """Write a batch, tell what became of it, then see to the write-ahead log."""
        try:
            before = self._file.commit(batch, self._clock.time()) if batch.writes else 0
        except Exception as fault:
            self._give_up(fault)
            self._fail(batch, self.fault or "io_error")
            self._inbox.put_back(batch)
            return
        if batch.writes:
            self.commits += 1
        if batch.messages:
            self._reports.stored(before, len(batch.messages))
        try:
            while batch.lookups:
                found = self._file.find_key(batch.lookups[0][0], self._clock.time())
                self._reports.found(batch.lookups.pop(0)[1], found)
            self._file.checkpoint()
        except Exception as fault:
            # The messages are durable, and told so; what comes next would not be.
            batch.messages.clear()
            self._give_up(fault)
            self._fail(batch, self.fault or "io_error")

    def try_again(self) -> None:
        """Open the file anew and write what has waited; the fault is over if that works."""
        batch = Batch()
        self._tries += 1
        try:
            if not self._file.is_usable or self.fault == "damaged" or self._tries % REOPEN_EVERY == 0:
                self._file.reopen(thorough=self.fault == "damaged")
            batch = self._inbox.take_unwaited_for()
            batch.probe = True
            self._file.commit(batch, self._clock.time())
            self._file.checkpoint()
        except Exception as fault:
            self._inbox.put_back(batch)
            self._give_up(fault)
            return
        self.commits += 1
        self._delay, self._tries = RETRY_FIRST, 0
        logger.warning("the store can be written to again")
        self.fault = None
        self._reports.changed(None)

    def _give_up(self, fault: Exception) -> None:
        if not isinstance(fault, apsw.Error | FileFault | OSError):
            report_incident("writing the store")
        reason = reason_of(fault)
        # SQLite's text is about the file, never about what is in it.
        logger.warning("the store cannot be written to (%s): %s", reason, fault)
        self._due = self._clock.monotonic() + self._delay
        self._delay = min(2 * self._delay, RETRY_MOST)
        self._begin_fault(reason)

    def _begin_fault(self, reason: str) -> None:
        if reason != self.fault:
            self.fault = reason
            self._reports.changed(reason)

    def _fail(self, batch: Batch, reason: str) -> None:
        if batch.messages:
            self._reports.failed(len(batch.messages), reason)
        for _, answer in batch.lookups:
            self._reports.found(answer, StoreUnavailable(reason))
