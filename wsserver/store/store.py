"""The interface of every store, what it keeps, and how it says no.

A store gives each durable message its place in the durable log. What else it promises depends on
its ``durability``; how it is used does not.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

import msgspec

from wsserver.errors import BACKPRESSURE, ServerError
from wsserver.protocol.report import Durability
from wsserver.settings import StoreSettings

KEY_LIFETIME: Final = 86_400.0
"""Seconds that an idempotency key is remembered, as long as there is room."""

RETRY_AFTER_MS: Final = 1_000


class MessageRecord(msgspec.Struct, frozen=True, gc=False):
    """A published message as it is stored; its log and ``seq`` are the store's to give."""

    id: str
    topic: str
    type: str | None
    patient_id: str | None
    importance: int
    stream: str | None
    at: float
    """Seconds since 1970 UTC of its publication."""
    members: bytes
    """The JSON text behind ``_meta``: with that in front it is what every recipient gets."""

    @property
    def cost(self) -> int:
        """Bytes that it counts as, where bytes are limited."""
        return len(self.members) + 200


class SessionRecord(msgspec.Struct, frozen=True):
    """A session as it is stored. A store does not look into ``state``."""

    key: bytes
    """Digest of the secret id."""
    expires_at: float
    """Seconds since 1970 UTC."""
    state: bytes


class KeyRecord(msgspec.Struct, frozen=True):
    """An idempotency key, with what was done under it."""

    key: bytes
    """Digest of whose key it is, of the route and of the key itself."""
    digest: bytes
    """Digest of the body that came with it."""
    created_at: float
    """Seconds since 1970 UTC; forgotten ``KEY_LIFETIME`` later."""
    seq: int = 0
    """The place of the durable message that was stored together with it, else 0."""
    message_id: str = ""
    answer: bytes | None = None
    """The answer that was given, once there is one."""


class Recovered(msgspec.Struct, frozen=True):
    """What an opened store still has of its earlier life."""

    log: str
    """Name of the durable log."""
    head: int = 0
    """The ``seq`` given last; 0 before the first."""
    messages: tuple[tuple[int, MessageRecord], ...] = ()
    """The end of the log without a hole, as much of it as was asked for, in rising ``seq``."""
    sessions: tuple[SessionRecord, ...] = ()


class StoreUnavailable(ServerError):
    """A durable message was not stored, so nobody gets it. May pass; ``reason`` says what is wrong.

    It is 1005: the publisher has to wait and try again. The reasons: ``disk_full``, ``read_only``,
    ``io_error``, ``damaged``, ``moved``, ``locked`` (the file), ``busy`` (too much waits for it)
    and ``closed``.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        text = (
            "Too many messages wait for the store."
            if reason == "busy"
            else "The message cannot be stored at the moment."
        )
        super().__init__(
            BACKPRESSURE, text, details={"reason": "store", "store": reason}, retry_after_ms=RETRY_AFTER_MS
        )


class CannotOpenStore(Exception):
    """There is no store to start with; the text says why, and what to do about it."""


class Store(Protocol):
    """Keeps messages, sessions and idempotency keys. For the loop's thread; nothing here waits for a disk.

    Guarantees:

    - ``append`` numbers a log without holes: its messages get head + 1, head + 2 and so on, in the
      order in which they were appended, whoever fails in between.
    - For each append exactly one of ``stored`` and ``failed`` is called, on the loop's thread; all
      ``stored`` in rising ``seq``. A store in memory calls before ``append`` returns.
    - When ``stored`` is called, the message has been kept as ``durability`` says: with ``fsync`` it
      survives the end of the process and of the machine's power.
    - When ``failed`` is called nobody else will ever get that ``seq`` for this message, and none was
      told of it. On disk it may come to light after a crash that follows at once, as a message that
      was published and not acknowledged.
    - One ``(log, seq)`` never stands for two messages that anybody was told of. A store that begins
      its numbering anew takes a new name for its log.
    - What is put for a session or key replaces what was put before. On disk it becomes durable with
      one of the next commits; nobody waits for it.
    """

    @property
    def durability(self) -> Durability:
        """What a stored message outlives: ``memory`` nothing, ``fsync`` a crash and a power cut."""
        ...

    @property
    def fault(self) -> str | None:
        """Why durable messages are refused at the moment (a reason of StoreUnavailable), or None."""
        ...

    on_change: Callable[[str | None], object] | None
    """Called with the fault when one begins, and with None when it is over."""

    async def open(self, *, max_bytes: int, max_age: float) -> Recovered:
        """Take the store in use, and return what is left from before.

        Of the messages at most ``max_bytes``, and none older than ``max_age`` seconds. Raises
        CannotOpenStore; a damaged store is never taken for an empty one.
        """
        ...

    def configure(self, settings: StoreSettings) -> None:
        """Take new limits."""
        ...

    async def flush(self) -> None:
        """Wait until everybody who has appended so far has been told, or the disk does not answer."""
        ...

    async def close(self) -> None:
        """Store what still waits, and let go. Whatever is appended afterwards fails."""
        ...

    def append(
        self,
        message: MessageRecord,
        stored: Callable[[int], object],
        failed: Callable[[StoreUnavailable], object],
        *,
        key: KeyRecord | None = None,
    ) -> None:
        """Give a message its place, and a key its mark in the same moment: both are kept or neither.

        Raises StoreUnavailable when it is clear at once that this cannot be; neither is called then.
        """
        ...

    def put_session(self, session: SessionRecord) -> None:
        """Keep a session."""
        ...

    def drop_session(self, key: bytes) -> None:
        """Forget a session."""
        ...

    def put_key(self, key: KeyRecord) -> None:
        """Keep an idempotency key, or its answer now that there is one."""
        ...

    async def find_key(self, key: bytes) -> KeyRecord | None:
        """What was done under an idempotency key. Raises StoreUnavailable when that cannot be known."""
        ...

    def sweep(self) -> None:
        """Let go of what is too old. Called now and then."""
        ...

    def get_metrics(self) -> Mapping[str, Any]:
        """Figures of this store since it was opened, the same ones of every store."""
        ...
