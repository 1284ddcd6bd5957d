"""A clock moved by hand, settings, keys and a forge that signs whatever it is given."""

import hashlib
import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt import get_algorithm_by_name

from wsserver.access.claims import Claims

NOW = 1_800_000_000.0
SECRET = "0123456789abcdef0123456789abcdef-not-a-real-secret"


class HandClock:
    def __init__(self) -> None:
        self.wall = NOW
        self.mono = 5000.0

    def monotonic(self) -> float:
        return self.mono

    def time(self) -> float:
        return self.wall

    def advance(self, seconds: float) -> None:
        self.wall += seconds
        self.mono += seconds


@dataclass(frozen=True)
class Auth:
    """The ``auth`` section, as far as tokens and keys need it."""

    algorithms: tuple[str, ...] = ("HS256",)
    secret: str | None = SECRET
    public_key: str | None = None
    jwks_url: str | None = None
    jwks_file: str | None = None
    jwks_refresh_min: float = 30.0
    issuer: str | None = None
    audience: str | None = None
    leeway: float = 5.0
    max_token_lifetime: float | None = None


@dataclass(frozen=True)
class Role:
    subscribe: tuple[str, ...] = ("*",)
    wildcard: bool = False
    all_patients: bool = False
    publish: tuple[str, ...] = ()
    publish_types: tuple[str, ...] = ()
    break_glass: bool = False


@dataclass(frozen=True)
class Access:
    roles: dict[str, Role] = field(
        default_factory=lambda: {"doctor": Role(), "chief": Role(all_patients=True)}
    )


def b64(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


class Forge:
    """Builds tokens byte by byte, so that broken ones can be signed as well as good ones.

    ``token(claims, header)`` takes dicts or raw bytes; ``signer`` maps the signing input
    to the signature and defaults to HS256 with the server's secret.
    """

    secret = SECRET

    def __init__(self) -> None:
        self.rsa = rsa.generate_private_key(65537, 2048)
        self.ec = ec.generate_private_key(ec.SECP256R1())
        self.ed = ed25519.Ed25519PrivateKey.generate()

    @staticmethod
    def b64(raw: bytes) -> str:
        return b64(raw)

    def claims(self, **changes: Any) -> dict[str, Any]:
        """The claims of a good token, with changes; a value of ``...`` takes the claim out."""
        good = {"sub": "u1", "role": "doctor", "exp": int(NOW) + 600, "iat": int(NOW) - 10, "jti": "t1"}
        return {name: value for name, value in (good | changes).items() if value is not ...}

    def hs256(self, signed: bytes, key: bytes | None = None) -> bytes:
        return hmac.new(SECRET.encode() if key is None else key, signed, hashlib.sha256).digest()

    def signer(self, algorithm: str) -> Callable[[bytes], bytes]:
        if algorithm == "HS256":
            return self.hs256
        private = {"RS256": self.rsa, "ES256": self.ec, "EdDSA": self.ed}[algorithm]
        return lambda signed: get_algorithm_by_name(algorithm).sign(signed, private)

    def token(
        self,
        claims: dict[str, Any] | bytes | None = None,
        header: dict[str, Any] | bytes | None = None,
        *,
        algorithm: str = "HS256",
        sign: Callable[[bytes], bytes] | None = None,
    ) -> str:
        head = {"alg": algorithm, "typ": "JWT"} if header is None else header
        body = self.claims() if claims is None else claims
        parts = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in (head, body)]
        signed = ".".join(b64(part) for part in parts)
        signature = (self.signer(algorithm) if sign is None else sign)(signed.encode())
        return f"{signed}.{b64(signature)}"

    def pem(self, algorithm: str) -> str:
        private = {"RS256": self.rsa, "ES256": self.ec, "EdDSA": self.ed}[algorithm]
        spki = PublicFormat.SubjectPublicKeyInfo
        return private.public_key().public_bytes(Encoding.PEM, spki).decode()

    def jwk(self, algorithm: str, *, private: bool = False, **members: Any) -> dict[str, Any]:
        key = {"RS256": self.rsa, "ES256": self.ec, "EdDSA": self.ed}[algorithm]
        out = get_algorithm_by_name(algorithm).to_jwk(key if private else key.public_key(), as_dict=True)
        out.pop("key_ops", None)
        return {**out, **members}

    def jwks(self, *keys: dict[str, Any]) -> bytes:
        return json.dumps({"keys": keys}).encode()


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture(scope="session")
def forge() -> Forge:
    return Forge()


@pytest.fixture
def make_auth() -> type[Auth]:
    return Auth


@pytest.fixture
def make_access() -> type[Access]:
    return Access


@pytest.fixture
def make_role() -> type[Role]:
    return Role


@pytest.fixture
def make_claims() -> Callable[..., Claims]:
    def make(**changes: Any) -> Claims:
        values: dict[str, Any] = {
            "user_id": "u1",
            "role": "doctor",
            "expires_at": int(NOW) + 600,
            "issued_at": int(NOW) - 10,
            "token_id": "t1",
            "patients": None,
            "rest_scopes": frozenset(),
            "fingerprint": b"one token",
            "raw": {},
        }
        return Claims(**(values | changes))

    return make
