"""How far a client has come, log by log."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from wsserver.client.message import Gap, Meta


@dataclass(slots=True)
class Position:
    """Everything due up to here has been handled once what was received before it has."""

    era: int
    places: dict[str, int] = field(default_factory=dict)


class Cursor:
    """For each log the highest ``seq`` that has been handled, and what was received and is not handled yet.

    The server is shown ``handled``: what only waits here would be gone with this process. So it replays
    what waits as well, and that is recognised by its id, because a log that was restored from an old
    copy gives its numbers out a second time.
    """

    def __init__(self) -> None:
        self.handled: dict[str, int] = {}
        self._pending: dict[tuple[str, int], str] = {}
        self._era = 0

    def arrived(self, meta: Meta) -> bool:
        """Whether a message is new; it is pending then until ``finished``."""
        place = (meta.log, meta.seq)
        if meta.seq <= self.handled.get(meta.log, 0) or self._pending.get(place) == meta.id:
            return False
        self._pending[place] = meta.id
        return True

    def finished(self, meta: Meta) -> None:
        """A message has been handled."""
        place = (meta.log, meta.seq)
        if self._pending.get(place) != meta.id:
            # Its log is gone, or has lost its tail since.
            return
        del self._pending[place]
        self._move(meta.log, meta.seq)

    def position(self, places: Mapping[str, int]) -> Position | None:
        """Take what the server says of how far this connection has come.

        What is left of it, for logs of which messages are pending, is to be kept in its place behind these.
        """
        pending = {log for log, _ in self._pending}
        later = {}
        for log, seq in places.items():
            if log in pending:
                later[log] = seq
            else:
                self._move(log, seq)
        return Position(self._era, later) if later else None

    def reached(self, position: Position) -> None:
        """Everything received before this position has been handled."""
        if position.era == self._era:
            for log, seq in position.places.items():
                self._move(log, seq)

    def _move(self, log: str, seq: int) -> None:
        self.handled[log] = max(seq, self.handled.get(log, 0))

    def begin(self, places: Mapping[str, int], shown: Mapping[str, int] | None) -> Position | None:
        """A connection begins at these places; ``shown`` is what the server was told, if it was.

        Logs that are not among the places are gone. Where a place is before what was shown, the log has
        lost its tail: what is handled or pending beyond it is of a past that the server has no more.
        """
        self._era += 1
        if shown is None:
            shown = dict(self.handled)
        for log in list(self.handled):
            if log not in places:
                del self.handled[log]
        lost = {log: seq for log, seq in places.items() if seq < shown.get(log, 0)}
        self._pending = {
            (log, seq): message_id
            for (log, seq), message_id in self._pending.items()
            if log in places and seq <= lost.get(log, seq)
        }
        self.handled.update(lost)
        return self.position(places)

    def without_what_is_here(self, gap: Gap) -> Gap | None:
        """A gap that was counted from the cursor, less what is pending; None if nothing is left.

        For gaps of ``connected``. Everything due up to the last pending message was received, or told
        missing by a gap of its own.
        """
        if gap.log is None or gap.first is None or gap.reason not in {"trimmed", "restart", "limit"}:
            return gap
        received = max((seq for log, seq in self._pending if log == gap.log), default=0)
        if received < gap.first:
            return gap
        if gap.last is not None and gap.last <= received:
            return None
        return Gap(gap.reason, gap.log, gap.topic, received + 1, gap.last)

    def missed(self, places: Mapping[str, int]) -> list[Gap]:
        """What a client may have missed that begins at these places and gets no replay."""
        gaps = []
        for log, seq in self.handled.items():
            if log not in places:
                gaps.append(Gap("restart", log, first=seq + 1))
            elif places[log] > seq:
                gaps.append(Gap("limit", log, first=seq + 1, last=places[log]))
            elif places[log] < seq:
                gaps.append(Gap("ahead", log, first=places[log] + 1, last=seq))
        return gaps
