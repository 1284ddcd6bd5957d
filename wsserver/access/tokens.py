"""Signed tokens (JWT, RFC 7519): checking those that clients bring, minting those for the command line."""

import json
import re
from collections.abc import Iterable
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final, Literal, Protocol

import msgspec
from jwt import PyJWS

from wsserver.access.base64url import decode_base64url
from wsserver.access.claims import ClaimRules, Claims, ClaimSettings, valid_scope
from wsserver.access.keys import KeyTable
from wsserver.access.refusal import AuthenticationFailed, Reason
from wsserver.access.strict_json import parse_object
from wsserver.access.verification_key import VerificationKey
from wsserver.clock import Clock
from wsserver.ids import canonical_id, new_id

MAX_TOKEN: Final = 8192
"""Characters of a token, its header included; nothing longer is decoded."""

MAX_KEY_ID: Final = 256

_SHAPE = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)", re.ASCII)
"""RFC 7515 section 3.1, compact form: three parts, no padding; five parts are a JWE."""


class _Header(msgspec.Struct, frozen=True):
    """What counts of a token's header."""

    algorithm: str
    kid: str | None


class _Envelope(msgspec.Struct, frozen=True):
    """A token taken apart, with nothing proved yet. Its payload is not parsed until it is."""

    header: _Header
    signed: bytes
    payload: bytes
    signature: bytes

    __repr__ = object.__repr__


# A header is public and says the same whoever sends it, and an issuer writes the same one into all its
# tokens: read once, a token costs 10 µs less. What it leads to is looked up for each token anew.
@lru_cache(maxsize=64)
def _read_header(part: str) -> _Header | Reason:
    """The header in the first part of a token, or why it is none."""
    raw = decode_base64url(part)
    if raw is None:
        return Reason.MALFORMED
    members = parse_object(raw)
    if members is None or "crit" in members or "b64" in members:
        return Reason.HEADER
    algorithm, kid = members.get("alg"), members.get("kid")
    if not isinstance(algorithm, str):
        return Reason.ALGORITHM
    if "kid" in members and (not isinstance(kid, str) or len(kid) > MAX_KEY_ID):
        return Reason.HEADER
    return _Header(algorithm, kid)


class TokenVerifier:
    """Decides whether a token counts and what it says.

    The algorithms and keys are those of the settings. Of the header only ``alg`` and
    ``kid`` are read, to find the key in our table; ``jku``, ``x5u``, ``jwk`` and ``x5c``
    are never looked at, ``crit`` and ``b64`` are refused.
    """

    def __init__(self, auth: ClaimSettings, keys: KeyTable, clock: Clock) -> None:
        """Raises ValueError for a leeway outside 0 to 30 seconds."""
        self.keys = keys
        self.clock = clock
        self._rules = ClaimRules(auth)

    async def verify(self, token: str) -> Claims:
        """The claims of a valid token; may fetch the issuer's key set.

        Does not yield to the loop when the key is at hand. Raises AuthenticationFailed.
        """
        envelope = self._open(token)
        header = envelope.header
        return self._check(envelope, await self.keys.find_fresh(header.kid, header.algorithm))

    def verify_now(self, token: str) -> Claims:
        """Like ``verify``, with the keys at hand only. Raises AuthenticationFailed."""
        envelope = self._open(token)
        return self._check(envelope, self.keys.find(envelope.header.kid, envelope.header.algorithm))

    def _open(self, token: str) -> _Envelope:
        if not isinstance(token, str):
            raise AuthenticationFailed(Reason.MALFORMED)
        if len(token) > MAX_TOKEN:
            raise AuthenticationFailed(Reason.TOO_LONG)
        parts = _SHAPE.fullmatch(token)
        if parts is None:
            raise AuthenticationFailed(Reason.MALFORMED)
        first, second, third = parts.groups()
        header, payload, signature = _read_header(first), decode_base64url(second), decode_base64url(third)
        if isinstance(header, Reason):
            raise AuthenticationFailed(header)
        if payload is None or signature is None:
            raise AuthenticationFailed(Reason.MALFORMED)
        if header.algorithm not in self.keys.algorithms:
            raise AuthenticationFailed(Reason.ALGORITHM)
        return _Envelope(header, token[: parts.end(2)].encode(), payload, signature)

    def _check(self, envelope: _Envelope, key: VerificationKey | None) -> Claims:
        if key is None:
            raise AuthenticationFailed(Reason.UNKNOWN_KEY)
        if key.algorithm != envelope.header.algorithm:
            raise AuthenticationFailed(Reason.ALGORITHM)
        if not key.verify(envelope.signed, envelope.signature):
            raise AuthenticationFailed(Reason.SIGNATURE)
        # Parsed only now: what nobody we trust has signed never reaches a parser.
        payload = parse_object(envelope.payload)
        if payload is None:
            raise AuthenticationFailed(Reason.PAYLOAD)
        return self._rules.read(payload, sha256(envelope.signed).digest(), self.clock.time())


class MintSettings(ClaimSettings, Protocol):
    """The part of the ``auth`` section that minting needs."""

    @property
    def secret(self) -> str | None: ...


def mint_token(
    auth: MintSettings,
    clock: Clock,
    *,
    user_id: str | int,
    role: str,
    lifetime: int = 3600,
    patients: Iterable[str | int] | Literal["*"] | None = None,
    scopes: Iterable[str] = (),
    token_id: str | None = None,
) -> str:
    """A token signed with ``auth.secret`` (HS256) that ``TokenVerifier`` takes.

    ``lifetime`` is in seconds. ``patients`` None leaves the claim out. Without ``token_id``
    a fresh one is made up. ``iss`` and ``aud`` follow the settings.

    Raises ValueError (InvalidId among them) if the settings hold no secret of 32 bytes or
    the token would be refused.
    """
    key = (auth.secret or "").encode()
    VerificationKey("HS256", key)
    if lifetime < 1 or (auth.max_token_lifetime is not None and lifetime > auth.max_token_lifetime):
        raise ValueError("the lifetime must be positive and within auth.max_token_lifetime")
    words = list(scopes)
    if not all(valid_scope(word) for word in words):
        raise ValueError("a scope is a word of printable ASCII without spaces, quotes and backslashes")
    issued_at = int(clock.time())
    claims: dict[str, Any] = {
        "sub": canonical_id(user_id, "user id"),
        "role": canonical_id(role, "role"),
        "iat": issued_at,
        "exp": issued_at + lifetime,
        "jti": token_id or new_id("t"),
    }
    if patients is not None:
        claims["patients"] = (
            "*" if patients == "*" else sorted({canonical_id(item, "patient id") for item in patients})
        )
    if words:
        claims["scope"] = " ".join(words)
    if auth.issuer is not None:
        claims["iss"] = auth.issuer
    if auth.audience is not None:
        claims["aud"] = auth.audience
    signer = PyJWS(algorithms=["HS256"], options={"enforce_minimum_key_length": True})
    token = signer.encode(json.dumps(claims, separators=(",", ":")).encode(), key, "HS256")
    if len(token) > MAX_TOKEN:
        raise ValueError(f"over {MAX_TOKEN} characters: too many patients or scopes for one token")
    return token
