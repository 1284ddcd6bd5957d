"""Sessions on disk, so that clients go on where they were after the server has ended or died.

A session is written when its connection begins, whenever its subscriptions change, and when the
connection ends: a moment later, a little at a time, and never waited for. What a connection was
sent since is not written. Its client says how far it got, and is given everything beyond.
"""

import logging
from collections.abc import Callable, Collection
from typing import Any, Final

import msgspec

from wsserver.clock import Clock
from wsserver.connections.connection_metadata import ConnectionMetadata
from wsserver.incidents import report_incident
from wsserver.loop.loop_port import LoopPort
from wsserver.protocol.control import Gap
from wsserver.protocol.topic import Topic
from wsserver.reconnect_service import ReconnectService
from wsserver.sessions.owed_gaps import NO_PROOF, Owed, OwedGaps, Proof
from wsserver.sessions.session import Held, Resumed, Session
from wsserver.store.log import Logs, Position
from wsserver.store.store import SessionRecord, Store
from wsserver_core.filters import FilterError, FilterLimits, Program, compile_filter
from wsserver_core.hub import Hub
from wsserver_core.topics import TopicIndex

logger = logging.getLogger("wsserver.session_archive")

SOON: Final = 0.005
"""Seconds after which a change is written. A server that dies before has forgotten it, and says so."""

WRITTEN: Final = 25
"""Sessions written at a time, some 0.5 ms of the loop's time: 5,000 a second when all come back at once."""

WHILE_OPEN: Final = 10 * 365 * 86_400.0
"""Seconds for which a session is kept whose connection is open: it ends by its connection, not by time."""

_UNKNOWN: Final = 2**62
"""Stands for the last that was sent, where nobody knows: no client has got that far."""


class _State(msgspec.Struct, frozen=True, omit_defaults=True):
    """A session as it is written. New members need a default, and none may change its meaning."""

    user_id: str
    subscriptions: list[tuple[str, str, dict[str, Any]]]
    logs: tuple[str, ...]
    cursor: Position
    start: Position
    sent: Position
    heads: Position
    former: bytes | None = None
    token_id: str | None = None
    owed: list[tuple[Gap, Proof]] = []
    unheard: list[Gap] = []


class SessionArchive:
    """Writes the sessions of one server to its store, and brings them back at its start."""

    def __init__(
        self,
        sessions: ReconnectService,
        hub: Hub,
        index: TopicIndex,
        logs: Logs,
        limits: Callable[[], FilterLimits],
        port: LoopPort,
        clock: Clock,
    ) -> None:
        """``limits`` are those of filters now: one that is over them is not restored."""
        self._sessions = sessions
        self._hub = hub
        self._index = index
        self._logs = logs
        self._limits = limits
        self._port = port
        self._is_awake = False
        self._clock = clock
        self._store: Store | None = None
        self._changed: dict[ConnectionMetadata, None] = {}
        self._ended: dict[bytes, Session | None] = {}

    def begin(self, store: Store, records: Collection[SessionRecord]) -> None:
        """Take up what a store has kept, and write to it from now on."""
        self._store = store
        self._sessions.archive = self
        programs: dict[bytes, Program] = {}
        lost = 0
        for record in records:
            try:
                state = msgspec.json.decode(record.state, type=_State)
            except msgspec.DecodeError:
                self._ended[record.key] = None
                lost += 1
                continue
            self._sessions.restore(self._session(record, state, programs))
        if lost:
            logger.warning("%d stored sessions cannot be read and are dropped", lost)

    def end(self) -> None:
        """Write what still waits, and let go of the store."""
        while self._changed or self._ended:
            self._write()
        self._store = None
        self._sessions.archive = None

    # -- what the sessions tell

    def note_change(self, metadata: ConnectionMetadata) -> None:
        """The session of an open connection, or its subscriptions, are not what they were."""
        if self._store is not None and metadata.session is not None:
            self._changed[metadata] = None
            self._wake()

    def note_end(self, key: bytes, session: Session | None) -> None:
        """A session waits for its client, or (None) is over."""
        if self._store is not None:
            self._ended[key] = session
            self._wake()

    def _wake(self) -> None:
        if not self._is_awake:
            self._is_awake = True
            self._port.call_later(SOON, self._write_soon)

    def _write_soon(self) -> None:
        self._is_awake = False
        try:
            self._write()
        except Exception:
            report_incident("writing sessions")
        if self._store is not None and (self._changed or self._ended):
            self._wake()

    def _write(self) -> None:
        """Write some of what has changed."""
        store = self._store
        if store is None:
            return
        for metadata in list(self._changed)[:WRITTEN]:
            del self._changed[metadata]
            key = metadata.session
            if key is not None:
                expires_at = self._clock.time() + WHILE_OPEN
                store.put_session(SessionRecord(key, expires_at, _encode(self._state_of(metadata))))
        if self._changed:
            # A session that was taken up is dropped only after the one that took its place is written.
            return
        for key, session in list(self._ended.items())[:WRITTEN]:
            del self._ended[key]
            if session is None:
                store.drop_session(key)
            else:
                left = session.expires_at - self._clock.monotonic()
                store.put_session(SessionRecord(key, self._clock.time() + left, _encode(_state(session))))

    def _state_of(self, metadata: ConnectionMetadata) -> _State:
        standing = self._hub.standing(metadata.handle)
        base = (standing[0][0], standing[0][1]) if standing is not None else (0, 0)
        resumed = metadata.resumed if isinstance(metadata.resumed, Resumed) else None
        return _State(
            user_id=metadata.user_id,
            subscriptions=[
                (one.subscription_type, one.target_id, one.program.source)
                for one in self._index.records(metadata.handle)
            ],
            logs=tuple(log.name for log in self._logs),
            cursor=base,
            start=base if resumed is None else resumed.start,
            sent=(_UNKNOWN, _UNKNOWN),
            heads=(0, 0),
            former=None if resumed is None else resumed.former,
            token_id=metadata.principal.token_id,
            owed=[(*one,) for one in metadata.owed] if isinstance(metadata.owed, OwedGaps) else [],
            unheard=[] if resumed is None else resumed.gaps,
        )

    def _session(self, record: SessionRecord, state: _State, programs: dict[bytes, Program]) -> Session:
        owed = [Owed(gap, proof) for gap, proof in state.owed]
        subscriptions = []
        for subscription_type, target_id, source in state.subscriptions:
            topic = Topic(subscription_type, target_id)
            text = msgspec.json.encode(source)
            try:
                if text not in programs:
                    programs[text] = compile_filter(source, self._limits())
                subscriptions.append(Held(topic, programs[text]))
            except FilterError:
                owed += (
                    Owed(Gap(log=log, topic=topic.text, from_=seq + 1, reason="limit"), NO_PROOF)
                    for log, seq in zip(state.logs, state.cursor, strict=True)
                )
        now, wall = self._clock.monotonic(), self._clock.time()
        # One whose connection was open when the server died waits from now on.
        left = min(record.expires_at - wall, self._sessions.ttl)
        return Session(
            key=record.key,
            former=state.former,
            user_id=state.user_id,
            token_id=state.token_id,
            lineage=None,
            subscriptions=subscriptions,
            logs=state.logs,
            cursor=state.cursor,
            start=state.start,
            sent=state.sent,
            heads=state.heads,
            # What was sent to one client alone stood in the volatile log, which is gone and told as gone.
            direct=(0, 0),
            owed=owed,
            unheard=state.unheard,
            expires_at=now + left,
        )


def _state(session: Session) -> _State:
    return _State(
        user_id=session.user_id,
        subscriptions=[(*one.topic, one.program.source) for one in session.subscriptions],
        logs=session.logs,
        cursor=session.cursor,
        start=session.start,
        sent=session.sent,
        heads=session.heads,
        former=session.former,
        token_id=session.token_id,
        owed=[(*one,) for one in session.owed],
        unheard=session.unheard,
    )


def _encode(state: _State) -> bytes:
    return msgspec.json.encode(state)
