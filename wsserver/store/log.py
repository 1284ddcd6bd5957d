"""An ordered sequence of published messages."""

import secrets


class MessageLog:
    """Gives every message its place: ``seq`` rises by one and is never given twice.

    The name says which numbering a ``seq`` belongs to. This log lives in memory, so a new
    start is a new numbering and takes a new name.
    """

    __slots__ = ("head", "name")

    def __init__(self, name: str | None = None) -> None:
        self.name = name or f"{secrets.token_hex(4)}v"
        self.head = 0
        """The ``seq`` of the latest message; 0 before the first."""

    def next_seq(self) -> int:
        """The place of the next message."""
        self.head += 1
        return self.head
