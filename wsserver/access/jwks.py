"""Public keys that an issuer publishes as a JSON Web Key Set (RFC 7517), and when to read them again."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable
from pathlib import Path
from typing import Final, Self

from wsserver.access.strict_json import parse_object
from wsserver.access.verification_key import KeyFault, VerificationKey
from wsserver.clock import Clock

logger = logging.getLogger("wsserver.access")

Fetch = Callable[[str], Awaitable[bytes]]
"""Reads the document at a URL or path. It must refuse redirects: they lead to other issuers."""

MAX_DOCUMENT: Final = 256 * 1024
"""Bytes of one key set."""

MAX_KEYS: Final = 100

MAX_AGE: Final = 300.0
"""Seconds after which a set is read again before it is used: how long a withdrawn key still counts."""

FETCH_TIMEOUT: Final = 5.0
"""Seconds for one fetch; half of the default ``auth.timeout``, so that a login can survive it."""


class JsonWebKeySet:
    """An immutable set of public keys."""

    __slots__ = ("_by_algorithm", "_by_kid", "refused")

    def __init__(self, keys: Iterable[VerificationKey] = (), refused: int = 0) -> None:
        self.refused = refused
        self._by_kid: dict[str, VerificationKey] = {}
        self._by_algorithm: dict[str, list[VerificationKey]] = {}
        for key in keys:
            # Of two keys with one id the first stands: which one a token means must not be a guess.
            if key.kid is not None and self._by_kid.setdefault(key.kid, key) is not key:
                self.refused += 1
                continue
            self._by_algorithm.setdefault(key.algorithm, []).append(key)

    @classmethod
    def parse(cls, document: bytes, algorithms: Collection[str]) -> Self:
        """The usable keys of a document; ``refused`` counts the others.

        Raises KeyFault if the document is no key set or holds no usable key.
        """
        if len(document) > MAX_DOCUMENT:
            raise KeyFault(f"the key set is larger than {MAX_DOCUMENT} bytes")
        members = (parse_object(document) or {}).get("keys")
        if not isinstance(members, list) or len(members) > MAX_KEYS:
            raise KeyFault(f"the document is no key set of at most {MAX_KEYS} keys")
        keys: list[VerificationKey] = []
        for member in members:
            if not isinstance(member, dict):
                continue
            try:
                keys.append(VerificationKey.from_jwk(member, algorithms))
            except KeyFault:
                continue
        if not keys:
            raise KeyFault("the key set holds no usable key")
        return cls(keys, refused=len(members) - len(keys))

    def with_id(self, kid: str) -> VerificationKey | None:
        """The key of this id, if any."""
        return self._by_kid.get(kid)

    def of(self, algorithm: str) -> list[VerificationKey]:
        """Every key of this algorithm, named or not."""
        return self._by_algorithm.get(algorithm, [])


class JwksSource:
    """The key set at a URL or in a file, re-read when it is old or lacks a key.

    One fetch at a time, the next no sooner than ``refresh_min`` seconds after the last
    began, whoever asks and whatever for; a failed fetch leaves the last good set in place.
    """

    def __init__(
        self, location: str, algorithms: Collection[str], fetch: Fetch, clock: Clock, refresh_min: float
    ) -> None:
        self.keys = JsonWebKeySet()
        self.fetches = 0
        self.failures = 0
        self._location = location
        self._algorithms = frozenset(algorithms)
        self._fetch = fetch
        self._clock = clock
        self._refresh_min = refresh_min
        self._started: float | None = None
        self._loaded: float | None = None
        self._flight: asyncio.Task[None] | None = None

    @property
    def is_old(self) -> bool:
        """Whether the set should be read again before it is used; true before the first."""
        return self._loaded is None or self._clock.monotonic() - self._loaded >= MAX_AGE

    def adopt(self, document: bytes) -> None:
        """Take a document that was read by other means. Raises KeyFault and keeps the old set."""
        keys = JsonWebKeySet.parse(document, self._algorithms)
        if keys.refused:
            logger.warning("%d keys of the key set are not usable and were left out.", keys.refused)
        self.keys = keys
        self._loaded = self._clock.monotonic()

    async def refresh(self) -> None:
        """Read the set again, or join a fetch under way; returns at once if the last was too recent.

        Never raises for a failed fetch. A caller that is cancelled does not stop the fetch
        for the others.
        """
        if self._flight is None or self._flight.done():
            now = self._clock.monotonic()
            if self._started is not None and now - self._started < self._refresh_min:
                return
            self._started = now
            self._flight = asyncio.create_task(self._load(), name="key set")
        await asyncio.shield(self._flight)

    async def close(self) -> None:
        """Stop a fetch under way."""
        if self._flight is not None:
            self._flight.cancel()
            await asyncio.wait([self._flight])

    async def _load(self) -> None:
        self.fetches += 1
        try:
            async with asyncio.timeout(FETCH_TIMEOUT):
                document = await self._fetch(self._location)
            self.adopt(document)
        except Exception as fault:
            self.failures += 1
            # The name only: the text of a network error may quote the URL and its credentials.
            logger.warning(
                "The key set could not be read (%s); the last good one stays.", type(fault).__name__
            )


def read_document(path: str) -> bytes:
    """A key set file, read no further than its bound. Raises OSError."""
    with Path(path).open("rb") as file:
        return file.read(MAX_DOCUMENT + 1)


async def read_file(path: str) -> bytes:
    """``read_document`` as a Fetch, off the loop's thread."""
    return await asyncio.to_thread(read_document, path)
