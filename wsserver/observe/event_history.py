"""The latest events in the lives of subscriptions, for whoever asks why something ended."""

from collections import deque
from itertools import islice
from typing import Any, Final, Literal, TypeAlias, get_args

import msgspec

from wsserver.clock import Clock, utc_text

EventKind: TypeAlias = Literal[
    "subscribed",
    "replaced",
    "unsubscribed",
    "expired",
    "revoked",
    "disconnected",
    "expiring",
    "hint",
    "break_glass",
]

EVENT_KINDS: Final[tuple[EventKind, ...]] = get_args(EventKind)


class Event(msgspec.Struct, frozen=True, gc=False):
    """What happened to one subscription, or to a connection."""

    at: float
    """Seconds since 1970 UTC."""
    kind: EventKind
    connection_id: str
    subscription_id: str | None = None
    subscription_type: str | None = None
    target_id: str | None = None
    detail: str | None = None

    def __repr__(self) -> str:
        return f"<Event {self.kind}>"  # nothing that would name patients

    def as_dict(self) -> dict[str, Any]:
        """All members ready for JSON, the time as text in UTC."""
        return {
            "at": utc_text(self.at),
            "kind": self.kind,
            "connection_id": self.connection_id,
            "subscription_id": self.subscription_id,
            "subscription_type": self.subscription_type,
            "target_id": self.target_id,
            "detail": self.detail,
        }


class EventHistory:
    """Keeps the last ``size`` events; with 0 it only counts."""

    def __init__(self, size: int, clock: Clock) -> None:
        """Raises ValueError for a negative size."""
        self._clock = clock
        self._events: deque[Event] = deque(maxlen=_checked(size))
        self._counts: dict[EventKind, int] = dict.fromkeys(EVENT_KINDS, 0)
        self.total = 0
        """Events since the start, kept or not: what ``of`` and ``reaches`` count by."""

    def __len__(self) -> int:
        """How many events are kept."""
        return len(self._events)

    @property
    def size(self) -> int:
        """How many events are kept at most."""
        return self._events.maxlen or 0

    @property
    def counts(self) -> dict[EventKind, int]:
        """How many events of each kind there were since the start, kept or not."""
        return dict(self._counts)

    def note(
        self,
        kind: EventKind,
        *,
        connection_id: str,
        subscription_id: str | None = None,
        subscription_type: str | None = None,
        target_id: str | None = None,
        detail: str | None = None,
    ) -> None:
        """Something has happened now."""
        self._counts[kind] += 1
        self.total += 1
        if self._events.maxlen:
            now = self._clock.time()
            self._events.append(
                Event(now, kind, connection_id, subscription_id, subscription_type, target_id, detail)
            )

    def latest(
        self,
        limit: int = 100,
        *,
        kind: EventKind | None = None,
        connection_id: str | None = None,
        before: float | None = None,
    ) -> list[Event]:
        """At most ``limit`` events, the newest first.

        Given ``kind`` or ``connection_id``, only such; given ``before`` (seconds since 1970 UTC),
        only earlier ones.
        """
        wanted = (
            event
            for event in reversed(self._events)
            if (kind is None or event.kind == kind)
            and (connection_id is None or event.connection_id == connection_id)
            and (before is None or event.at < before)
        )
        return list(islice(wanted, max(limit, 0)))

    def reaches(self, total: int) -> bool:
        """Whether every event since ``self.total`` had this value is still kept."""
        return self.total - total <= len(self._events)

    def of(self, connection_id: str) -> list[tuple[int, Event]]:
        """What is kept about one connection, oldest first, each event with ``total`` as it was before it."""
        first = self.total - len(self._events)
        return [
            (first + place, event)
            for place, event in enumerate(self._events)
            if event.connection_id == connection_id
        ]

    def resize(self, size: int) -> None:
        """Keep ``size`` events from now on, and of those at hand the newest. ValueError if negative."""
        self._events = deque(self._events, _checked(size))


def _checked(size: int) -> int:
    if size < 0:
        raise ValueError("the size of a history is at least 0")
    return size
