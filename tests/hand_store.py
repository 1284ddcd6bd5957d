"""A store on a disk that a test moves by hand: nothing is stored until it says so."""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from wsserver.protocol.report import Durability
from wsserver.settings import StoreSettings
from wsserver.store.store import KeyRecord, MessageRecord, Recovered, SessionRecord, StoreUnavailable

Waiting = tuple[MessageRecord, Callable[[int], object], Callable[[StoreUnavailable], object]]


@dataclass
class HandStore:
    """Promises what Store does, of a disk that is as slow as the test wants."""

    durability: Durability = "fsync"
    fault: str | None = None
    head: int = 0
    waiting: deque[Waiting] = field(default_factory=deque)
    records: list[MessageRecord] = field(default_factory=list)
    keys: dict[bytes, KeyRecord] = field(default_factory=dict)
    sessions: dict[bytes, SessionRecord] = field(default_factory=dict)
    on_change: Callable[[str | None], object] | None = None

    def append(
        self,
        message: MessageRecord,
        stored: Callable[[int], object],
        failed: Callable[[StoreUnavailable], object],
        *,
        key: KeyRecord | None = None,
    ) -> None:
        if self.fault is not None:
            raise StoreUnavailable(self.fault)
        self.waiting.append((message, stored, failed))
        if key is not None:
            self.keys[key.key] = key

    def commit(self, count: int = 1_000_000) -> None:
        """The next so many are on the disk."""
        for _ in range(min(count, len(self.waiting))):
            record, stored, _ = self.waiting.popleft()
            self.records.append(record)
            self.head += 1
            stored(self.head)

    def refuse(self, count: int = 1_000_000, reason: str = "disk_full") -> None:
        """The next so many could not be written."""
        for _ in range(min(count, len(self.waiting))):
            self.waiting.popleft()[2](StoreUnavailable(reason))

    async def open(self, *, max_bytes: int, max_age: float) -> Recovered:
        return Recovered("handd")

    def configure(self, settings: StoreSettings) -> None:
        pass

    async def flush(self) -> None:
        self.commit()

    async def close(self) -> None:
        self.commit()
        self.fault = "closed"

    def put_session(self, session: SessionRecord) -> None:
        self.sessions[session.key] = session

    def drop_session(self, key: bytes) -> None:
        self.sessions.pop(key, None)

    def put_key(self, key: KeyRecord) -> None:
        self.keys[key.key] = key

    async def find_key(self, key: bytes) -> KeyRecord | None:
        return self.keys.get(key)

    def sweep(self) -> None:
        pass

    def get_metrics(self) -> Mapping[str, Any]:
        return {"kind": "hand", "fault": self.fault, "pending": len(self.waiting)}
