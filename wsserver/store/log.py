"""Ordered sequences of published messages."""

import secrets
from collections.abc import Iterator
from typing import Final, Literal

DURABLE: Final = 0
VOLATILE: Final = 1
"""Places of the two logs in a position: a tuple with a ``seq`` for each of them."""

Position = tuple[int, int]
"""For each log a ``seq``: everything up to it, and nothing beyond."""


class MessageLog:
    """Gives every message its place: ``seq`` rises by one and is never given twice.

    The name says which numbering a ``seq`` belongs to. Without one this log lives in memory, so a
    new start is a new numbering and takes a new name.
    """

    __slots__ = ("head", "name")

    def __init__(self, name: str | None = None, *, kind: Literal["d", "v"] = "v") -> None:
        self.name = name or f"{secrets.token_hex(4)}{kind}"
        self.head = 0
        """The ``seq`` of the latest message that was delivered; 0 before the first."""

    def next_seq(self) -> int:
        """The place of the next message."""
        self.head += 1
        return self.head


class Logs:
    """The two logs of a server: what must outlive it, and what may be lost with it."""

    __slots__ = ("durable", "volatile")

    def __init__(self, durable: MessageLog | None = None, volatile: MessageLog | None = None) -> None:
        self.durable = durable or MessageLog(kind="d")
        self.volatile = volatile or MessageLog(kind="v")

    def __iter__(self) -> Iterator[MessageLog]:
        """Both, in the order of a position."""
        yield self.durable
        yield self.volatile

    def heads(self) -> Position:
        """How far both have got: whatever is delivered after this comes later in them."""
        return self.durable.head, self.volatile.head

    def cursor(self, position: Position | None = None) -> dict[str, int]:
        """A position as clients are told it, by default that of the heads."""
        durable, volatile = self.heads() if position is None else position
        return {self.durable.name: durable, self.volatile.name: volatile}
