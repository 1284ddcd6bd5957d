"""Results that are there at once and may be awaited all the same.

The work behind ``connect``, ``disconnect`` and the like is done when they return, so callers
may write ``await`` or leave it out.
"""

from collections.abc import Generator


class AwaitableInt(int):
    """A number; awaiting it gives itself."""

    def __await__(self) -> Generator[None, None, "AwaitableInt"]:
        yield from ()
        return self


class AwaitableText(str):
    """A text; awaiting it gives itself."""

    __slots__ = ()

    def __await__(self) -> Generator[None, None, "AwaitableText"]:
        yield from ()
        return self
