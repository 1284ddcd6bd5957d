"""The store that ends with the process."""

import secrets
from collections.abc import Callable
from typing import Any

from wsserver.clock import Clock
from wsserver.protocol.report import Durability
from wsserver.settings import StoreSettings
from wsserver.store.store import (
    KEY_LIFETIME,
    KeyRecord,
    MessageRecord,
    Recovered,
    SessionRecord,
    StoreUnavailable,
)


class MemoryStore:
    """Gives places at once. Nothing of it can be found again, so it keeps idempotency keys and no more.

    Messages are in the history and sessions with whoever serves them, both for as long as this
    process lives: a second copy of them would outlive nothing.
    """

    durability: Durability = "memory"

    def __init__(self, clock: Clock, *, max_keys: int = 100_000) -> None:
        """Of more than ``max_keys`` idempotency keys the oldest go."""
        self._clock = clock
        self._max_keys = max_keys
        self._keys: dict[bytes, KeyRecord] = {}
        self._begin()
        self._closed = False
        self.on_change: Callable[[str | None], object] | None = None

    def _begin(self) -> None:
        self._log = f"{secrets.token_hex(4)}d"
        self._head = 0
        self._keys.clear()

    @property
    def fault(self) -> str | None:
        """Always None: memory is there."""
        return None

    @property
    def log(self) -> str:
        """Name of the durable log, one without an earlier life."""
        return self._log

    async def open(self, *, max_bytes: int, max_age: float) -> Recovered:
        """A new log."""
        self._begin()
        self._closed = False
        return Recovered(self._log)

    def configure(self, settings: StoreSettings) -> None:
        """Take a new number of keys; what is over it goes with the next ones."""
        self._max_keys = settings.max_keys

    async def flush(self) -> None:
        """Nobody waits."""

    async def close(self) -> None:
        """Forget everything."""
        self._closed = True
        self._keys.clear()

    def append(
        self,
        message: MessageRecord,
        stored: Callable[[int], object],
        failed: Callable[[StoreUnavailable], object],
        *,
        key: KeyRecord | None = None,
    ) -> None:
        """The next place, given before this returns."""
        if self._closed:
            raise StoreUnavailable("closed")
        self._head = seq = self._head + 1
        if key is not None:
            self.put_key(KeyRecord(key.key, key.digest, key.created_at, seq, message.id, key.answer))
        stored(seq)

    def put_session(self, session: SessionRecord) -> None:
        """Nothing to do."""

    def drop_session(self, key: bytes) -> None:
        """Nothing to do."""

    def put_key(self, key: KeyRecord) -> None:
        """Keep it, as the youngest if it is new or used anew."""
        before = self._keys.get(key.key)
        if before is not None and before.created_at != key.created_at:
            del self._keys[key.key]
        self._keys[key.key] = key
        if len(self._keys) > self._max_keys:
            del self._keys[next(iter(self._keys))]

    async def find_key(self, key: bytes) -> KeyRecord | None:
        """What was done under it, unless that is too long ago."""
        found = self._keys.get(key)
        return found if found is not None and not self._is_old(found) else None

    def sweep(self) -> None:
        """Forget old keys. They stand in the order in which they came."""
        while self._keys and self._is_old(self._keys[oldest := next(iter(self._keys))]):
            del self._keys[oldest]

    def get_metrics(self) -> dict[str, Any]:
        """What there is to count."""
        return {
            "kind": "memory",
            "fault": None,
            "stored": self._head,
            "failed": 0,
            "pending": 0,
            "pending_bytes": 0,
            "commits": 0,
            "messages": 0,
            "file_bytes": 0,
        }

    def _is_old(self, key: KeyRecord) -> bool:
        return self._clock.time() - key.created_at >= KEY_LIFETIME
