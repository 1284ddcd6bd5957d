"""What a token says, once its signature holds: read strictly, never guessed."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, Literal, NoReturn, Protocol

import msgspec

from wsserver.access.refusal import AuthenticationFailed, Reason
from wsserver.ids import InvalidId, canonical_id, shared

MAX_LEEWAY: Final = 30
"""Seconds by which clocks may differ at most (threat A4)."""

MAX_TIME: Final = 253_402_300_799
"""The last second of the year 9999; later times are mistakes and would overflow timers."""

MAX_TOKEN_ID: Final = 256

_SCOPE = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+", re.ASCII)
"""RFC 6749 section 3.3, scope-token."""

PatientClaim = frozenset[str] | Literal["*"] | None
"""Patients a token names; ``*`` is every patient, None is a token that does not say."""


class Claims(msgspec.Struct, frozen=True, eq=False):
    """The verified claims of one token. No repr of its own, for it would show whom the user may see."""

    user_id: str
    role: str
    expires_at: int
    issued_at: int | None
    token_id: str | None
    patients: PatientClaim
    rest_scopes: frozenset[str]
    fingerprint: bytes
    """Equal for equal tokens; tells nothing about the token."""
    raw: Mapping[str, Any]
    """Every claim as signed, for an ``AccessProvider``; empty where the claims are kept with a connection."""

    __repr__ = object.__repr__

    def kept(self) -> "Claims":
        """A copy for as long as the connection lives, without what only an access provider asks for."""
        return msgspec.structs.replace(self, raw=NOTHING, fingerprint=b"")


_NO_SCOPES: Final[frozenset[str]] = frozenset()
NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


class ClaimSettings(Protocol):
    """The part of the ``auth`` section that claims are held against."""

    @property
    def issuer(self) -> str | None: ...
    @property
    def audience(self) -> str | None: ...
    @property
    def leeway(self) -> float: ...
    @property
    def max_token_lifetime(self) -> float | None: ...


class ClaimRules:
    """Turns a signed payload into ``Claims`` or refuses it."""

    def __init__(self, auth: ClaimSettings) -> None:
        """Raises ValueError for a leeway outside 0 to 30 seconds."""
        if not 0 <= auth.leeway <= MAX_LEEWAY:
            raise ValueError(f"auth.leeway must be from 0 to {MAX_LEEWAY} seconds")
        self._issuer = auth.issuer
        self._audience = auth.audience
        self._leeway = auth.leeway
        self._max_lifetime = auth.max_token_lifetime

    def read(self, payload: Mapping[str, Any], fingerprint: bytes, now: float) -> Claims:
        """The claims, valid at ``now`` (seconds since 1970). Raises AuthenticationFailed."""
        expires_at, issued_at = self._check_times(payload, now)
        self._check_parties(payload)
        return Claims(
            user_id=_identity(payload, "sub", Reason.SUBJECT),
            # Roles are few, and each token brings the text of its own.
            role=shared(_identity(payload, "role", Reason.ROLE)),
            expires_at=expires_at,
            issued_at=issued_at,
            token_id=_token_id(payload),
            patients=_patients(payload),
            rest_scopes=_scopes(payload),
            fingerprint=fingerprint,
            raw=payload,
        )

    def _check_times(self, payload: Mapping[str, Any], now: float) -> tuple[int, int | None]:
        expires_at = _time(payload, "exp", Reason.EXPIRY)
        if expires_at is None:
            raise AuthenticationFailed(Reason.EXPIRY)
        if expires_at <= now - self._leeway:
            raise AuthenticationFailed(Reason.EXPIRED)
        issued_at = _time(payload, "iat", Reason.ISSUED_AT)
        if issued_at is not None and issued_at > now + self._leeway:
            raise AuthenticationFailed(Reason.ISSUED_AT)
        not_before = _time(payload, "nbf", Reason.NOT_BEFORE)
        if not_before is not None and not_before > now + self._leeway:
            raise AuthenticationFailed(Reason.NOT_BEFORE)
        # Without iat a token of ten years would pass in its last hour, so a limit demands it.
        if self._max_lifetime is not None and (
            issued_at is None or expires_at - issued_at > self._max_lifetime
        ):
            raise AuthenticationFailed(Reason.LIFETIME)
        return expires_at, issued_at

    def _check_parties(self, payload: Mapping[str, Any]) -> None:
        if self._issuer is not None and payload.get("iss") != self._issuer:
            raise AuthenticationFailed(Reason.ISSUER)
        audience = payload.get("aud")
        if self._audience is None:
            # RFC 7519 section 4.1.3: a token for somebody must be refused by whoever is nobody.
            if audience is not None:
                raise AuthenticationFailed(Reason.AUDIENCE)
        elif audience != self._audience and not (isinstance(audience, list) and self._audience in audience):
            raise AuthenticationFailed(Reason.AUDIENCE)


def valid_scope(word: str) -> bool:
    """Whether ``word`` may stand in a ``scope`` claim."""
    return _SCOPE.fullmatch(word) is not None


def _time(payload: Mapping[str, Any], name: str, reason: Reason) -> int | None:
    value = payload.get(name)
    if name not in payload:
        return None
    # type(), not isinstance: True is an int to Python.
    if type(value) is not int or not 0 <= value <= MAX_TIME:
        raise AuthenticationFailed(reason)
    return value


def _identity(payload: Mapping[str, Any], name: str, reason: Reason) -> str:
    text = _canonical(payload.get(name))
    return text if text is not None else _refuse(reason)


def _token_id(payload: Mapping[str, Any]) -> str | None:
    token_id = payload.get("jti")
    if "jti" not in payload:
        return None
    if not isinstance(token_id, str) or not 0 < len(token_id) <= MAX_TOKEN_ID:
        raise AuthenticationFailed(Reason.TOKEN_ID)
    return token_id


def _patients(payload: Mapping[str, Any]) -> PatientClaim:
    value = payload.get("patients")
    if "patients" not in payload:
        return None
    if value == "*":
        return "*"
    if not isinstance(value, list):
        raise AuthenticationFailed(Reason.PATIENTS)
    return frozenset(_canonical(item) or _refuse(Reason.PATIENTS) for item in value)


def _scopes(payload: Mapping[str, Any]) -> frozenset[str]:
    value = payload.get("scope", "")
    if not isinstance(value, str):
        raise AuthenticationFailed(Reason.SCOPE)
    if not value:
        return _NO_SCOPES
    words = frozenset(word for word in value.split(" ") if word)
    if not all(valid_scope(word) for word in words):
        raise AuthenticationFailed(Reason.SCOPE)
    return words


def _canonical(value: object) -> str | None:
    # Returned, not raised: a refusal raised in the handler would carry this fault along.
    try:
        return canonical_id(value)
    except InvalidId:
        return None


def _refuse(reason: Reason) -> NoReturn:
    raise AuthenticationFailed(reason)
