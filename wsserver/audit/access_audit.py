"""Where everything that has to be accounted for is noted."""

import asyncio
import logging
from collections import deque
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Final

from wsserver.audit.audit_file import AuditFile
from wsserver.audit.audit_writer import AuditWriter
from wsserver.audit.record import AuditRecord, Outcome
from wsserver.clock import Clock, utc_text
from wsserver.errors import INTERNAL_ERROR, ServerError
from wsserver.observe.alerts import AlertBook
from wsserver.settings import AuditSettings

logger = logging.getLogger("wsserver.audit")

KEPT: Final = 1000
"""Records kept in memory, the newest."""

MAX_RECORD: Final = 16 * 1024
"""Bytes of one record."""

SERVER: Final = "server"
"""The actor of what the server itself does."""

HEAD_EVERY: Final = 3600.0
"""Seconds between two lines in the log that say where the chain stands."""

CLOSING: Final = 5.0
"""Seconds that a disk has at the end to take what waits."""


class AccessAudit:
    """The access audit of one server. To note something never waits for the disk.

    Without ``audit.path``, and before ``open``, it keeps the newest records in memory only.
    """

    def __init__(self, settings: AuditSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._recent: deque[AuditRecord] = deque(maxlen=KEPT)
        self._writer: AuditWriter | None = None
        self._seq = 0
        self._lost_until_told = 0
        self._head_at = clock.monotonic()
        self.recorded = 0
        """Records since the start."""
        self.lost = 0
        """Records that could not be kept since the start, as too many waited for the disk."""

    def configure(self, settings: AuditSettings) -> None:
        """Take new settings; another file needs a restart."""
        self._settings = settings
        if self._writer is not None:
            self._writer.file.settings = settings

    # -- life

    async def open(self) -> None:
        """Open the file that the settings name, if they do. Raises CannotOpenAudit."""
        if self._settings.path is not None and self._writer is None:
            file = AuditFile(Path(self._settings.path), self._settings, self._clock)
            await asyncio.to_thread(file.open)
            self._seq = file.seq
            self._recent.clear()
            self._writer = AuditWriter(file, self._clock)
            self._writer.start()
            self._say_head()
        self.note("server_start", actor=SERVER)
        self._note_findings()

    async def close(self) -> None:
        """Write what waits and let go of the file."""
        self.note("server_stop", actor=SERVER)
        writer = self._writer
        if writer is None:
            return
        self._tell_lost()
        if not await asyncio.to_thread(writer.close, CLOSING):
            self.lost += writer.pending
            logger.error("%d records of the audit could not be written at the end", writer.pending)
        self._say_head()
        self._writer = None

    # -- noting

    def note(
        self,
        action: str,
        *,
        actor: str,
        role: str | None = None,
        connection_id: str | None = None,
        patient_id: str | None = None,
        topic: str | None = None,
        right: str | None = None,
        outcome: Outcome = "allowed",
        code: int | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        """Something has happened now that somebody may have to account for.

        ``details`` are a few short values ready for JSON: no payload, no filter's values, no token.
        Raises TypeError for details that JSON cannot say, ValueError for more than a few.
        """
        writer = self._writer
        if writer is not None and writer.pending >= self._settings.max_pending:
            self.lost += 1
            self._lost_until_told += 1
            return
        if self._lost_until_told:
            self._tell_lost()
        record = AuditRecord(
            seq=self._seq + 1,
            at=utc_text(self._clock.time()),
            action=action,
            actor=actor,
            role=role,
            connection_id=connection_id,
            patient_id=patient_id,
            topic=topic,
            right=right,
            outcome=outcome,
            code=code,
            details=details,
        )
        text = record.encode()
        if len(text) > MAX_RECORD:
            raise ValueError(f"a record of the audit has at most {MAX_RECORD} bytes")
        self._seq += 1
        self.recorded += 1
        self._recent.append(record)
        if writer is not None:
            writer.put(text)

    def _tell_lost(self) -> None:
        """Note how many records are missing here, in their place."""
        count, self._lost_until_told = self._lost_until_told, 0
        if count:
            self.note("records_lost", actor=SERVER, details={"count": count})

    # -- whether it can be relied on

    @property
    def fault(self) -> str | None:
        """Why records cannot be written at the moment; None while they can, or need not be."""
        writer = self._writer
        if writer is None:
            return None
        if writer.fault is not None:
            return writer.fault
        return "behind" if writer.pending >= self._settings.max_pending else None

    def check(self) -> None:
        """Raise ServerError 1015 while nobody may be given access, as it could not be accounted for."""
        if self._settings.required and self.fault is not None:
            raise ServerError(
                INTERNAL_ERROR,
                "Access cannot be accounted for at the moment.",
                details={"reason": "audit_unavailable"},
                retry_after_ms=5_000,
            )

    def tick(self, alerts: AlertBook) -> None:
        """See to the alert, to what has to be told late, and to the hourly line in the log."""
        fault = self.fault
        alerts.switch("audit", fault is not None, None if fault is None else {"reason": fault})
        if self._writer is None:
            return
        if self._lost_until_told and fault is None:
            self._tell_lost()
        self._note_findings()
        if self._clock.monotonic() - self._head_at >= HEAD_EVERY:
            self._say_head()

    def _note_findings(self) -> None:
        findings = self._writer.file.findings if self._writer is not None else []
        while findings:
            action, details = findings.pop(0)
            self.note(action, actor=SERVER, details=details)

    def _say_head(self) -> None:
        """A hash in a log that is kept elsewhere shows later that nothing before it was rewritten."""
        self._head_at = self._clock.monotonic()
        if self._writer is not None:
            file = self._writer.file
            logger.info("the audit %s stands at record %d, hash %s", file.log, file.seq, file.digest)

    # -- looking

    @property
    def path(self) -> Path | None:
        """The file in use; None while records are only in memory."""
        return None if self._writer is None else self._writer.file.path

    @property
    def kept(self) -> int:
        """How many records are in memory."""
        return len(self._recent)

    def latest(self, limit: int = 100, *, action: str | None = None) -> list[AuditRecord]:
        """At most ``limit`` of the records kept in memory, the newest first; only of one action if given."""
        wanted = (one for one in reversed(self._recent) if action is None or one.action == action)
        return list(islice(wanted, max(limit, 0)))

    @property
    def head(self) -> dict[str, Any] | None:
        """The name of the log, the last record written and its hash; None while there is no file."""
        if self._writer is None:
            return None
        file = self._writer.file
        return {"log": file.log, "seq": file.seq, "hash": file.digest}

    def get_metrics(self) -> dict[str, Any]:
        """Figures of now and since the start."""
        writer = self._writer
        return {
            "kind": "memory" if writer is None else "file",
            "recorded": self.recorded,
            "written": 0 if writer is None else writer.written,
            "pending": 0 if writer is None else writer.pending,
            "lost": self.lost,
            "fault": self.fault,
        }
