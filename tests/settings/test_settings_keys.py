from typing import Any

import pytest

from wsserver.settings import AuthSettings
from wsserver.settings.keys import find_key_faults

SECRET = "canary-7f3a-canary-7f3a-canary-7f3a"
PUBLIC = "-----BEGIN PUBLIC KEY-----\ncanary\n-----END PUBLIC KEY-----"
PRIVATE = "-----BEGIN PRIVATE KEY-----\ncanary\n-----END PRIVATE KEY-----"


def found(**auth: Any) -> list[str]:
    return [f"{keys[0]}: {text}" for keys, text in find_key_faults(AuthSettings(**auth))]


@pytest.mark.parametrize(
    "auth",
    [
        {"secret": "x" * 32},
        {"secret": "ü" * 16},
        {"algorithms": ("RS256",), "public_key": PUBLIC},
        {"algorithms": ("EdDSA",), "public_key": "/etc/key.pem"},
        {"algorithms": ("HS256", "ES256"), "secret": SECRET, "public_key": PUBLIC},
        {"algorithms": ("RS256", "ES256", "EdDSA"), "jwks_url": "https://issuer.example/keys"},
        {"algorithms": ("RS256",), "jwks_url": "http://localhost:9000/keys"},
        {"algorithms": ("RS256",), "jwks_file": "/etc/jwks.json"},
        {"algorithms": ("RS256", "ES256"), "jwks_file": "/etc/jwks.json", "public_key": PUBLIC},
    ],
)
def test_keys_and_algorithms_that_fit_are_taken(auth: dict[str, Any]) -> None:
    assert found(**auth) == []


@pytest.mark.parametrize(
    ("auth", "fault"),
    [
        ({}, "auth.secret: is needed by HS256"),
        ({"secret": "canary" * 5 + "x"}, "auth.secret: has 31 bytes and needs at least 32"),
        ({"secret": PUBLIC}, "auth.secret: is a PEM key"),
        (
            {"algorithms": ("RS256",)},
            "auth.public_key: or auth.jwks_url or auth.jwks_file is needed by RS256",
        ),
        ({"secret": SECRET, "public_key": PUBLIC}, "auth.public_key: is used by none of auth.algorithms"),
        (
            {"secret": SECRET, "jwks_url": "https://a.example"},
            "auth.jwks_url: is used by none of auth.algorithms",
        ),
        ({"algorithms": ("RS256",), "public_key": PUBLIC, "secret": SECRET}, "auth.secret: is used by none"),
        (
            {"algorithms": ("RS256", "ES256"), "public_key": PUBLIC},
            "auth.algorithms: RS256, ES256 cannot share",
        ),
        ({"algorithms": ("RS256",), "public_key": PRIVATE}, "auth.public_key: is a private key"),
        (
            {"algorithms": ("RS256",), "jwks_url": "https://a.example", "jwks_file": "f"},
            "auth.jwks_file: cannot be given together with auth.jwks_url",
        ),
        ({"algorithms": ("RS256",), "jwks_url": "http://a.example/keys"}, "auth.jwks_url: must be https"),
        (
            {"algorithms": ("RS256",), "jwks_url": "ftp://a.example/keys"},
            "auth.jwks_url: must be an https: address",
        ),
        ({"algorithms": ("RS256",), "jwks_url": "https://["}, "auth.jwks_url: is no address"),
        (
            {"algorithms": ("RS256",), "jwks_url": "https://u:canary@a.example"},
            "auth.jwks_url: must not carry",
        ),
        ({"algorithms": ("HS256", "HS256"), "secret": SECRET}, "auth.algorithms: names an algorithm twice"),
        ({"algorithms": ("HS256", "HS384"), "secret": SECRET}, "auth.algorithms: 'HS384' is not one of"),
        ({"algorithms": ("HS256", "nOnE"), "secret": SECRET}, "auth.algorithms: none would believe unsigned"),
        ({"algorithms": ()}, "auth.algorithms: is empty"),
    ],
)
def test_what_does_not_fit_is_told_without_the_key(auth: dict[str, Any], fault: str) -> None:
    texts = found(**auth)
    assert len(texts) == 1
    assert texts[0].startswith(fault)
    assert "canary" not in texts[0]


def test_a_misspelt_algorithm_is_guessed() -> None:
    assert found(algorithms=("rs265",)) == [
        "auth.algorithms: 'rs265' is not one of HS256, RS256, ES256, EdDSA; did you mean RS256?"
    ]
