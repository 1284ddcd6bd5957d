"""Sessions: a client that comes back goes on where it was.

A session is known by a secret, of which only the digest is kept. While its connection is open the
session is that connection; afterwards it waits for ``session.ttl`` seconds. Each connection gets a
secret of its own. The one before stays good until the client has shown that it got the new one,
so that a cut in between loses nothing.
"""

import secrets
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any, Final, Protocol

from wsserver.clock import Clock
from wsserver.connections.connection_limits import ConnectionLimits
from wsserver.connections.connection_metadata import ConnectionMetadata
from wsserver.errors import CloseCode
from wsserver.protocol.control import Gap, GapReason
from wsserver.protocol.report import DeliveryReport
from wsserver.protocol.topic import Topic
from wsserver.sessions.catch_up import CatchUp
from wsserver.sessions.owed_gaps import NO_PROOF, Owed, OwedGaps
from wsserver.sessions.session import Beginning, Held, Resumed, Session
from wsserver.settings import SessionSettings
from wsserver.store.log import Logs, Position
from wsserver_core.hub import Hub
from wsserver_core.topics import TopicIndex

ID_BYTES: Final = 32

_FINAL: Final = range(4500, 4600)


class Archive(Protocol):
    """Where sessions are written so that they outlive this process."""

    def note_change(self, metadata: ConnectionMetadata) -> None:
        """The session of an open connection, or its subscriptions, are not what they were."""
        ...

    def note_end(self, key: bytes, session: Session | None) -> None:
        """A session waits for its client, or (None) is over."""
        ...


class ReconnectService:
    """The sessions of one server: of open connections, and of those that ended lately."""

    def __init__(
        self,
        hub: Hub,
        index: TopicIndex,
        logs: Logs,
        limits: ConnectionLimits,
        settings: SessionSettings,
        clock: Clock,
    ) -> None:
        """``limits``: of one user no more sessions are kept than it may have connections."""
        self._hub = hub
        self._index = index
        self._logs = logs
        self._limits = limits
        self._clock = clock
        self._live: dict[bytes, ConnectionMetadata] = {}
        # In the order in which they ended.
        self._ended: dict[bytes, Session] = {}
        self._of_user: dict[str, dict[bytes, Session]] = {}
        self._former: dict[bytes, Session] = {}
        self.archive: Archive | None = None
        """Told of every session, where there is one."""
        self.bytes = 0
        """What the sessions without a connection take."""
        self.resumed = 0
        """Sessions that were taken up since the start."""
        self.taken_over = 0
        """Those among them whose old connection was still open."""
        self.unknown = 0
        """Attempts to take up a session that is not there, or not this user's."""
        self.expired = 0
        """Sessions that nobody came back to in time."""
        self.dropped = 0
        """Sessions that went before their time, for want of room."""
        self.configure(settings)

    def configure(self, settings: SessionSettings) -> None:
        """Take new settings; sessions that wait already keep their time."""
        self.ttl = settings.ttl
        self._max_sessions = settings.max_sessions
        self._max_bytes = settings.max_total_bytes
        self._make_room()

    def __len__(self) -> int:
        """Sessions that wait for their clients."""
        return len(self._ended)

    # -- open connections

    def open(self, metadata: ConnectionMetadata) -> str | None:
        """Give a connection a session; returns its secret id, which is kept nowhere.

        None if no sessions are kept.
        """
        if self.ttl == 0:
            return None
        session_id = secrets.token_urlsafe(ID_BYTES)
        metadata.session = digest = _digest(session_id)
        self._live[digest] = metadata
        self.note_change(metadata)
        return session_id

    def note_change(self, metadata: ConnectionMetadata) -> None:
        """The subscriptions of an open connection, or what is known of its session, have changed."""
        if self.archive is not None:
            self.archive.note_change(metadata)

    def heard(self, metadata: ConnectionMetadata) -> None:
        """The client has answered ``connected``: the id that it came back with is good no more."""
        resumed = metadata.resumed
        if isinstance(resumed, Resumed) and resumed.was_told and resumed.former is not None:
            del self._live[resumed.former]
            resumed.former = None
            resumed.gaps.clear()
            self.note_change(metadata)

    def note_told(self, metadata: ConnectionMetadata, gap: Gap, position: Position) -> None:
        """A client is being told of a loss; its cursor may be this position by now, and not beyond."""
        if metadata.session is None:
            return
        if not isinstance(metadata.owed, OwedGaps):
            metadata.owed = OwedGaps()
        metadata.owed.add(Owed(gap, position))
        self.note_change(metadata)

    def note_direct(self, metadata: ConnectionMetadata, report: DeliveryReport) -> None:
        """A message is on its way to this connection alone: no history has it."""
        if metadata.session is not None and report.delivered:
            durable, volatile = metadata.direct or (0, 0)
            is_durable = report.log == self._logs.durable.name
            metadata.direct = (report.seq, volatile) if is_durable else (durable, report.seq)

    # -- ends

    def end(self, metadata: ConnectionMetadata) -> None:
        """A connection ends: remember where it stood. Its slot and its subscriptions must still be there."""
        digest = metadata.session
        if digest is None:
            return
        metadata.session = None
        resumed = metadata.resumed if isinstance(metadata.resumed, Resumed) else None
        former = None if resumed is None else resumed.former
        for one in (digest, former):
            if one is not None:
                self._live.pop(one, None)
        standing = self._hub.standing(metadata.handle)
        code = getattr(metadata.link, "close_code", 0)
        is_final = code == CloseCode.NORMAL or (code in _FINAL and code != CloseCode.SUPERSEDED)
        if self.ttl == 0 or standing is None or is_final:
            self._note_end(digest, None)
            return
        base, sent, refused = ((one[0], one[1]) for one in standing)
        catch_up = metadata.catch_up
        heads = catch_up.position if isinstance(catch_up, CatchUp) else self._logs.heads()
        session = Session(
            key=digest,
            former=former,
            user_id=metadata.user_id,
            token_id=metadata.principal.token_id,
            lineage=metadata.lineage,
            subscriptions=[
                Held(Topic(one.subscription_type, one.target_id), one.program)
                for one in self._index.records(metadata.handle)
            ],
            logs=tuple(log.name for log in self._logs),
            cursor=base,
            start=base if resumed is None else resumed.start,
            sent=sent,
            heads=(_before(heads[0], refused[0]), _before(heads[1], refused[1])),
            direct=metadata.direct or (0, 0),
            owed=[*(metadata.owed if isinstance(metadata.owed, OwedGaps) else ()), *self._untold(metadata)],
            unheard=[] if resumed is None else resumed.gaps,
            expires_at=self._clock.monotonic() + self.ttl,
        )
        self._keep(session)

    def _untold(self, metadata: ConnectionMetadata) -> Iterable[Owed]:
        for log, topic, reason, first, last, count in self._hub.take_losses(metadata.handle):
            gap = Gap(log=log or "", topic=topic, from_=first, to=last, count=count, reason=_reason(reason))
            yield Owed(gap, NO_PROOF)

    def _keep(self, session: Session) -> None:
        self._ended[session.key] = session
        of_user = self._of_user.setdefault(session.user_id, {})
        of_user[session.key] = session
        if session.former is not None:
            self._former[session.former] = session
        self.bytes += session.cost
        self._note_end(session.key, session)
        # Else whoever comes and goes in a loop would make the server forget everybody else.
        while len(of_user) > self._limits.max_per_user:
            self._drop(next(iter(of_user.values())))
        self._make_room()

    def restore(self, session: Session) -> None:
        """Take up a session that an archive has kept."""
        if self.ttl:
            self._keep(session)

    def _note_end(self, key: bytes, session: Session | None) -> None:
        if self.archive is not None:
            self.archive.note_end(key, session)

    def _remove(self, session: Session) -> None:
        del self._ended[session.key]
        of_user = self._of_user[session.user_id]
        del of_user[session.key]
        if not of_user:
            del self._of_user[session.user_id]
        if session.former is not None:
            del self._former[session.former]
        self.bytes -= session.cost
        self._note_end(session.key, None)

    def _make_room(self) -> None:
        while len(self._ended) > self._max_sessions or self.bytes > self._max_bytes:
            self._drop(next(iter(self._ended.values())))

    def _drop(self, session: Session) -> None:
        self._remove(session)
        self.dropped += 1

    def sweep(self) -> int:
        """Forget those whose time is over; returns how many."""
        now = self._clock.monotonic()
        over = 0
        for session in list(self._ended.values()):
            if session.expires_at > now:
                break
            self._remove(session)
            over += 1
        self.expired += over
        return over

    def forget(self, *, user_id: str | None = None, token_id: str | None = None) -> int:
        """Forget what waits for a user, or for the bearer of one token; returns how many."""
        concerned = list(self._of_user.get(user_id, {}).values()) if user_id is not None else []
        if token_id is not None:
            concerned += (
                one for one in self._ended.values() if one.token_id == token_id and one.user_id != user_id
            )
        for session in concerned:
            self._remove(session)
        return len(concerned)

    # -- coming back

    def find(self, session_id: str, user_id: str) -> ConnectionMetadata | Session | None:
        """The session with this id, if it is this user's: an open connection, or one that has ended.

        None says neither why, nor whether there is one. Nothing is changed.
        """
        # A digest tells nothing of the secret, however long it takes to find or not to find it.
        digest = _digest(session_id)
        found = self._live.get(digest) or self._ended.get(digest) or self._former.get(digest)
        if found is None or found.user_id != user_id:
            return None
        if isinstance(found, Session) and found.expires_at <= self._clock.monotonic():
            return None
        return found

    def take_up(
        self, session: Session, session_id: str, cursor: Mapping[str, int], metadata: ConnectionMetadata
    ) -> Beginning:
        """Let a new connection go on with a session that has ended; says where it begins.

        The id that was shown stays good until ``heard``.
        """
        digest = _digest(session_id)
        self._remove(session)
        beginning = session.begin(digest, cursor, self._logs)
        self._live[digest] = metadata
        metadata.resumed = Resumed(digest, beginning.cursor, beginning.start)
        metadata.lineage = session.lineage
        if metadata.lineage is not None:
            metadata.lineage.handle = metadata.handle
        metadata.direct = session.direct
        self.resumed += 1
        return beginning

    def get_metrics(self) -> dict[str, Any]:
        """Figures of now and since the start."""
        return {
            "waiting": len(self._ended),
            "bytes": self.bytes,
            "resumed": self.resumed,
            "taken_over": self.taken_over,
            "unknown": self.unknown,
            "expired": self.expired,
            "dropped": self.dropped,
        }


def _digest(session_id: str) -> bytes:
    return sha256(session_id.encode("utf-8", "surrogatepass")).digest()


def _before(head: int, refused: int) -> int:
    """Up to where nothing is missing that was published while the connection took no more."""
    return min(head, refused - 1) if refused else head


def _reason(reason: str) -> GapReason:
    return "conflated" if reason == "conflated" else "expired" if reason == "expired" else "slow"
