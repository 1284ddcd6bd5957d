"""What is remembered of a connection that has ended, so that its client can go on where it was."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from wsserver.connections.connection_metadata import Lineage
from wsserver.protocol.control import Gap
from wsserver.protocol.topic import Topic
from wsserver.sessions.owed_gaps import Owed
from wsserver.store.log import Logs, Position
from wsserver_core.filters import Program

_OVERHEAD: Final = 1_000
_PER_SUBSCRIPTION: Final = 300
_PER_LOSS: Final = 400


_LOOKED_FOR: Final = ("slow", "conflated", "expired", "trimmed")


class Resumed:
    """How a connection took up a session."""

    __slots__ = ("cursor", "former", "gaps", "start", "was_told")

    def __init__(self, former: bytes, cursor: Position, start: Position) -> None:
        self.former: bytes | None = former
        """Digest of the id that was shown; None once the client has used the connection."""
        self.cursor = cursor
        """Where the client said that it was."""
        self.start = start
        """Where that put it: beyond it nothing is missing."""
        self.was_told = False
        """Whether ``connected`` has been sent: what the client said before that proves nothing."""
        self.gaps: list[Gap] = []
        """What it was told in ``connected`` and may not have heard."""


class Held(NamedTuple):
    """One subscription of a connection that has ended."""

    topic: Topic
    program: Program


class Beginning(NamedTuple):
    """Where a client goes on, and what it has missed for good."""

    cursor: Position
    """Where it is by its own word, as far as the logs can tell."""
    start: Position
    """Up to where it lacks nothing that is not among the gaps."""
    gaps: list[Gap]


class Session:
    """One client between two connections. No repr: it would name a user and patients."""

    __slots__ = (
        "cost", "cursor", "direct", "expires_at", "former", "heads", "key", "lineage", "logs", "owed",
        "sent", "start", "subscriptions", "token_id", "unheard", "user_id",
    )  # fmt: skip

    def __init__(
        self,
        *,
        key: bytes,
        former: bytes | None,
        user_id: str,
        token_id: str | None,
        lineage: Lineage | None,
        subscriptions: list[Held],
        logs: tuple[str, ...],
        cursor: Position,
        start: Position,
        sent: Position,
        heads: Position,
        direct: Position,
        owed: list[Owed],
        unheard: list[Gap],
        expires_at: float,
    ) -> None:
        self.key = key
        """Digest of its id."""
        self.former = former
        """Digest of the id before, while it is not certain that the client knows the new one."""
        self.user_id = user_id
        self.token_id = token_id
        self.lineage = lineage
        self.subscriptions = subscriptions
        self.logs = logs
        """Names of the logs that the positions are of."""
        self.cursor = cursor
        """Where the client was when the connection began."""
        self.start = start
        """Up to where it lacked nothing then."""
        self.sent = sent
        """The last of each log that was queued for it."""
        self.heads = heads
        """How far the logs had got when the connection ended: beyond ``sent`` there was nothing for it."""
        self.direct = direct
        """The last of each log that was sent to this client alone: no history has these."""
        self.owed = owed
        """Losses that it may not have heard of."""
        self.unheard = unheard
        """What was told in a ``connected`` that the client may not have got."""
        self.expires_at = expires_at
        """Monotonic seconds."""
        filters = sum(len(one.program.canonical) for one in subscriptions if not one.program.matches_all)
        losses = len(owed) + len(unheard)
        self.cost = _OVERHEAD + _PER_SUBSCRIPTION * len(subscriptions) + filters + _PER_LOSS * losses
        """Bytes that it counts as."""

    def begin(self, shown: bytes, cursor: Mapping[str, int], logs: Logs) -> Beginning:
        """Where the client goes on that shows the id with this digest, and this cursor."""
        known = dict(zip(self.logs, range(len(self.logs)), strict=True))
        gaps = [
            Gap(log=name, from_=seq + 1, reason="restart")
            for name, seq in self._last_known(cursor).items()
            if name not in {log.name for log in logs}
        ]
        stated, start = [], []
        for log in logs:
            said = cursor.get(log.name)
            place = known.get(log.name)
            if said is None:
                said = 0 if place is None else self.cursor[place]
            if said > log.head:
                gaps.append(Gap(log=log.name, from_=log.head + 1, to=said, reason="ahead"))
                said = log.head
            stated.append(said)
            start.append(said if place is None else max(said, self._complete_to(place, said)))
        beginning = Beginning((stated[0], stated[1]), (start[0], start[1]), gaps)
        gaps += self._unheard(shown, beginning, logs)
        return beginning

    def _last_known(self, cursor: Mapping[str, int]) -> dict[str, int]:
        return {**dict(zip(self.logs, self.cursor, strict=True)), **cursor}

    def _complete_to(self, place: int, said: int) -> int:
        """Up to where a client lacks nothing that has handled everything up to its cursor."""
        if said >= self.sent[place]:
            return self.heads[place]
        if said >= self.cursor[place]:
            return self.start[place]
        return said

    def _unheard(self, shown: bytes, beginning: Beginning, logs: Logs) -> list[Gap]:
        start = {log.name: seq for log, seq in zip(logs, beginning.start, strict=True)}
        cursor = {log.name: seq for log, seq in zip(logs, beginning.cursor, strict=True)}
        candidates = [one.gap for one in self.owed if not one.was_heard(beginning.cursor)]
        if shown == self.former:
            candidates += self.unheard
        found = [gap for gap in candidates if not _is_looked_for_again(gap, start)]
        for name, last in zip(self.logs, self.direct, strict=True):
            if last > cursor.get(name, last):
                found.append(Gap(log=name, from_=cursor[name] + 1, to=last, reason="limit"))
        return list(dict.fromkeys(found))


def _is_looked_for_again(gap: Gap, start: Mapping[str, int]) -> bool:
    """Whether a loss lies beyond the start: there it is made up for by the replay, or told as trimmed."""
    return gap.reason in _LOOKED_FOR and gap.from_ is not None and gap.from_ > start.get(gap.log, gap.from_)


def lost_beyond(cursor: Mapping[str, int], logs: Logs) -> list[Gap]:
    """What a client may have missed that shows a cursor and no session that is known."""
    gaps = []
    heads = {log.name: log.head for log in logs}
    for name, seq in cursor.items():
        head = heads.get(name)
        if head is None:
            gaps.append(Gap(log=name, from_=seq + 1, reason="restart"))
        elif seq > head:
            gaps.append(Gap(log=name, from_=head + 1, to=seq, reason="ahead"))
        elif seq < head:
            gaps.append(Gap(log=name, from_=seq + 1, to=head, reason="limit"))
    return gaps
