"""How many file descriptors are left, and which of them are kept for what must go on."""

import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Final

from wsserver.clock import Clock
from wsserver.settings.descriptors import RESERVE

COUNT_AGE: Final = 30.0
"""Seconds for which a count is believed where counting is dear: 6 ms for 10,000."""

_OPEN: Final = Path("/proc/self/fd")


def kept_back(limit: int) -> int:
    """Descriptors out of ``limit`` that no client's WebSocket gets: a quarter at the most."""
    return min(RESERVE, limit // 4)


class DescriptorRoom:
    """The room for descriptors, judged by their numbers.

    The kernel gives out the lowest free number. So if no socket is kept whose number is at or
    above a ceiling, everything above that ceiling stays free for others, whoever opened what;
    it is exact, it needs no counting, and it holds again the moment a descriptor is closed.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        read_limit: Callable[[], int] = lambda: resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        count: Callable[[], int | None] = lambda: _OPEN.stat().st_size or None,
        count_slowly: Callable[[], int] = lambda: sum(1 for _ in _OPEN.iterdir()),
    ) -> None:
        """``count`` gives None where the kernel cannot say (Linux before 6.2)."""
        self._clock = clock
        self._read_limit = read_limit
        self._count = count
        self._count_slowly = count_slowly
        self._counted = 0
        self._counted_at: float | None = None
        self.limit = 0
        """Descriptors that this process may hold; as of the last ``refresh``."""
        self.client_ceiling = 0
        """No client's WebSocket is kept on this descriptor or above: that is for everything else."""
        self.request_ceiling = 0
        """No HTTP connection is kept on this descriptor or above: that is for files."""
        self.refresh()

    def refresh(self) -> None:
        """Read the limit, which may be changed from outside."""
        limit = self._read_limit()
        if limit == resource.RLIM_INFINITY:
            limit = 1 << 30
        reserve = kept_back(limit)
        self.limit = limit
        self.client_ceiling = limit - reserve
        self.request_ceiling = limit - reserve // 4

    def used(self) -> int:
        """Descriptors that are open."""
        try:
            open_now = self._count()
        except OSError:
            return self._counted
        if open_now is not None:
            return open_now
        now = self._clock.monotonic()
        if self._counted_at is None or now - self._counted_at >= COUNT_AGE:
            self._counted_at = now
            try:
                self._counted = self._count_slowly()
            except OSError:
                # None left to open the directory with: that is an answer, too.
                self._counted = self.limit
        return self._counted

    def is_full(self) -> bool:
        """Whether the part for clients and requests is used up, so that only that for files is left."""
        if self.next_number() >= self.request_ceiling:
            return True
        # Numbers alone are not enough where sockets cannot be refused by theirs.
        try:
            open_now = self._count()
        except OSError:
            return False
        return open_now is not None and open_now >= self.request_ceiling

    def next_number(self) -> int:
        """The number that the next descriptor would have; the limit where there is none."""
        try:
            # Standard error, which is open in every process that logs; what it is does not matter.
            descriptor = os.dup(2)
        except OSError:
            return self.limit
        os.close(descriptor)
        return descriptor

    def percent(self) -> float:
        """Share in use of what clients may take; over 100 the reserve is being used."""
        return 100.0 * self.used() / max(self.client_ceiling, 1)
