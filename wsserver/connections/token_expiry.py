"""When tokens of open connections run out."""

from collections.abc import Callable, Iterator


class ExpirySchedule:
    """Connection ids by the whole second at which to look at them again.

    Entries stay when a token is renewed or a connection ends: whoever is told of one compares
    the time with what now holds, and ``keep`` sweeps out those that mean nothing any more.
    """

    def __init__(self) -> None:
        self._buckets: dict[int, list[str]] = {}
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, at: float, connection_id: str) -> int:
        """Mention this connection once wall-clock second ``at`` has come; returns that second."""
        second = int(at)
        self._buckets.setdefault(second, []).append(connection_id)
        self._size += 1
        return second

    def keep(self, wanted: Callable[[int, str], bool]) -> None:
        """Forget the entries (second, connection id) that are not wanted."""
        for second, connection_ids in list(self._buckets.items()):
            kept = [one for one in dict.fromkeys(connection_ids) if wanted(second, one)]
            self._size -= len(connection_ids) - len(kept)
            if kept:
                self._buckets[second] = kept
            else:
                del self._buckets[second]

    def due(self, now: float) -> Iterator[str]:
        """The connections whose second has come, each entry once."""
        last = int(now)
        # The clock of people may jump; walking the seconds that passed would then take for ever.
        seconds = [second for second in self._buckets if second <= last]
        for second in sorted(seconds):
            connection_ids = self._buckets.pop(second)
            self._size -= len(connection_ids)
            yield from connection_ids
