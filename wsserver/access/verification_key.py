"""A key that checks signatures, bound to one algorithm for its whole life."""

from collections.abc import Collection, Mapping
from typing import Any, Final, Self

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

ALGORITHMS: Final = ("HS256", "RS256", "ES256", "EdDSA")
"""What ``auth.algorithms`` may name."""

_PRIVATE_MEMBERS: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_JWK_ALGORITHMS: Final = {
    ("RSA", None): "RS256",
    ("EC", "P-256"): "ES256",
    ("OKP", "Ed25519"): "EdDSA",
}


class KeyFault(ValueError):
    """A key cannot be used. The text says why and never carries the key."""


class VerificationKey:
    """Checks signatures of exactly one algorithm.

    The algorithm belongs to the key, so a token cannot choose how a key is used (RFC 8725
    section 3.1). Lengths are checked once, here: 32 bytes for HS256 (RFC 7518 section 3.2),
    2048 bits for RS256.
    """

    __slots__ = ("_key", "_verifier", "algorithm", "kid")

    def __init__(self, algorithm: str, key: object, kid: str | None = None) -> None:
        """Raises KeyFault for an unknown algorithm, a wrong kind of key or a short one."""
        if algorithm not in ALGORITHMS:
            raise KeyFault(f"the algorithm must be one of {', '.join(ALGORITHMS)}")
        fault = None
        self.algorithm = algorithm
        self.kid = kid
        self._verifier = jwt.get_algorithm_by_name(algorithm)
        try:
            self._key = self._verifier.prepare_key(key)
        except (jwt.PyJWTError, ValueError, TypeError):
            fault = f"the key is not one for {algorithm}"
        # Raised here, not in the handler: what PyJWT reports may quote the key.
        if fault is None and algorithm != "HS256" and algorithm != _algorithm_of(self._key):
            fault = f"the key is not a public key for {algorithm}"
        if fault is None:
            fault = self._verifier.check_key_length(self._key)
        if fault is not None:
            raise KeyFault(fault)

    def verify(self, signed: bytes, signature: bytes) -> bool:
        """Whether ``signature`` over ``signed`` was made with the counterpart of this key."""
        return self._verifier.verify(signed, self._key, signature)

    @classmethod
    def from_secret(cls, secret: str) -> Self:
        """A shared secret, for HS256. Public keys and JWKs are refused as secrets."""
        return cls("HS256", secret.encode())

    @classmethod
    def from_pem(cls, pem: str, algorithms: Collection[str]) -> Self:
        """A public key in PEM; its kind decides which of ``algorithms`` it serves."""
        try:
            key = load_pem_public_key(pem.encode())
        except (ValueError, TypeError, UnsupportedAlgorithm):
            key = None
        if key is None:
            raise KeyFault("the text is no public key in PEM (BEGIN PUBLIC KEY)")
        algorithm = _algorithm_of(key)
        if algorithm is None or algorithm not in algorithms:
            raise KeyFault("the public key fits none of the algorithms that are allowed")
        return cls(algorithm, key)

    @classmethod
    def from_jwk(cls, jwk: Mapping[str, Any], algorithms: Collection[str]) -> Self:
        """One member of a key set (RFC 7517).

        Raises KeyFault for symmetric and private keys (whoever publishes one has lost it),
        for keys not meant for signatures and where ``alg`` contradicts the kind of key.
        """
        if jwk.get("kty") == "oct" or not _PRIVATE_MEMBERS.isdisjoint(jwk):
            raise KeyFault("the key is not public")
        if jwk.get("use", "sig") != "sig" or "verify" not in _text_list(jwk.get("key_ops", ["verify"])):
            raise KeyFault("the key is not for signatures")
        kind, curve = jwk.get("kty"), jwk.get("crv")
        if not isinstance(kind, str) or not isinstance(curve, str | None):
            raise KeyFault("the kind of key is unknown")
        algorithm = _JWK_ALGORITHMS.get((kind, curve))
        if algorithm is None or algorithm not in algorithms:
            raise KeyFault("the key fits none of the algorithms that are allowed")
        if jwk.get("alg", algorithm) != algorithm:
            raise KeyFault("the key's algorithm contradicts its kind or is not allowed")
        kid = jwk.get("kid")
        if not isinstance(kid, str | None):
            raise KeyFault("the key's id is not text")
        try:
            key = jwt.get_algorithm_by_name(algorithm).from_jwk(dict(jwk))
        except (jwt.PyJWTError, ValueError, TypeError, KeyError, UnsupportedAlgorithm):
            key = None
        if key is None:
            raise KeyFault("the key cannot be read")
        return cls(algorithm, key, kid)


def _algorithm_of(key: object) -> str | None:
    if isinstance(key, RSAPublicKey):
        return "RS256"
    if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
        return "ES256"
    if isinstance(key, Ed25519PublicKey):
        return "EdDSA"
    return None


def _text_list(value: object) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
