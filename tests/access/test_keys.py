from pathlib import Path
from typing import Any

import pytest

from wsserver.access.keys import KeyTable
from wsserver.access.verification_key import KeyFault


def table(auth: Any, clock: Any, fetch: Any = None) -> KeyTable:
    return KeyTable(auth, clock, fetch)


def test_a_public_key_may_be_text_or_the_path_of_a_file(
    forge: Any, make_auth: Any, clock: Any, tmp_path: Path
) -> None:
    path = tmp_path / "key.pem"
    path.write_text(forge.pem("ES256"))
    for value in (forge.pem("ES256"), str(path)):
        keys = table(make_auth(algorithms=("ES256",), secret=None, public_key=value), clock)
        key = keys.find(None, "ES256")
        assert key is not None
        assert key.algorithm == "ES256"


def test_a_secret_counts_only_where_hs256_is_allowed(forge: Any, make_auth: Any, clock: Any) -> None:
    keys = table(make_auth(algorithms=("RS256",), public_key=forge.pem("RS256")), clock)
    assert keys.find(None, "HS256") is None


@pytest.mark.parametrize(
    "settings",
    [
        {"secret": None},
        {"secret": ""},
        {"algorithms": ()},
        {"algorithms": ("none",)},
        {"algorithms": ("HS256", "PS256")},
        {"secret": "too short"},
        {"algorithms": ("RS256",)},
        {"public_key": "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"},
        {"algorithms": ("RS256",), "jwks_url": "https://issuer/keys"},
        {"jwks_url": "https://issuer/keys", "jwks_file": "/keys"},
    ],
    ids=str,
)
def test_settings_without_a_usable_key_stop_the_start(
    make_auth: Any, clock: Any, settings: dict[str, Any]
) -> None:
    with pytest.raises(KeyFault):
        table(make_auth(**settings), clock)


def test_a_missing_key_file_stops_the_start(make_auth: Any, clock: Any, tmp_path: Path) -> None:
    for setting in ("public_key", "jwks_file"):
        auth = make_auth(algorithms=("RS256",), **{setting: str(tmp_path / "none")})
        with pytest.raises(FileNotFoundError):
            table(auth, clock)


@pytest.mark.parametrize(
    ("url", "good"),
    [
        ("https://issuer/keys", True),
        ("http://127.0.0.1:8080/keys", True),
        ("http://localhost/keys", True),
        ("http://[::1]/keys", True),
        ("http://issuer/keys", False),
        ("http://127.0.0.1.evil/keys", False),
        ("http://localhost@evil/keys", False),
        ("file:///etc/passwd", False),
        ("ftp://issuer/keys", False),
        ("issuer/keys", False),
    ],
)
def test_a_key_set_is_fetched_over_https_or_from_this_machine(
    make_auth: Any, clock: Any, url: str, good: bool
) -> None:
    async def fetch(location: str) -> bytes:
        raise AssertionError("nothing is fetched at construction")

    auth = make_auth(algorithms=("RS256",), jwks_url=url)
    if good:
        table(auth, clock, fetch)
    else:
        with pytest.raises(KeyFault, match="https"):
            table(auth, clock, fetch)


def test_a_named_key_is_found_by_its_name_alone(
    forge: Any, make_auth: Any, clock: Any, tmp_path: Path
) -> None:
    path = tmp_path / "keys.json"
    path.write_bytes(forge.jwks(forge.jwk("RS256", kid="a"), forge.jwk("ES256", kid="b")))
    keys = table(make_auth(algorithms=("HS256", "RS256", "ES256"), jwks_file=str(path)), clock)
    named = keys.find("a", "ES256")
    assert named is not None
    # The verifier refuses the mismatch; the table does not look for something that would fit.
    assert named.algorithm == "RS256"
    assert keys.find("c", "RS256") is None
    assert keys.find("", "HS256") is None


def test_a_token_without_a_name_means_the_only_key_of_its_algorithm(
    forge: Any, make_auth: Any, clock: Any, tmp_path: Path
) -> None:
    path = tmp_path / "keys.json"
    path.write_bytes(forge.jwks(forge.jwk("RS256", kid="a"), forge.jwk("RS256", kid="b"), forge.jwk("ES256")))
    keys = table(make_auth(algorithms=("HS256", "RS256", "ES256"), jwks_file=str(path)), clock)
    assert keys.find(None, "RS256") is None
    for algorithm in ("ES256", "HS256"):
        key = keys.find(None, algorithm)
        assert key is not None
        assert key.algorithm == algorithm


def test_a_local_key_and_one_of_a_set_are_not_confused(
    forge: Any, make_auth: Any, clock: Any, tmp_path: Path
) -> None:
    path = tmp_path / "keys.json"
    path.write_bytes(forge.jwks(forge.jwk("RS256", kid="a")))
    auth = make_auth(algorithms=("RS256",), public_key=forge.pem("RS256"), jwks_file=str(path))
    assert table(auth, clock).find(None, "RS256") is None


async def test_a_key_file_is_read_again_when_a_new_name_turns_up(
    forge: Any, make_auth: Any, clock: Any, tmp_path: Path
) -> None:
    path = tmp_path / "keys.json"
    path.write_bytes(forge.jwks(forge.jwk("ES256", kid="old")))
    keys = table(make_auth(algorithms=("ES256",), jwks_file=str(path)), clock)
    path.write_bytes(forge.jwks(forge.jwk("ES256", kid="old"), forge.jwk("ES256", kid="new")))
    assert keys.find("new", "ES256") is None
    assert await keys.find_fresh("new", "ES256") is not None


async def test_a_shared_secret_never_causes_a_fetch(make_auth: Any, clock: Any) -> None:
    asked: list[str] = []

    async def fetch(location: str) -> bytes:
        asked.append(location)
        return b""

    auth = make_auth(algorithms=("HS256", "RS256"), jwks_url="https://issuer/keys")
    keys = table(auth, clock, fetch)
    assert await keys.find_fresh(None, "HS256") is not None
    assert await keys.find_fresh("unknown", "HS256") is None
    assert asked == []
    assert await keys.find_fresh("unknown", "RS256") is None
    assert asked == ["https://issuer/keys"]
