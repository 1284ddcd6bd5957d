"""When tokens of open connections run out."""

from collections.abc import Iterator


class ExpirySchedule:
    """Connection ids by the whole second at which to look at them again.

    Nothing is ever taken out early: whoever is told of a connection compares the time with
    what now holds for it (its token may have been renewed, it may be gone).
    """

    def __init__(self) -> None:
        self._buckets: dict[int, list[str]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._buckets.values()))

    def add(self, at: float, connection_id: str) -> None:
        """Mention this connection once wall-clock second ``at`` has come."""
        self._buckets.setdefault(int(at), []).append(connection_id)

    def due(self, now: float) -> Iterator[str]:
        """The connections whose second has come, each entry once."""
        last = int(now)
        # The clock of people may jump; walking the seconds that passed would then take for ever.
        seconds = [second for second in self._buckets if second <= last]
        for second in sorted(seconds):
            yield from self._buckets.pop(second)
