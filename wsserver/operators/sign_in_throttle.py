"""How often somebody may fail to sign in: by name, so that no password is guessed, and by address."""

from itertools import islice
from math import ceil
from typing import Final

from wsserver.clock import Clock
from wsserver.errors import RATE_LIMIT, ServerError

TRIES: Final = 10
"""Failed sign-ins at once that one name or one address may have."""

FORGIVEN_AFTER: Final = 60.0
"""Seconds after which one of them is forgiven: at most 1,450 guesses a day of one password."""

REMEMBERED: Final = 10_000
"""Names, and addresses, that are remembered at most; beyond it those that came first start afresh."""


class _Failures:
    """Who has failed how often lately: counts that shrink by themselves, for a bounded number of keys."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._counts: dict[str, tuple[float, float]] = {}

    def __len__(self) -> int:
        return len(self._counts)

    def wait(self, key: str) -> float:
        """Seconds until there is another try; 0 when there is one now."""
        return max(0.0, (self._now(key) - TRIES + 1) * FORGIVEN_AFTER)

    def add(self, key: str, failures: float) -> None:
        count = max(0.0, self._now(key) + failures)
        self._counts.pop(key, None)
        if not count:
            return
        if len(self._counts) >= REMEMBERED:
            for oldest in list(islice(self._counts, 1 + REMEMBERED // 16)):
                del self._counts[oldest]
        self._counts[key] = count, self._clock.monotonic()

    def sweep(self) -> None:
        for key in [one for one in self._counts if not self._now(one)]:
            del self._counts[key]

    def _now(self, key: str) -> float:
        count, at = self._counts.get(key, (0.0, 0.0))
        return max(0.0, count - (self._clock.monotonic() - at) / FORGIVEN_AFTER)


class SignInThrottle:
    """Counts a try as failed from its beginning, and takes that back where it did not fail.

    So many tries at the same time are no more than one after the other.
    """

    def __init__(self, clock: Clock) -> None:
        self._by_name = _Failures(clock)
        self._by_address = _Failures(clock)

    def __len__(self) -> int:
        """Names and addresses that are remembered."""
        return len(self._by_name) + len(self._by_address)

    def enter(self, address: str, name: str | None) -> None:
        """Begin a try; raises ServerError 1010 where there have been too many failed ones.

        ``name`` is None for a try that names nobody. A try that is refused costs nothing.
        """
        wait = self._by_address.wait(address)
        if name is not None:
            wait = max(wait, self._by_name.wait(name))
        if wait > 0:
            raise ServerError(RATE_LIMIT, "Too many failed sign-ins.", retry_after_ms=ceil(wait * 1000))
        self._count(address, name, 1.0)

    def succeeded(self, address: str, name: str | None) -> None:
        """The try that has begun was no failure."""
        self._count(address, name, -1.0)

    def sweep(self) -> None:
        """Forget whose failures are all forgiven."""
        self._by_name.sweep()
        self._by_address.sweep()

    def _count(self, address: str, name: str | None, failures: float) -> None:
        self._by_address.add(address, failures)
        if name is not None:
            self._by_name.add(name, failures)
