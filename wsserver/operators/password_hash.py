"""Passwords as they are kept: hashed with scrypt (RFC 7914), the cost and the salt beside the hash.

Such as ``scrypt:15:8:3:SALT:HASH``: log2 of N, then r and p. The text has no character that a
shell, TOML or an environment file would want quoted.
"""

import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import scrypt
from typing import Final, Self

from wsserver.settings.operators import HASH_SHAPE

MIN_PASSWORD: Final = 12
"""Characters of a new password; the throttle does the rest."""

MAX_PASSWORD: Final = 1024
"""Characters of a password; more is refused before anything is hashed."""

_LOG2_N: Final = 15
_R: Final = 8
_P: Final = 3
"""32 MiB and about 0.2 s of one core: one of OWASP's equals for scrypt."""

_SALT_BYTES: Final = 16
_DIGEST_BYTES: Final = 32


@dataclass(frozen=True, slots=True, repr=False)
class PasswordHash:
    """One hash with what it was made with."""

    log2_n: int
    r: int
    p: int
    salt: bytes
    digest: bytes

    @classmethod
    def of(cls, password: str) -> Self:
        """The hash of a new password, with fresh salt. Takes about 0.2 s."""
        salt = secrets.token_bytes(_SALT_BYTES)
        return cls(_LOG2_N, _R, _P, salt, _derive(password, salt, _LOG2_N, _R, _P))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError, which never quotes the text, for anything but what ``text`` gives."""
        found = HASH_SHAPE.fullmatch(text)
        if found is None:
            raise ValueError("no password hash")
        salt, digest = urlsafe_b64decode(found["salt"] + "=="), urlsafe_b64decode(found["digest"] + "=")
        return cls(int(found["log2_n"]), int(found["r"]), int(found["p"]), salt, digest)

    @classmethod
    def of_nobody(cls, others: Iterable["PasswordHash"]) -> Self:
        """A hash that no password has, to check against where there is no account.

        It takes as long as the slowest of the ``others``, so that time does not tell who has one.
        """
        cost = max(((one.log2_n, one.r, one.p) for one in others), key=_work, default=(_LOG2_N, _R, _P))
        return cls(*cost, secrets.token_bytes(_SALT_BYTES), secrets.token_bytes(_DIGEST_BYTES))

    @property
    def text(self) -> str:
        """How it stands in the settings."""
        salt, digest = (urlsafe_b64encode(one).rstrip(b"=").decode() for one in (self.salt, self.digest))
        return f"scrypt:{self.log2_n}:{self.r}:{self.p}:{salt}:{digest}"

    def fits(self, password: str) -> bool:
        """Whether this is the password. Takes as long either way, and is not for the loop's thread."""
        derived = _derive(password, self.salt, self.log2_n, self.r, self.p)
        return hmac.compare_digest(derived, self.digest)


def _work(cost: tuple[int, int, int]) -> int:
    log2_n, r, p = cost
    return (r * p) << log2_n


def _derive(password: str, salt: bytes, log2_n: int, r: int, p: int) -> bytes:
    n = 1 << log2_n
    # Half a surrogate is no character of a password, but it must not be a fault of the server either.
    raw = password.encode("utf-8", "surrogatepass")
    # OpenSSL's own bound is exactly too small for 32 MiB.
    return scrypt(raw, salt=salt, n=n, r=r, p=p, maxmem=128 * r * (n + p + 2), dklen=_DIGEST_BYTES)
