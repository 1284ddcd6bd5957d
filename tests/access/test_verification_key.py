from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from jwt import get_algorithm_by_name

from wsserver.access.verification_key import ALGORITHMS, KeyFault, VerificationKey

ASYMMETRIC = ("RS256", "ES256", "EdDSA")


@pytest.mark.parametrize("algorithm", ASYMMETRIC)
def test_a_pem_key_serves_the_algorithm_of_its_kind(forge: Any, algorithm: str) -> None:
    key = VerificationKey.from_pem(forge.pem(algorithm), ALGORITHMS)
    assert key.algorithm == algorithm
    assert key.verify(b"data", forge.signer(algorithm)(b"data"))
    assert not key.verify(b"datA", forge.signer(algorithm)(b"data"))


@pytest.mark.parametrize("algorithm", ASYMMETRIC)
@pytest.mark.parametrize("named", [True, False])
def test_a_jwk_with_or_without_alg_serves_the_algorithm_of_its_kind(
    forge: Any, algorithm: str, named: bool
) -> None:
    extra = {"alg": algorithm} if named else {}
    key = VerificationKey.from_jwk(forge.jwk(algorithm, kid="k", **extra), ALGORITHMS)
    assert (key.algorithm, key.kid) == (algorithm, "k")
    assert key.verify(b"data", forge.signer(algorithm)(b"data"))


def test_a_secret_of_32_bytes_is_the_shortest() -> None:
    assert VerificationKey.from_secret("s" * 32).algorithm == "HS256"
    with pytest.raises(KeyFault):
        VerificationKey.from_secret("s" * 31)
    with pytest.raises(KeyFault):
        VerificationKey.from_secret("")


@pytest.mark.parametrize("algorithm", ASYMMETRIC)
def test_a_public_key_is_no_secret(forge: Any, algorithm: str) -> None:
    with pytest.raises(KeyFault):
        VerificationKey.from_secret(forge.pem(algorithm))
    with pytest.raises(KeyFault):
        VerificationKey.from_secret(forge.jwks(forge.jwk(algorithm)).decode())


@pytest.mark.parametrize("algorithm", ASYMMETRIC)
def test_a_key_refuses_the_algorithm_of_another_kind(forge: Any, algorithm: str) -> None:
    for other in ALGORITHMS:
        if other != algorithm:
            with pytest.raises(KeyFault):
                VerificationKey(other, forge.pem(algorithm))


def test_an_algorithm_that_is_not_allowed_finds_no_key(forge: Any) -> None:
    with pytest.raises(KeyFault):
        VerificationKey.from_pem(forge.pem("RS256"), ["ES256", "HS256"])
    with pytest.raises(KeyFault):
        VerificationKey.from_jwk(forge.jwk("RS256"), ["ES256", "HS256"])


def test_a_private_key_in_pem_is_refused(forge: Any) -> None:
    private = forge.rsa.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    with pytest.raises(KeyFault):
        VerificationKey.from_pem(private, ALGORITHMS)
    with pytest.raises(KeyFault):
        VerificationKey("RS256", private)


@pytest.mark.parametrize(
    "private",
    [
        rsa.generate_private_key(65537, 1024),
        ec.generate_private_key(ec.SECP384R1()),
        ed448.Ed448PrivateKey.generate(),
    ],
    ids=["RSA of 1024 bits", "P-384", "Ed448"],
)
def test_short_and_foreign_public_keys_are_refused(private: Any) -> None:
    pem = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    with pytest.raises(KeyFault):
        VerificationKey.from_pem(pem, ALGORITHMS)


@pytest.mark.parametrize("algorithm", ASYMMETRIC)
def test_a_private_jwk_is_refused(forge: Any, algorithm: str) -> None:
    with pytest.raises(KeyFault, match="not public"):
        VerificationKey.from_jwk(forge.jwk(algorithm, private=True), ALGORITHMS)


def test_a_symmetric_jwk_is_refused() -> None:
    jwk = get_algorithm_by_name("HS256").to_jwk("s" * 32, as_dict=True)
    with pytest.raises(KeyFault, match="not public"):
        VerificationKey.from_jwk(jwk, ALGORITHMS)


@pytest.mark.parametrize(
    "changes",
    [
        {"alg": "ES256"},
        {"alg": "HS256"},
        {"alg": "none"},
        {"alg": "RS512"},
        {"alg": None},
        {"use": "enc"},
        {"key_ops": ["encrypt"]},
        {"key_ops": "verify"},
        {"kid": 7},
        {"kty": "EC"},
        {"kty": ["RSA"]},
        {"crv": "P-256"},
        {"crv": {}},
        {"n": "!!"},
        {"n": 5},
        {"n": ""},
        {"e": "AQ"},
    ],
    ids=str,
)
def test_a_jwk_that_contradicts_itself_is_refused(forge: Any, changes: dict[str, Any]) -> None:
    with pytest.raises(KeyFault) as caught:
        VerificationKey.from_jwk(forge.jwk("RS256") | changes, ALGORITHMS)
    assert caught.value.__context__ is None


def test_a_fault_does_not_quote_the_key() -> None:
    secret = "-----BEGIN PUBLIC KEY-----hunter2hunter2-----END PUBLIC KEY-----"
    for attempt in (VerificationKey.from_secret, lambda text: VerificationKey.from_pem(text, ALGORITHMS)):
        with pytest.raises(KeyFault) as caught:
            attempt(secret)
        assert "hunter2" not in str(caught.value)
        assert caught.value.__context__ is None


def test_an_unknown_algorithm_is_refused() -> None:
    for name in ("none", "HS512", "PS256", ""):
        with pytest.raises(KeyFault):
            VerificationKey(name, b"s" * 64)
