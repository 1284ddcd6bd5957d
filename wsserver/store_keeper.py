"""The store of a running server: opened with what it has kept, watched, and closed at the end."""

import logging
from typing import Any

from wsserver.clock import microseconds, utc_text
from wsserver.connection_manager import ConnectionManager
from wsserver.observe.alerts import AlertBook
from wsserver.protocol.message import encode_members
from wsserver.protocol.meta import Meta
from wsserver.settings import HistorySettings, Settings
from wsserver.settings.store_url import store_path
from wsserver.store.log import DURABLE, Logs, MessageLog
from wsserver.store.memory_store import MemoryStore
from wsserver.store.store import CannotOpenStore, KeyRecord, MessageRecord, Recovered, SessionRecord, Store
from wsserver_core.frames import TEXT, encode_frame
from wsserver_core.outgoing import Frame

logger = logging.getLogger("wsserver.store")


class StoreKeeper:
    """Gives a manager the store that its settings name, from the start of a server to its end."""

    def __init__(self, manager: ConnectionManager, alerts: AlertBook) -> None:
        self._manager = manager
        self._alerts = alerts

    @property
    def store(self) -> Store:
        """The store in use; one in memory while no server runs."""
        return self._manager.broadcasts.store

    @property
    def fault(self) -> str | None:
        """Why durable messages cannot be stored at the moment; None while they can."""
        return self.store.fault

    async def open(self, settings: Settings) -> tuple[SessionRecord, ...]:
        """Open the store and take up its log and its messages; returns the sessions that it has kept.

        A store in memory stays the one that is there. Raises CannotOpenStore, and changes nothing then.
        """
        path = store_path(settings.store.url)
        if path is None:
            return ()
        try:
            # Nobody else needs SQLite.
            from wsserver.store.sqlite_store import SqliteStore
        except ImportError:
            raise CannotOpenStore("a sqlite: store needs the package apsw, which is not installed") from None
        store = SqliteStore(path, settings.store, self._manager.clock)
        history = settings.history
        recovered = await store.open(max_bytes=history.max_total_bytes, max_age=_longest(history))
        store.on_change = self._note_change
        self._take_up(store, recovered)
        logger.info(
            "the store is open: %d of its latest messages and %d sessions are back",
            len(recovered.messages),
            len(recovered.sessions),
        )
        return recovered.sessions

    def configure(self, settings: Settings) -> None:
        """Take new limits; another store needs a restart."""
        self.store.configure(settings.store)

    async def flush(self) -> None:
        """Wait until every message that was handed over is stored and delivered, or has failed."""
        await self.store.flush()

    async def close(self) -> None:
        """Close a store on disk, and leave the manager one in memory with a log of its own."""
        store = self.store
        if store.durability == "memory":
            return
        await store.close()
        fresh = MemoryStore(self._manager.clock, max_keys=self._manager.settings.store.max_keys)
        self._take_up(fresh, Recovered(fresh.log))
        self._alerts.switch("store", False)

    def sweep(self) -> None:
        """Let the store let go of what is too old."""
        self.store.sweep()

    # -- idempotency keys, in whatever store is in use

    def put_key(self, key: KeyRecord) -> None:
        """Keep an idempotency key."""
        self.store.put_key(key)

    async def find_key(self, key: bytes) -> KeyRecord | None:
        """What was done under one. Raises StoreUnavailable when that cannot be known."""
        return await self.store.find_key(key)

    def get_metrics(self) -> dict[str, Any]:
        """The figures of the store."""
        return dict(self.store.get_metrics())

    def _take_up(self, store: Store, recovered: Recovered) -> None:
        manager = self._manager
        broadcasts, history = manager.broadcasts, manager.history
        durable = MessageLog(recovered.log)
        durable.head = recovered.head
        broadcasts.store = store
        broadcasts.logs.durable = durable
        broadcasts.logs.volatile = Logs().volatile
        # Up to there nothing can be replayed, and whoever needs it is told so.
        history.begin((recovered.messages[0][0] - 1 if recovered.messages else recovered.head, 0))
        now, wall = manager.clock.monotonic(), manager.clock.time()
        for seq, record in recovered.messages:
            # A wall clock that was set back must not make a message younger than now.
            history.keep(_frame(recovered.log, seq, record), record.type, at=now - max(0.0, wall - record.at))

    def _note_change(self, fault: str | None) -> None:
        self._alerts.switch("store", fault is not None, None if fault is None else {"reason": fault})


def _frame(log: str, seq: int, record: MessageRecord) -> Frame:
    """The same bytes as were sent, or would have been."""
    meta = Meta(record.id, record.topic, log, seq, utc_text(record.at))
    return Frame(
        encode_frame(TEXT, encode_members(meta, record.members)),
        record.patient_id,
        record.importance,
        topic=record.topic,
        log=log,
        seq=seq,
        stream=record.stream,
        lane=DURABLE + 1,
        time=microseconds(record.at),
    )


def _longest(history: HistorySettings) -> float:
    return max(history.ttl, *history.ttl_by_type.values(), 0.0)
