"""Which losses clients have been told of lately, for whoever asks whether somebody knows of one."""

from collections import deque
from dataclasses import dataclass
from typing import Any, Final

from wsserver.clock import Clock, utc_text
from wsserver.protocol.control import Gap
from wsserver.protocol.report import DeliveryReport

KEPT: Final = 10_000
"""Gaps that are remembered, about 3 MB."""


@dataclass(frozen=True, slots=True, repr=False)
class GapRecord:
    """A gap, and when one connection was told of it. No repr: it would name a patient."""

    handle: int
    gap: Gap
    at: float
    """Seconds since 1970 UTC."""

    def covers(self, report: DeliveryReport) -> bool:
        """Whether it tells of the loss of this message."""
        gap = self.gap
        return (
            gap.log == report.log
            and gap.topic in (None, report.topic)
            and (gap.from_ is None or gap.from_ <= report.seq)
            and (gap.to is None or report.seq <= gap.to)
        )

    def as_dict(self) -> dict[str, Any]:
        """The gap for JSON."""
        gap = self.gap
        return {
            "told_at": utc_text(self.at),
            "reason": gap.reason,
            "from": gap.from_,
            "to": gap.to,
            "count": gap.count,
        }


class GapRecords:
    """The gaps that were sent last."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._told: deque[GapRecord] = deque(maxlen=KEPT)

    def __len__(self) -> int:
        return len(self._told)

    def note(self, handle: int, gap: Gap) -> None:
        """A connection is being told of a loss."""
        self._told.append(GapRecord(handle, gap, self._clock.time()))

    def find(self, handle: int, report: DeliveryReport) -> GapRecord | None:
        """The latest gap that told this connection of the loss of this message."""
        # The handle first: of thousands of gaps most are of other connections.
        mine = (told for told in reversed(self._told) if told.handle == handle)
        return next((told for told in mine if told.covers(report)), None)
