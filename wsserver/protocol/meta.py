"""``_meta``: the server's own member of a published message, and the ids in it."""

import secrets

import msgspec

from wsserver.clock import Clock


class Meta(msgspec.Struct, frozen=True):
    """Where a message stands: its id, its topic, and its place in a log."""

    id: str
    topic: str
    log: str
    seq: int
    ts: str
    """RFC 3339 in UTC, for people; order is told by ``seq`` alone."""


class MessageIds:
    """Ids (``m_`` and 26 hexadecimal digits) that sort as text in the order in which they were given out.

    The first part is microseconds since 1970, moved on by one when the clock stands still
    or steps back; the second tells one process, and one start of it, from another. Not a secret.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last = 0
        self._origin = secrets.token_hex(6)

    def next(self) -> str:
        """The next id. Not for several threads at once."""
        now = int(self._clock.time() * 1_000_000)
        self._last = last = now if now > self._last else self._last + 1
        # 14 hexadecimal digits hold microseconds until the year 4253, so all ids are equally long.
        return f"m_{last:014x}{self._origin}"
