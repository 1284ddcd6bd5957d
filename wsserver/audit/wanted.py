"""Which records somebody asks for."""

from datetime import UTC, datetime
from typing import NamedTuple

from wsserver.audit.record import AuditRecord
from wsserver.clock import utc_text


class Wanted(NamedTuple):
    """What a record must be; None does not matter. Both times count, and are spelt as records spell them."""

    patient_id: str | None = None
    user_id: str | None = None
    action: str | None = None
    since: str | None = None
    until: str | None = None

    def takes(self, record: AuditRecord) -> bool:
        """Whether a record is one of them."""
        return (
            (self.patient_id is None or record.patient_id == self.patient_id)
            and (self.user_id is None or record.actor == self.user_id)
            and (self.action is None or record.action == self.action)
            and (self.since is None or record.at >= self.since)
            and (self.until is None or record.at <= self.until)
        )


def parse_time(text: str) -> str:
    """A time as records spell it, from RFC 3339 with an offset or Z, or from a date and UTC.

    Raises ValueError for anything else.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    try:
        return utc_text(moment.timestamp())
    except (OverflowError, OSError):
        raise ValueError("a time from the year 1 to 9999") from None
