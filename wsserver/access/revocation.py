"""What has been taken away before its token ran out."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from wsserver.access.claims import Claims
from wsserver.clock import Clock

_K = TypeVar("_K")
_NOBODY: Final[frozenset[str]] = frozenset()


@dataclass(frozen=True, slots=True)
class _Entry:
    at: float
    until: float | None
    """When no token it concerns can be valid any more; None is never."""


class _Table(Generic[_K]):
    """Entries in the order in which they were made or renewed, up to a limit."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._entries: dict[_K, _Entry] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: _K) -> _Entry | None:
        return self._entries.get(key)

    def put(self, key: _K, entry: _Entry, now: float) -> float | None:
        """Add or renew an entry; returns the time of a live one that had to go for it, if any."""
        old = self._entries.pop(key, None)
        if old is not None:
            # Renewing never weakens: an earlier time would let tokens back in.
            until = None if old.until is None or entry.until is None else max(old.until, entry.until)
            entry = _Entry(max(old.at, entry.at), until)
        self._entries[key] = entry
        if len(self._entries) > self._limit:
            self.prune(now)
        if len(self._entries) <= self._limit:
            return None
        key, oldest = next(iter(self._entries.items()))
        self._drop(key)
        return oldest.at

    def extend(self, seconds: float | None) -> None:
        """Keep every entry for so much longer; None is for ever."""
        for key, entry in self._entries.items():
            if entry.until is not None:
                until = None if seconds is None else entry.until + seconds
                self._entries[key] = _Entry(entry.at, until)

    def prune(self, now: float) -> None:
        gone = [key for key, entry in self._entries.items() if entry.until is not None and entry.until <= now]
        for key in gone:
            self._drop(key)

    def _drop(self, key: _K) -> None:
        del self._entries[key]


class _PatientTable(_Table[tuple[str, str]]):
    """Entries by (user, patient) that can be found by user."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self._patients_of: dict[str, set[str]] = {}

    def put(self, key: tuple[str, str], entry: _Entry, now: float) -> float | None:
        user_id, patient_id = key
        self._patients_of.setdefault(user_id, set()).add(patient_id)
        return super().put(key, entry, now)

    def of(self, user_id: str) -> list[tuple[str, _Entry]]:
        """The patients of a user's entries, with the entries."""
        return [(patient, self._entries[user_id, patient]) for patient in self._patients_of.get(user_id, ())]

    def _drop(self, key: tuple[str, str]) -> None:
        super()._drop(key)
        user_id, patient_id = key
        patients = self._patients_of[user_id]
        patients.remove(patient_id)
        if not patients:
            del self._patients_of[user_id]


class RevocationList:
    """Revoked users, tokens and patient rights of this process, in bounded memory.

    A revocation counts for tokens issued no later than it was made; a token that does not
    say when it was issued counts as older than any. Entries go when no such token can be
    valid any more, which needs ``max_token_lifetime``; without it they stay. When a table
    is full the oldest entry becomes a floor for everybody: tokens issued no later are all
    refused. That makes some users sign in again; forgetting would let one back in.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        max_token_lifetime: float | None = None,
        leeway: float = 0.0,
        max_entries: int = 100_000,
    ) -> None:
        """Times are in seconds, as in the ``auth`` section; ``max_entries`` bounds each of three tables."""
        self._clock = clock
        # The issuer's clock may be ahead by the leeway, and an expired token passes for as long.
        self._keep = None if max_token_lifetime is None else max_token_lifetime + 2 * leeway
        self._users: _Table[str] = _Table(max_entries)
        self._tokens: _Table[str] = _Table(max_entries)
        self._patients = _PatientTable(max_entries)
        self._floor: float | None = None

    def configure(self, *, max_token_lifetime: float | None, leeway: float) -> None:
        """Take new times. What is revoked stays so for as long as the longer of both lets a token live."""
        fresh = None if max_token_lifetime is None else max_token_lifetime + 2 * leeway
        if self._keep is not None and (fresh is None or fresh > self._keep):
            for table in (self._users, self._tokens, self._patients):
                table.extend(None if fresh is None else fresh - self._keep)
        self._keep = fresh

    def __len__(self) -> int:
        return len(self._users) + len(self._tokens) + len(self._patients)

    def revoke_user(self, user_id: str, at: float | None = None) -> None:
        """Refuse every token of this user issued until ``at`` (seconds since 1970; now if None)."""
        now = self._clock.time()
        self._raise_floor(self._users.put(user_id, self._entry(now if at is None else at), now))

    def revoke_token(self, token_id: str, until: float | None = None) -> None:
        """Refuse the token with this ``jti``; ``until`` is when it stops counting anyway, if known.

        That is its ``exp`` and the leeway.
        """
        now = self._clock.time()
        entry = self._entry(now) if until is None else _Entry(now, until)
        self._raise_floor(self._tokens.put(token_id, entry, now))

    def revoke_patients(self, user_id: str, patients: Collection[str], at: float | None = None) -> None:
        """Take patients from every token of this user issued until ``at``; the tokens still count."""
        now = self._clock.time()
        entry = self._entry(now if at is None else at)
        for patient_id in patients:
            self._raise_floor(self._patients.put((user_id, patient_id), entry, now))

    def is_revoked(self, claims: Claims) -> bool:
        """Whether the token these claims come from must be refused."""
        if self._floor is not None and not _newer(claims, self._floor):
            return True
        if claims.token_id is not None and self._tokens.get(claims.token_id) is not None:
            return True
        entry = self._users.get(claims.user_id)
        return entry is not None and not _newer(claims, entry.at)

    def withheld(self, claims: Claims) -> frozenset[str]:
        """The patients taken from this token."""
        if not self._patients:
            return _NOBODY
        return frozenset(
            patient for patient, entry in self._patients.of(claims.user_id) if not _newer(claims, entry.at)
        )

    def prune(self) -> None:
        """Forget what cannot matter any more; for the periodic clean-up."""
        now = self._clock.time()
        for table in (self._users, self._tokens, self._patients):
            table.prune(now)

    def _entry(self, at: float) -> _Entry:
        return _Entry(at, None if self._keep is None else at + self._keep)

    def _raise_floor(self, dropped: float | None) -> None:
        if dropped is not None:
            self._floor = dropped if self._floor is None else max(self._floor, dropped)


def _newer(claims: Claims, at: float) -> bool:
    return claims.issued_at is not None and claims.issued_at > at
