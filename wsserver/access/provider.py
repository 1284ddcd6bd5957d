"""Where patient rights come from: the token itself, or whatever a backend plugs in."""

import asyncio
import logging
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from wsserver.access.claims import Claims
from wsserver.access.roles import RolePolicy
from wsserver.clock import Clock
from wsserver.ids import canonical_id

logger = logging.getLogger("wsserver.access")

MAX_TTL: Final = 1.0
"""Seconds an answer may be reused: a change must take effect within a second."""

MAX_PATIENTS: Final = 100_000
"""Patients in one answer; who sees more is given ``*``."""

WARNING_INTERVAL: Final = 10.0
"""Seconds between two complaints in the log about a provider that fails."""

NOBODY: Final[frozenset[str]] = frozenset()


class AccessProvider(Protocol):
    """What a backend implements to decide who sees whom, without a new token for each change."""

    async def patients(
        self, user_id: str, role: str, claims: Claims
    ) -> Collection[str | int] | Literal["*"] | None:
        """The patients this user may see now: ids, ``*`` for all, None or nothing for none.

        A raised exception, a slow answer and anything that is not a canonical id count as
        no answer: the last one holds for half a minute, then "none". May be called often and by many at once.
        """
        ...


class TokenAccessProvider:
    """The token's ``patients``; without that claim all if the role says so, else none. Never yields."""

    def __init__(self, policy: RolePolicy) -> None:
        self._policy = policy

    async def patients(self, user_id: str, role: str, claims: Claims) -> frozenset[str] | Literal["*"]:
        """The patients, as ``AccessProvider`` has it."""
        if claims.patients is not None:
            return claims.patients
        rights = self._policy.rights(role)
        return "*" if rights is not None and rights.all_patients else NOBODY


@dataclass(frozen=True, slots=True)
class _Answer:
    patients: frozenset[str] | Literal["*"]
    good_until: float
    good_in_need_until: float
    """How long it may stand in for answers that do not come."""


_Key = tuple[str, str, bytes]


class CachedAccessProvider:
    """Stands before a backend's provider: asks it once for all who want to know, never raises.

    Answers are reused for ``ttl`` seconds, counted from when the question was asked, and
    so are failures, so that an outage is not made worse. A failure leaves the last good answer
    in force for ``grace`` seconds: a hiccup of the rights database must not silence every
    alarm. After that, and where there is no such answer, it denies: "no patient".
    """

    def __init__(
        self,
        provider: AccessProvider,
        clock: Clock,
        *,
        ttl: float = 0.5,
        timeout: float = 2.0,
        grace: float = 30.0,
        max_concurrent: int = 64,
        max_entries: int = 50_000,
    ) -> None:
        """``timeout`` is in seconds for one question, the wait for one of ``max_concurrent`` turns aside.

        Raises ValueError for a ``ttl`` over one second.
        """
        if not 0 <= ttl <= MAX_TTL:
            raise ValueError(f"ttl must be from 0 to {MAX_TTL} seconds")
        self.failures = 0
        self._provider = provider
        self._clock = clock
        self._ttl = ttl
        self._timeout = timeout
        self._grace = grace
        self._warned_at: float | None = None
        self._turns = asyncio.Semaphore(max_concurrent)
        self._max_entries = max_entries
        self._answers: dict[_Key, _Answer] = {}
        self._flights: dict[_Key, asyncio.Task[frozenset[str] | Literal["*"]]] = {}

    async def patients(self, user_id: str, role: str, claims: Claims) -> frozenset[str] | Literal["*"]:
        """The patients, as ``AccessProvider`` has it, in canonical form. Never raises."""
        # The token is part of the key: a provider may look at its claims.
        key = (user_id, role, claims.fingerprint)
        answer = self._answers.get(key)
        if answer is not None and self._clock.monotonic() < answer.good_until:
            return answer.patients
        flight = self._flights.get(key)
        if flight is None:
            flight = asyncio.create_task(self._ask(key, claims), name="patient rights")
            self._flights[key] = flight
            flight.add_done_callback(lambda _: self._flights.pop(key))
        return await asyncio.shield(flight)

    def prune(self) -> int:
        """Forget the answers that cannot stand in for others any more; returns how many."""
        before = len(self._answers)
        while self._first_is_stale():
            del self._answers[next(iter(self._answers))]
        return before - len(self._answers)

    async def close(self) -> None:
        """Stop every question under way."""
        flights = list(self._flights.values())
        for flight in flights:
            flight.cancel()
        if flights:
            await asyncio.wait(flights)

    async def _ask(self, key: _Key, claims: Claims) -> frozenset[str] | Literal["*"]:
        user_id, role, _ = key
        async with self._turns:
            asked = self._clock.monotonic()
            try:
                async with asyncio.timeout(self._timeout):
                    patients = _canonical(await self._provider.patients(user_id, role, claims))
            except Exception as fault:
                self._complain(fault)
                answer = self._after_failure(key, asked)
            else:
                answer = _Answer(patients, asked + self._ttl, asked + self._grace)
        self._keep(key, answer)
        return answer.patients

    def _after_failure(self, key: _Key, asked: float) -> _Answer:
        last = self._answers.get(key)
        if last is not None and asked < last.good_in_need_until:
            return _Answer(last.patients, asked + self._ttl, last.good_in_need_until)
        return _Answer(NOBODY, asked + self._ttl, 0.0)

    def _complain(self, fault: Exception) -> None:
        self.failures += 1
        now = self._clock.monotonic()
        if self._warned_at is None or now - self._warned_at >= WARNING_INTERVAL:
            self._warned_at = now
            # The name only: the text may hold patient ids.
            name = type(fault).__name__
            logger.warning("The access provider failed (%s), %d times so far.", name, self.failures)

    def _keep(self, key: _Key, answer: _Answer) -> None:
        # Put at the end again, so that the first in the dict is the oldest and so the first to go.
        self._answers.pop(key, None)
        self._answers[key] = answer
        while len(self._answers) > self._max_entries or self._first_is_stale():
            del self._answers[next(iter(self._answers))]

    def _first_is_stale(self) -> bool:
        first = next(iter(self._answers.values()), None)
        now = self._clock.monotonic()
        return first is not None and max(first.good_until, first.good_in_need_until) <= now


def _canonical(answer: object) -> frozenset[str] | Literal["*"]:
    if answer is None:
        return NOBODY
    if answer == "*":
        return "*"
    # Text is a collection too: of its letters, which would be patients nobody meant.
    if isinstance(answer, str | bytes | bytearray) or not isinstance(answer, Collection):
        raise TypeError("an access provider answers with a collection of ids, * or None")
    if len(answer) > MAX_PATIENTS:
        raise ValueError(f"an access provider names at most {MAX_PATIENTS} patients")
    return frozenset(canonical_id(item, "patient id") for item in answer)
