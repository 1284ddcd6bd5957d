"""The key table: which key checks a token. Keys come from settings, never from a token."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import urlsplit

from wsserver.access.jwks import Fetch, JwksSource, read_document, read_file
from wsserver.access.verification_key import ALGORITHMS, KeyFault, VerificationKey
from wsserver.clock import Clock

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class KeySettings(Protocol):
    """The part of the ``auth`` section that names keys."""

    @property
    def algorithms(self) -> Sequence[str]: ...
    @property
    def secret(self) -> str | None: ...
    @property
    def public_key(self) -> str | None: ...
    @property
    def jwks_url(self) -> str | None: ...
    @property
    def jwks_file(self) -> str | Path | None: ...
    @property
    def jwks_refresh_min(self) -> float: ...


class KeyTable:
    """Every key that counts, each for one algorithm.

    ``auth.secret`` serves HS256, ``auth.public_key`` (PEM text or the path of a file) the
    algorithm of its kind, a key set serves the asymmetric ones.
    """

    def __init__(self, auth: KeySettings, clock: Clock, fetch: Fetch | None = None) -> None:
        """``fetch`` is needed for ``jwks_url`` only.

        Raises KeyFault if a key is unusable, serves none of ``auth.algorithms``, or if
        there is none at all; OSError if a file cannot be read.
        """
        self.algorithms = frozenset(auth.algorithms)
        if not self.algorithms <= set(ALGORITHMS):
            raise KeyFault(f"auth.algorithms: known are {', '.join(ALGORITHMS)}")
        self._local: list[VerificationKey] = []
        if auth.secret and "HS256" in self.algorithms:
            self._local.append(VerificationKey.from_secret(auth.secret))
        if auth.public_key:
            self._local.append(VerificationKey.from_pem(_pem_text(auth.public_key), self.algorithms))
        self.source = self._open_source(auth, clock, fetch)
        if not self._local and self.source is None:
            raise KeyFault("no key is configured for any of auth.algorithms")

    def _open_source(self, auth: KeySettings, clock: Clock, fetch: Fetch | None) -> JwksSource | None:
        if auth.jwks_url and auth.jwks_file:
            raise KeyFault("auth.jwks_url and auth.jwks_file exclude each other")
        if auth.jwks_file:
            path = str(auth.jwks_file)
            source = JwksSource(path, self.algorithms, read_file, clock, auth.jwks_refresh_min)
            source.adopt(read_document(path))
            return source
        if auth.jwks_url:
            _check_url(auth.jwks_url)
            if fetch is None:
                raise KeyFault("auth.jwks_url needs a way to fetch it")
            return JwksSource(auth.jwks_url, self.algorithms, fetch, clock, auth.jwks_refresh_min)
        return None

    def find(self, kid: str | None, algorithm: str) -> VerificationKey | None:
        """The key for a token with this header, among those at hand.

        A named key is looked up by its name and nothing else. Without a name the only key
        of the algorithm is meant; none if there are several, for trying them in turn would
        make a token's header a choice.
        """
        if kid is not None:
            return self.source.keys.with_id(kid) if self.source is not None else None
        found = [key for key in self._local if key.algorithm == algorithm]
        if self.source is not None:
            found += self.source.keys.of(algorithm)
        return found[0] if len(found) == 1 else None

    async def find_fresh(self, kid: str | None, algorithm: str) -> VerificationKey | None:
        """Like ``find``, reading the key set again where it is old or lacks the key.

        Does not yield to the loop when the keys are local or the set at hand will do.
        """
        source = self.source
        if source is None or algorithm == "HS256":
            return self.find(kid, algorithm)
        if source.is_old:
            await source.refresh()
        key = self.find(kid, algorithm)
        if key is None:
            await source.refresh()
            key = self.find(kid, algorithm)
        return key

    async def load(self) -> None:
        """Read the key set at start, so that the first login does not wait; a failed fetch does not raise."""
        if self.source is not None and self.source.is_old:
            await self.source.refresh()

    async def close(self) -> None:
        """Stop a fetch under way."""
        if self.source is not None:
            await self.source.close()


def _pem_text(value: str) -> str:
    return value if "-----BEGIN" in value else Path(value).read_text(encoding="ascii", errors="replace")


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise KeyFault("auth.jwks_url must be https, for whoever changes it on the way signs our tokens")
