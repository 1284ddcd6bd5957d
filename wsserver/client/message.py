"""What a client gets: messages, and word of those that are missing."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, Self


class Meta(NamedTuple):
    """What the server says about a message: its id, where it was sent, its place in a log, and when."""

    id: str
    topic: str
    log: str
    seq: int
    ts: str

    @property
    def time(self) -> datetime:
        """When the server took the message, aware, in UTC."""
        return datetime.fromisoformat(self.ts)


class Message(dict[str, Any]):
    """A published message, as its publisher wrote it, plus ``_meta``."""

    __slots__ = ()

    @property
    def meta(self) -> Meta:
        """``_meta`` by its names."""
        meta = self["_meta"]
        return Meta(meta["id"], meta["topic"], meta["log"], meta["seq"], meta["ts"])


@dataclass(frozen=True, slots=True)
class Gap:
    """Messages that this client should have got and did not, or may have missed.

    It is no mapping on purpose: code that takes it for a message fails, and does not pass over it.

    ``reason`` is one of ``slow``, ``conflated``, ``expired``, ``trimmed``, ``restart``, ``ahead``,
    ``limit`` and ``forbidden``, as the protocol has them; a server of a later version may have more.
    From ``first`` to ``last`` of ``log``: None where it is not known, or where the gap has no end yet.
    Without ``topic`` it is any topic; without ``count`` it is not known how many there were.
    """

    reason: str
    log: str | None = None
    topic: str | None = None
    first: int | None = None
    last: int | None = None
    count: int | None = None

    @classmethod
    def of(cls, frame: Mapping[str, Any]) -> Self:
        """From a ``gap`` of the server."""
        return cls(
            reason=str(frame.get("reason", "")),
            log=frame.get("log"),
            topic=frame.get("topic"),
            first=frame.get("from"),
            last=frame.get("to"),
            count=frame.get("count"),
        )
