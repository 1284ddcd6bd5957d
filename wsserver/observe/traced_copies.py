"""What became of each copy of a traced message, connection by connection."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from wsserver.observe.delivery_records import DeliveryRecords
from wsserver_core.addressees import Addressees
from wsserver_core.fates import Fates
from wsserver_core.hub import Hub

MAX_LISTED: Final = 100
"""Connections of a message that are told of one by one; of the others there are counts."""

ROW_COST: Final = 300
"""Bytes that one of them takes."""

_REFUSALS: Final = {1: "refused_slow", 4: "refused_catching_up"}


class Owner(Protocol):
    """As much as is asked of a connection."""

    connection_id: str

    @property
    def user_id(self) -> str:
        """Whose it is."""
        ...


@dataclass(frozen=True, slots=True, repr=False)
class Row:
    """What became of a message at one connection, in the words of ``wsserver explain``."""

    connection_id: str | None
    """None for one that ended before anybody asked."""
    user_id: str | None
    outcome: str
    us: int | None = None
    """When it was written: microseconds since the message was received."""
    ahead: int | None = None
    """Frames that wait before it, while it waits."""
    into: str | None = None
    """The id of the newer message that took its place."""
    clauses: tuple[str, ...] = ()
    """Where its filter was false."""

    def as_dict(self, mask: Callable[[str], str] | None = None) -> dict[str, Any]:
        """The row for JSON; ``mask`` hides ids of users."""
        told: dict[str, Any] = {
            "connection_id": self.connection_id,
            "user_id": self.user_id if mask is None or self.user_id is None else mask(self.user_id),
            "outcome": self.outcome,
        }
        if self.us is not None:
            told["us"] = self.us
        if self.ahead is not None:
            told["ahead"] = self.ahead
        if self.into is not None:
            told["into"] = self.into
        if self.clauses:
            told["clauses"] = list(self.clauses)
        return told


class Copies:
    """The copies of one message that was queued: who they were for and what became of them.

    It holds counts and handles and none of what the message says.
    """

    def __init__(
        self,
        hub: Hub,
        records: DeliveryRecords,
        owner: Callable[[int], Owner | None],
        addressees: Addressees,
        fates: Fates,
        *,
        message_id: str,
        log: str,
        seq: int,
        started: float,
        delivered: int,
        bystanders: Iterable[Row] = (),
    ) -> None:
        """``started`` is when it was received, by the hub's stopwatch."""
        self._hub = hub
        self._records = records
        self._owner = owner
        self._addressees = addressees
        self.fates = fates
        self._message_id = message_id
        self._log = log
        self._seq = seq
        self._started = started
        self._delivered = delivered
        self.bystanders = tuple(bystanders)
        """Those who were subscribed and did not match."""
        self._listed: dict[int, int] = dict(addressees.refused(MAX_LISTED))
        for handle in addressees.first(MAX_LISTED):
            if len(self._listed) >= MAX_LISTED:
                break
            self._listed.setdefault(handle, 0)
        self._people: dict[int, tuple[str | None, str | None]] = {}
        self.meet()

    @property
    def cost(self) -> int:
        """Bytes that it takes, about."""
        rows = 2 * MAX_LISTED if self._delivered > MAX_LISTED else len(self._listed)
        # Two lists of fates, with 32 bytes for each entry.
        return self._addressees.size + 64 * self.fates.room + ROW_COST * (rows + len(self.bystanders))

    @property
    def is_settled(self) -> bool:
        """Whether every copy that a queue took has been written or dropped."""
        return self.fates.writes + self.fates.losses >= self._delivered

    def meet(self) -> None:
        """Find out who they are, as long as they are there."""
        for handle in self._told():
            if handle not in self._people:
                owner = self._owner(handle)
                if owner is not None:
                    self._people[handle] = owner.connection_id, owner.user_id

    def _told(self) -> list[int]:
        """Whom to tell of: those who lack it, those it was for, those who had it from the history."""
        lost = (handle for handle, *_ in self.fates.lost())
        again = self.fates.replays
        replayed = () if again is None else (handle for handle, _ in again.written())
        lost_again = () if again is None else (handle for handle, *_ in again.lost())
        return list(dict.fromkeys([*lost, *lost_again, *replayed, *self._listed]))

    def stage(self) -> dict[str, Any]:
        """The figures of ``written``: how many copies, and when the first and the latest was."""
        fates, again = self.fates, self.fates.replays
        dropped: dict[str, int] = {}
        for _, reason, *_ in fates.lost():
            dropped[reason] = dropped.get(reason, 0) + 1
        if fates.losses > fates.room:
            dropped["others"] = fates.losses - fates.room
        told = {
            "written": fates.writes,
            "queued": max(self._delivered - fates.writes - fates.losses, 0),
            "dropped": dropped,
            "replayed": 0 if again is None else again.writes,
        }
        if fates.writes:
            told["first_us"] = self._us(fates.first_write)
            told["us"] = self._us(fates.last_write)
        return told

    def rows(self, limit: int = MAX_LISTED) -> tuple[list[Row], int]:
        """What became of it at the connections, those that lack it first, and how many are not told of."""
        self.meet()
        fates, again, record = self.fates, self.fates.replays, self._records.get(self._message_id)
        written = dict(fates.written())
        lost = {handle: (reason, into) for handle, reason, into, _ in fates.lost()}
        if again is not None:
            lost |= {handle: (reason, into) for handle, reason, into, _ in again.lost()}
        replayed = {} if again is None else dict(again.written())
        rows = []
        for handle in self._told():
            connection_id, user_id = self._people.get(handle, (None, None))
            refused = self._listed.get(handle, 0)
            us = ahead = into = None
            if handle in replayed:
                outcome, us = "replayed", self._us(replayed[handle])
            elif handle in lost:
                outcome, seq = lost[handle]
                newer = self._records.at(self._log, seq) if seq else None
                into = None if newer is None else newer.report.message_id
            elif refused:
                outcome = _REFUSALS.get(refused, "refused_closing")
            elif handle in written:
                outcome, us = "written", self._us(written[handle])
            elif (place := self._hub.find(handle, self._log, self._seq)) is not None:
                outcome, ahead = "queued", place[0]
            else:
                outcome = "written" if fates.losses <= fates.room else "uncertain"
            if record is not None and record.has_acknowledged(handle):
                outcome = "acknowledged"
            rows.append(Row(connection_id, user_id, outcome, us, ahead, into))
        rows.sort(key=lambda row: row.outcome in ("written", "acknowledged", "replayed"))
        late = 0 if again is None else again.writes
        known = len(self._addressees) + late
        told = [*rows, *self.bystanders][:limit]
        return told, max(known + len(self.bystanders) - len(told), 0)

    def _us(self, moment: float) -> int:
        return round((moment - self._started) * 1_000_000)
