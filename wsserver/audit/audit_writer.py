"""The one thread that waits for the disk of the audit."""

import errno
import logging
import time
from collections import deque
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Final

from wsserver.audit.audit_file import AuditFile
from wsserver.clock import Clock
from wsserver.incidents import report_incident

logger = logging.getLogger("wsserver.audit")

MOST_TOGETHER: Final = 1_000
"""Records in one write."""

GATHER: Final = 0.02
"""Seconds from the first record of a group to its write, so that the loop is not interrupted for each."""

SYNC_EVERY: Final = 1.0
"""Seconds within which written records are synced where that is wanted once a second."""

RETRY_FIRST: Final = 0.1
"""Seconds after a fault until it is tried again; twice as long each time."""

RETRY_MOST: Final = 5.0

_REASONS: Final = {errno.ENOSPC: "disk_full", errno.EDQUOT: "disk_full", errno.EROFS: "read_only"}


class AuditWriter:
    """Takes records from the loop's thread and appends them. While the disk fails they wait.

    ``put`` neither waits nor takes a lock that the writer holds while it works.
    """

    def __init__(self, file: AuditFile, clock: Clock) -> None:
        self.file = file
        self.fault: str | None = None
        """Why nothing can be written at the moment, or None."""
        self.written = 0
        """Records written since the start."""
        self._clock = clock
        self._waiting: deque[bytes] = deque()
        self._group: list[bytes] = []
        self._bell: SimpleQueue[None] = SimpleQueue()
        self._asleep = False
        self._closed = False
        self._delay = RETRY_FIRST
        self._due = 0.0
        self._synced_at = clock.monotonic()
        self._thread = Thread(target=self._run, name="wsserver-audit", daemon=True)

    @property
    def pending(self) -> int:
        """Records that have not been written yet."""
        return len(self._waiting) + len(self._group)

    def put(self, text: bytes) -> None:
        """Hand over the next record. How many may wait is for the caller to say."""
        self._waiting.append(text)
        if self._asleep:
            self._asleep = False
            self._bell.put(None)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self, timeout: float) -> bool:
        """Write what waits and end; False if that is not done after so many seconds."""
        self._closed = True
        self._bell.put(None)
        self._thread.join(timeout)
        return not self._thread.is_alive() and not self.pending

    def _run(self) -> None:
        try:
            while not self._closed:
                self._sleep()
                self.turn()
            self._due = 0.0
            while self.pending and self.turn():
                pass
            self.file.sync()
        except OSError as fault:
            self._begin_fault(fault)
        finally:
            self.file.close()

    def _sleep(self) -> None:
        self._asleep = True
        if not self._waiting and not self._closed:
            try:
                self._bell.get(timeout=self._patience())
                # More may come in the same turn of the loop.
                time.sleep(GATHER)
            except Empty:
                pass
        self._asleep = False

    def _patience(self) -> float | None:
        """Seconds until there is something to do besides writing what comes."""
        now = self._clock.monotonic()
        if self._group or self.fault is not None:
            return max(0.01, self._due - now)
        return max(0.01, self._synced_at + SYNC_EVERY - now) if self.file.needs_sync else None

    def turn(self) -> bool:
        """Write the next group, if any, and sync if it is time; False if something went wrong."""
        now = self._clock.monotonic()
        if self.fault is not None and now < self._due:
            time.sleep(min(GATHER, self._due - now))
            return False
        try:
            self._gather()
            if self._group or self.fault is not None:
                self.file.append(self._group)
                self.written += len(self._group)
                self._group = []
            if now - self._synced_at >= SYNC_EVERY and self.file.needs_sync:
                self.file.sync()
                self._synced_at = now
        except Exception as fault:
            self._begin_fault(fault)
            return False
        if self.fault is not None:
            logger.warning("the audit can be written to again")
            self.fault, self._delay = None, RETRY_FIRST
        return True

    def _gather(self) -> None:
        # A group goes into one file: small files want small groups.
        room = self.file.settings.max_bytes // 4 - sum(map(len, self._group))
        while self._waiting and len(self._group) < MOST_TOGETHER and room > 0:
            text = self._waiting.popleft()
            room -= len(text)
            self._group.append(text)

    def _begin_fault(self, fault: Exception) -> None:
        if not isinstance(fault, OSError):
            report_incident("writing the audit")
        self._due = self._clock.monotonic() + self._delay
        self._delay = min(2 * self._delay, RETRY_MOST)
        reason = _REASONS.get(getattr(fault, "errno", None) or 0, "io_error")
        if reason != self.fault:
            logger.warning("the audit cannot be written to (%s)", reason)
        self.fault = reason
