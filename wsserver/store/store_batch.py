"""What waits to be written, and what is written together."""

from asyncio import Future
from collections.abc import Callable
from dataclasses import dataclass, field

from wsserver.store.store import KeyRecord, MessageRecord, SessionRecord, StoreUnavailable


@dataclass(frozen=True, slots=True)
class Pending:
    """A message on its way, and whom to tell."""

    message: MessageRecord
    stored: Callable[[int], object]
    failed: Callable[[StoreUnavailable], object]
    key: KeyRecord | None = None


@dataclass(slots=True)
class Batch:
    """Messages in their order; of a session or key only what was put last. None drops a session."""

    messages: list[Pending] = field(default_factory=list)
    sessions: dict[bytes, SessionRecord | None] = field(default_factory=dict)
    keys: dict[bytes, KeyRecord] = field(default_factory=dict)
    lookups: list[tuple[bytes, "Future[KeyRecord | None]"]] = field(default_factory=list)
    sweep: bool = False
    probe: bool = False
    """Whether something is to be written whatever there is, as a proof that this is possible."""

    def __bool__(self) -> bool:
        return self.writes or bool(self.lookups)

    @property
    def writes(self) -> bool:
        """Whether there is anything to write."""
        return self.sweep or self.probe or bool(self.messages or self.sessions or self.keys)
