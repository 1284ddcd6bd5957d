"""The attack set of threats A3 and A4: each is refused, all with the same words, each for its own reason.

An attack that fails for another reason than the one it tests proves nothing, so every row
names the reason. ``HONEST`` rows show that the same forge makes tokens which are taken.
"""

import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from wsserver.access import tokens
from wsserver.access.keys import KeyTable
from wsserver.access.refusal import AuthenticationFailed, Reason
from wsserver.access.tokens import TokenVerifier

NOW = 1_800_000_000
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
NO_SIGNATURE: Callable[[bytes], bytes] = lambda signed: b""  # noqa: E731 -- a value in a table


def header(**members: Any) -> dict[str, Any]:
    return {"alg": "HS256", "typ": "JWT", **members}


def with_header(**members: Any) -> Callable[[Any], str]:
    return lambda forge: forge.token(header=header(**members))


def with_claims(**changes: Any) -> Callable[[Any], str]:
    return lambda forge: forge.token(forge.claims(**changes))


def raw_claims(body: bytes) -> Callable[[Any], str]:
    return lambda forge: forge.token(body)


def raw_header(head: bytes) -> Callable[[Any], str]:
    return lambda forge: forge.token(header=head)


def unsigned(name: str) -> Callable[[Any], str]:
    return lambda forge: forge.token(header={"alg": name}, sign=NO_SIGNATURE)


def other_spelling(token: str, part: int) -> str:
    """The token with unused low bits set in the last letter of a part that has some."""
    parts = token.split(".")
    assert len(parts[part]) % 4 != 0
    last = LETTERS.index(parts[part][-1])
    parts[part] = parts[part][:-1] + LETTERS[last + 1]
    return ".".join(parts)


def hs_with_public_key(algorithm: str, form: str) -> Callable[[Any], str]:
    """The confusion attack: the public key, in a form the attacker has, as an HMAC secret."""

    def build(forge: Any) -> str:
        pem = forge.pem(algorithm)
        public = load_pem_public_key(pem.encode())
        key = {
            "pem": lambda: pem.encode(),
            "pem without newline": lambda: pem.strip().encode(),
            "der": lambda: public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
            "jwk": lambda: json.dumps(forge.jwk(algorithm)).encode(),
            "jwks": lambda: forge.jwks(forge.jwk(algorithm)),
            "ssh": lambda: public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH),
        }[form]()
        return forge.token(sign=lambda signed: forge.hs256(signed, key))

    return build


def truncated(algorithm: str, size: int) -> Callable[[Any], str]:
    return lambda forge: forge.token(
        algorithm=algorithm, sign=lambda signed: forge.signer(algorithm)(signed)[:size]
    )


def swapped_halves(signed_by: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    def sign(signed: bytes) -> bytes:
        signature = signed_by(signed)
        return signature[32:] + signature[:32]

    return sign


def der_signature(forge: Any) -> Callable[[bytes], bytes]:
    return lambda signed: forge.ec.sign(signed, ECDSA(SHA256()))


HS = ("HS256",)
MIXED = ("HS256", "ES256")

ATTACKS: list[tuple[str, tuple[str, ...], Callable[[Any], Any], Reason]] = [
    # alg none, in every dress
    ("none", HS, unsigned("none"), Reason.MALFORMED),
    ("None", HS, unsigned("None"), Reason.MALFORMED),
    ("nOnE", HS, unsigned("nOnE"), Reason.MALFORMED),
    ("none with a signature", HS, lambda f: f.token(header={"alg": "none"}), Reason.ALGORITHM),
    ("NONE with a signature", HS, lambda f: f.token(header={"alg": "NONE"}), Reason.ALGORITHM),
    ("empty alg", HS, lambda f: f.token(header={"alg": ""}), Reason.ALGORITHM),
    ("null alg", HS, lambda f: f.token(header={"alg": None}), Reason.ALGORITHM),
    ("list alg", HS, lambda f: f.token(header={"alg": ["HS256"]}), Reason.ALGORITHM),
    ("no alg", HS, lambda f: f.token(header={"typ": "JWT"}), Reason.ALGORITHM),
    ("lower case alg", HS, lambda f: f.token(header={"alg": "hs256"}), Reason.ALGORITHM),
    ("alg not allowed", HS, lambda f: f.token(header={"alg": "HS384"}), Reason.ALGORITHM),
    ("empty signature", HS, lambda f: f.token(sign=NO_SIGNATURE), Reason.MALFORMED),
    # the public key as a secret
    ("pem as secret, RS", ("RS256",), hs_with_public_key("RS256", "pem"), Reason.ALGORITHM),
    (
        "bare pem as secret, RS",
        ("RS256",),
        hs_with_public_key("RS256", "pem without newline"),
        Reason.ALGORITHM,
    ),
    ("der as secret, RS", ("RS256",), hs_with_public_key("RS256", "der"), Reason.ALGORITHM),
    ("jwk as secret, RS", ("RS256",), hs_with_public_key("RS256", "jwk"), Reason.ALGORITHM),
    ("jwks as secret, RS", ("RS256",), hs_with_public_key("RS256", "jwks"), Reason.ALGORITHM),
    ("ssh as secret, RS", ("RS256",), hs_with_public_key("RS256", "ssh"), Reason.ALGORITHM),
    ("pem as secret, EdDSA", ("EdDSA",), hs_with_public_key("EdDSA", "pem"), Reason.ALGORITHM),
    ("pem as secret beside a secret", MIXED, hs_with_public_key("ES256", "pem"), Reason.SIGNATURE),
    ("der as secret beside a secret", MIXED, hs_with_public_key("ES256", "der"), Reason.SIGNATURE),
    ("jwk as secret beside a secret", MIXED, hs_with_public_key("ES256", "jwk"), Reason.SIGNATURE),
    (
        "ES256 token, HMAC signature",
        MIXED,
        lambda f: f.token(algorithm="ES256", sign=f.hs256),
        Reason.SIGNATURE,
    ),
    # broken signatures
    ("another secret", HS, lambda f: f.token(sign=lambda s: f.hs256(s, b"x" * 32)), Reason.SIGNATURE),
    ("empty secret", HS, lambda f: f.token(sign=lambda s: f.hs256(s, b"")), Reason.SIGNATURE),
    (
        "ES256 r=s=0",
        ("ES256",),
        lambda f: f.token(algorithm="ES256", sign=lambda s: bytes(64)),
        Reason.SIGNATURE,
    ),
    (
        "ES256 r=s=1",
        ("ES256",),
        lambda f: f.token(algorithm="ES256", sign=lambda s: (bytes(31) + b"\1") * 2),
        Reason.SIGNATURE,
    ),
    (
        "ES256 halves swapped",
        ("ES256",),
        lambda f: f.token(algorithm="ES256", sign=swapped_halves(f.signer("ES256"))),
        Reason.SIGNATURE,
    ),
    (
        "ES256 in DER",
        ("ES256",),
        lambda f: f.token(algorithm="ES256", sign=der_signature(f)),
        Reason.SIGNATURE,
    ),
    ("ES256 of 63 bytes", ("ES256",), truncated("ES256", 63), Reason.SIGNATURE),
    ("HS256 of 31 bytes", HS, truncated("HS256", 31), Reason.SIGNATURE),
    ("HS256 of 1 byte", HS, truncated("HS256", 1), Reason.SIGNATURE),
    ("RS256 of 255 bytes", ("RS256",), truncated("RS256", 255), Reason.SIGNATURE),
    ("EdDSA of 32 bytes", ("EdDSA",), truncated("EdDSA", 32), Reason.SIGNATURE),
    (
        "EdDSA of zeros",
        ("EdDSA",),
        lambda f: f.token(algorithm="EdDSA", sign=lambda s: bytes(64)),
        Reason.SIGNATURE,
    ),
    # spellings
    ("padding", HS, lambda f: f.token() + "=", Reason.MALFORMED),
    ("non-canonical signature", HS, lambda f: other_spelling(f.token(), 2), Reason.MALFORMED),
    (
        "non-canonical payload",
        HS,
        lambda f: other_spelling(f.token(f.claims(sub="u1x")), 1),
        Reason.MALFORMED,
    ),
    (
        "standard base64 alphabet",
        HS,
        lambda f: f.token(f.claims(sub="u1", x="ÿÿÿ~~~???")) + "+/",
        Reason.MALFORMED,
    ),
    ("newline at the end", HS, lambda f: f.token() + "\n", Reason.MALFORMED),
    ("space in front", HS, lambda f: " " + f.token(), Reason.MALFORMED),
    ("not ASCII", HS, lambda f: f.token() + "é", Reason.MALFORMED),
    ("two parts", HS, lambda f: f.token().rpartition(".")[0], Reason.MALFORMED),
    ("four parts", HS, lambda f: f.token() + ".AAAA", Reason.MALFORMED),
    (
        "JWE of five parts",
        HS,
        lambda f: f.token(header={"alg": "dir", "enc": "A256GCM"}) + ".AAAA.AAAA",
        Reason.MALFORMED,
    ),
    ("empty", HS, lambda f: "", Reason.MALFORMED),
    ("dots only", HS, lambda f: "..", Reason.MALFORMED),
    ("bytes", HS, lambda f: f.token().encode(), Reason.MALFORMED),
    ("nothing", HS, lambda f: None, Reason.MALFORMED),
    ("one character", HS, lambda f: "A.A.A", Reason.MALFORMED),
    # JSON
    ("header with BOM", HS, raw_header(b'\xef\xbb\xbf{"alg":"HS256"}'), Reason.HEADER),
    ("header in UTF-16", HS, raw_header('{"alg":"HS256"}'.encode("utf-16")), Reason.HEADER),
    ("alg twice", HS, raw_header(b'{"alg":"none","alg":"HS256"}'), Reason.HEADER),
    ("header is a list", HS, raw_header(b'["HS256"]'), Reason.HEADER),
    (
        "header nested 1,500 deep",
        HS,
        raw_header(b'{"alg":"HS256","x":' + b"[" * 1500 + b"]" * 1500 + b"}"),
        Reason.HEADER,
    ),
    ("header nested 100k deep", HS, raw_header(b"[" * 100_000), Reason.TOO_LONG),
    ("header of 64 KB", HS, with_header(x="x" * 65_536), Reason.TOO_LONG),
    (
        "payload with BOM",
        HS,
        lambda f: f.token(b"\xef\xbb\xbf" + json.dumps(f.claims()).encode()),
        Reason.PAYLOAD,
    ),
    (
        "sub twice",
        HS,
        raw_claims(b'{"sub":"u1","sub":"admin","role":"doctor","exp":1800000600}'),
        Reason.PAYLOAD,
    ),
    ("exp twice", HS, raw_claims(b'{"sub":"u1","role":"doctor","exp":1,"exp":1800000600}'), Reason.PAYLOAD),
    ("payload is a list", HS, raw_claims(b"[]"), Reason.PAYLOAD),
    ("payload is text", HS, raw_claims(b"u1"), Reason.PAYLOAD),
    (
        "payload nested 2,500 deep",
        HS,
        raw_claims(b'{"sub":' + b"[" * 2500 + b"]" * 2500 + b"}"),
        Reason.PAYLOAD,
    ),
    ("payload nested 100k deep", HS, raw_claims(b"[" * 100_000 + b"]" * 100_000), Reason.TOO_LONG),
    ("payload of 64 KB", HS, with_claims(x="x" * 65_536), Reason.TOO_LONG),
    # header members that would change what is checked, or by whose key
    ("crit", HS, with_header(crit=["exp"], exp=1), Reason.HEADER),
    ("empty crit", HS, with_header(crit=[]), Reason.HEADER),
    ("crit b64", HS, with_header(crit=["b64"], b64=False), Reason.HEADER),
    ("b64 without crit", HS, with_header(b64=False), Reason.HEADER),
    ("kid is a path", HS, with_header(kid="../../../../dev/null"), Reason.UNKNOWN_KEY),
    ("kid is SQL", HS, with_header(kid="' OR 1=1 --"), Reason.UNKNOWN_KEY),
    ("kid is a URL", HS, with_header(kid="http://127.0.0.1:9/key"), Reason.UNKNOWN_KEY),
    ("kid is empty", HS, with_header(kid=""), Reason.UNKNOWN_KEY),
    ("kid is a number", HS, with_header(kid=0), Reason.HEADER),
    ("kid is null", HS, with_header(kid=None), Reason.HEADER),
    ("kid is a list", HS, with_header(kid=["k"]), Reason.HEADER),
    ("kid of 4 KB", HS, with_header(kid="k" * 4096), Reason.HEADER),
    ("kid of 1 MB", HS, with_header(kid="k" * 1_000_000), Reason.TOO_LONG),
    (
        "own key in jwk",
        ("ES256",),
        lambda f: f.token(header={"alg": "RS256", "jwk": f.jwk("RS256")}, sign=f.signer("RS256")),
        Reason.ALGORITHM,
    ),
    (
        "jku and x5u",
        ("ES256",),
        lambda f: f.token(
            header={"alg": "ES256", "jku": "http://127.0.0.1:9/", "x5u": "http://127.0.0.1:9/"},
            sign=lambda s: bytes(range(64)),
        ),
        Reason.SIGNATURE,
    ),
    # times
    ("no exp", HS, with_claims(exp=...), Reason.EXPIRY),
    ("exp null", HS, with_claims(exp=None), Reason.EXPIRY),
    ("exp text", HS, with_claims(exp="9999999999"), Reason.EXPIRY),
    ("exp float", HS, with_claims(exp=NOW + 600.0), Reason.EXPIRY),
    ("exp 1e300", HS, with_claims(exp=1e300), Reason.EXPIRY),
    ("exp true", HS, with_claims(exp=True), Reason.EXPIRY),
    ("exp list", HS, with_claims(exp=[NOW + 600]), Reason.EXPIRY),
    ("exp negative", HS, with_claims(exp=-1), Reason.EXPIRY),
    ("exp of 100 digits", HS, with_claims(exp=10**100), Reason.EXPIRY),
    (
        "exp of 5,000 digits",
        HS,
        raw_claims(b'{"sub":"u1","role":"doctor","exp":' + b"9" * 5000 + b"}"),
        Reason.PAYLOAD,
    ),
    ("exp 1e999", HS, raw_claims(b'{"sub":"u1","role":"doctor","exp":1e999}'), Reason.EXPIRY),
    ("exp Infinity", HS, raw_claims(b'{"sub":"u1","role":"doctor","exp":Infinity}'), Reason.PAYLOAD),
    ("exp NaN", HS, raw_claims(b'{"sub":"u1","role":"doctor","exp":NaN}'), Reason.PAYLOAD),
    ("expired", HS, with_claims(exp=NOW - 6), Reason.EXPIRED),
    ("exp zero", HS, with_claims(exp=0), Reason.EXPIRED),
    ("nbf in the future", HS, with_claims(nbf=NOW + 6), Reason.NOT_BEFORE),
    ("nbf text", HS, with_claims(nbf="0"), Reason.NOT_BEFORE),
    ("nbf true", HS, with_claims(nbf=True), Reason.NOT_BEFORE),
    ("iat in the future", HS, with_claims(iat=NOW + 6), Reason.ISSUED_AT),
    ("iat float", HS, with_claims(iat=1.5), Reason.ISSUED_AT),
    ("iat null", HS, with_claims(iat=None), Reason.ISSUED_AT),
    # identity
    ("no sub", HS, with_claims(sub=...), Reason.SUBJECT),
    ("sub empty", HS, with_claims(sub=""), Reason.SUBJECT),
    ("sub with a slash", HS, with_claims(sub="u/1"), Reason.SUBJECT),
    ("sub in full width", HS, with_claims(sub="ｕ1"), Reason.SUBJECT),
    ("sub float", HS, with_claims(sub=1.0), Reason.SUBJECT),
    ("sub true", HS, with_claims(sub=True), Reason.SUBJECT),
    ("sub with a newline", HS, with_claims(sub="u1\n"), Reason.SUBJECT),
    ("no role", HS, with_claims(role=...), Reason.ROLE),
    ("role list", HS, with_claims(role=["doctor"]), Reason.ROLE),
    ("role with a space", HS, with_claims(role="doctor "), Reason.ROLE),
    ("jti number", HS, with_claims(jti=7), Reason.TOKEN_ID),
    ("patients null", HS, with_claims(patients=None), Reason.PATIENTS),
    ("patients text", HS, with_claims(patients="1,2"), Reason.PATIENTS),
    ("patients with a star among them", HS, with_claims(patients=["1", "*"]), Reason.PATIENTS),
    ("patients nested", HS, with_claims(patients=[["1"]]), Reason.PATIENTS),
    ("patients object", HS, with_claims(patients={"1": True}), Reason.PATIENTS),
    ("scope list", HS, with_claims(scope=["admin:write"]), Reason.SCOPE),
    ("scope with a tab", HS, with_claims(scope="a\tb"), Reason.SCOPE),
    ("aud for nobody", HS, with_claims(aud="another service"), Reason.AUDIENCE),
]


@pytest.fixture
def verifier_for(forge: Any, make_auth: Any, clock: Any) -> Callable[[tuple[str, ...]], TokenVerifier]:
    def make(algorithms: tuple[str, ...]) -> TokenVerifier:
        public = [name for name in algorithms if name != "HS256"]
        auth = make_auth(
            algorithms=algorithms,
            secret=forge.secret if "HS256" in algorithms else None,
            public_key=forge.pem(public[0]) if public else None,
        )
        return TokenVerifier(auth, KeyTable(auth, clock), clock)

    return make


@pytest.mark.parametrize("algorithms", [HS, ("RS256",), ("ES256",), ("EdDSA",), MIXED], ids="+".join)
def test_an_honest_token_of_each_verifier_is_taken(
    forge: Any, verifier_for: Any, algorithms: tuple[str, ...]
) -> None:
    for algorithm in algorithms:
        claims = verifier_for(algorithms).verify_now(forge.token(algorithm=algorithm))
        assert claims.user_id == "u1"


@pytest.mark.parametrize(
    ("algorithms", "build", "reason"), [row[1:] for row in ATTACKS], ids=[r[0] for r in ATTACKS]
)
async def test_an_attack_is_refused_for_its_own_reason_with_the_common_text(
    forge: Any, verifier_for: Any, algorithms: tuple[str, ...], build: Any, reason: Reason
) -> None:
    token = build(forge)
    verifier = verifier_for(algorithms)
    with pytest.raises(AuthenticationFailed) as now:
        verifier.verify_now(token)
    with pytest.raises(AuthenticationFailed) as later:
        await verifier.verify(token)
    for caught in (now.value, later.value):
        assert caught.reason is reason
        assert str(caught) == "1001 authentication_failed: Authentication failed."
        assert caught.as_dict() == {
            "code": 1001,
            "name": "authentication_failed",
            "message": "Authentication failed.",
        }
        # Nothing hangs on it that could carry parts of the token into a crash report.
        assert caught.__cause__ is None
        assert caught.__context__ is None


def test_the_set_is_as_large_as_threat_a3_asks() -> None:
    assert len({name for name, *_ in ATTACKS}) == len(ATTACKS) >= 60


def test_every_bit_of_a_signature_counts(forge: Any, verifier_for: Any) -> None:
    verifier = verifier_for(HS)
    for byte in range(32):
        for bit in range(8):

            def flipped(signed: bytes, byte: int = byte, bit: int = bit) -> bytes:
                signature = bytearray(forge.hs256(signed))
                signature[byte] ^= 1 << bit
                return bytes(signature)

            with pytest.raises(AuthenticationFailed):
                verifier.verify_now(forge.token(sign=flipped))


def test_no_file_is_opened_for_a_hostile_header(forge: Any, verifier_for: Any, monkeypatch: Any) -> None:
    verifier = verifier_for(("ES256",))
    hostile = [
        forge.token(
            header={"alg": "ES256", "kid": kid, "jku": "file:///etc/passwd", "x5u": "/etc/passwd"},
            sign=forge.signer("ES256"),
        )
        for kid in ("/etc/passwd", "../../dev/null", "file:///etc/passwd")
    ]

    def forbidden(*arguments: object, **named: object) -> None:
        raise AssertionError("a token made the server reach out")

    monkeypatch.setattr("builtins.open", forbidden)
    monkeypatch.setattr("io.open", forbidden)
    monkeypatch.setattr("socket.socket", forbidden)
    for token in hostile:
        with pytest.raises(AuthenticationFailed) as caught:
            verifier.verify_now(token)
        assert caught.value.reason is Reason.UNKNOWN_KEY


def test_what_is_not_signed_never_reaches_the_payload_parser(
    forge: Any, verifier_for: Any, monkeypatch: Any
) -> None:
    seen: list[bytes] = []
    real = tokens.parse_object
    monkeypatch.setattr(tokens, "parse_object", lambda raw: seen.append(raw) or real(raw))
    tokens._read_header.cache_clear()
    verifier = verifier_for(HS)
    with pytest.raises(AuthenticationFailed):
        verifier.verify_now(forge.token(b'{"evil": 1}', sign=lambda signed: bytes(32)))
    assert seen == [b'{"alg": "HS256", "typ": "JWT"}']
