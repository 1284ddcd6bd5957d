"""Messages one behind the other: searched from anywhere, let go of at the front."""

from bisect import bisect_right
from collections.abc import Iterator
from operator import attrgetter
from typing import Final

import msgspec

from wsserver_core.outgoing import Frame

_GONE: Final = Frame(b"")

SPARE: Final = 64
"""Places that may stay empty at the front before the others move up."""


class Kept(msgspec.Struct, gc=False, eq=False):
    """One message as it is kept.

    There may be very many, none of which can be part of a cycle: the garbage collector does not
    look at them, which took 45 ms more for 300,000 of them.
    """

    frame: Frame
    seq: int
    order: int
    """Its place among all messages, whichever log they belong to."""
    at: float
    """Monotonic seconds of its delivery."""
    sender: object
    """Whose connections do not get it, None if it is for all."""
    evicted: bool = False
    _again: Frame | None = None

    def evict(self) -> None:
        """Let go of the frame; the place stays until whoever else has it lets go of it, too."""
        self.evicted = True
        self.frame = _GONE
        self._again = None

    @property
    def again(self) -> Frame:
        """The frame to send it once more with: the same bytes, and counters that no report reads."""
        if self._again is None:
            self._again = self.frame.again()
        return self._again

    @property
    def binary(self) -> bytes | None:
        """Its form in the binary protocol, as far as anybody has needed it."""
        return self.frame.binary if self._again is None else self._again.binary

    def add_binary(self, binary: bytes) -> None:
        """Keep that form, too."""
        self._again = self.frame.again(binary)

    def drop_binary(self) -> None:
        """Keep it no longer."""
        self.frame = self.frame.without_binary()
        self._again = None


_order: Final = attrgetter("order")
_seq: Final = attrgetter("seq")


class Run:
    """Messages in the order in which they came.

    A list whose front is given up now and then: to search or to slice it takes no longer for what
    has been let go of.
    """

    __slots__ = ("_first", "_items")

    def __init__(self) -> None:
        self._items: list[Kept] = []
        self._first = 0

    def __len__(self) -> int:
        return len(self._items) - self._first

    @property
    def oldest(self) -> Kept:
        """The first of them. Raises IndexError when there is none."""
        return self._items[self._first]

    def append(self, kept: Kept) -> None:
        """Add the next message."""
        self._items.append(kept)

    def let_go(self) -> Kept:
        """Take the oldest off. Raises IndexError when there is none."""
        kept = self._items[self._first]
        self._begin_at(self._first + 1)
        return kept

    def _begin_at(self, first: int) -> None:
        if first > SPARE and first * 2 > len(self._items):
            del self._items[:first]
            first = 0
        self._first = first

    def drop_evicted_front(self) -> None:
        """Let go of those at the front that have been evicted elsewhere."""
        items, first = self._items, self._first
        end = len(items)
        while first < end and items[first].evicted:
            first += 1
        if first != self._first:
            self._begin_at(first)

    def drop_evicted(self) -> None:
        """Let go of all that have been evicted elsewhere, wherever they stand."""
        self._items = [kept for kept in self._items[self._first :] if not kept.evicted]
        self._first = 0

    def after(self, order: int) -> Iterator[Kept]:
        """Those that came after a place, oldest first. Nothing may be added or let go meanwhile."""
        items = self._items
        for place in range(bisect_right(items, order, self._first, key=_order), len(items)):
            yield items[place]

    def next_after(self, order: int, limit: int) -> list[Kept]:
        """The first so many that came after a place."""
        first = bisect_right(self._items, order, self._first, key=_order)
        return self._items[first : first + limit]

    def first_after(self, seq: int) -> Kept | None:
        """The first beyond a ``seq``, for messages of one log."""
        place = bisect_right(self._items, seq, self._first, key=_seq)
        return self._items[place] if place < len(self._items) else None
