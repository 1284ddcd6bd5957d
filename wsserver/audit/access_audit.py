"""Where everything that has to be accounted for is noted."""

from collections import deque
from collections.abc import Mapping
from itertools import islice
from typing import Any, Final

from wsserver.audit.record import AuditRecord, Outcome
from wsserver.clock import Clock, utc_text

KEPT: Final = 1000
"""Records kept in memory, the newest."""


class AccessAudit:
    """The access audit of one server. To note something never waits and never raises for its subject."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._recent: deque[AuditRecord] = deque(maxlen=KEPT)
        self.recorded = 0
        """Records since the start."""

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
        Raises TypeError for details that JSON cannot say.
        """
        self.recorded += 1
        record = AuditRecord(
            seq=self.recorded,
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
        record.encode()
        self._recent.append(record)

    def latest(self, limit: int = 100, *, action: str | None = None) -> list[AuditRecord]:
        """At most ``limit`` of the records kept in memory, the newest first; only of one action if given."""
        wanted = (one for one in reversed(self._recent) if action is None or one.action == action)
        return list(islice(wanted, max(limit, 0)))
