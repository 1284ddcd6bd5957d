import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wsserver.access.jwks import MAX_AGE, MAX_DOCUMENT, JsonWebKeySet, JwksSource, read_file
from wsserver.access.keys import KeyTable
from wsserver.access.refusal import AuthenticationFailed, Reason
from wsserver.access.tokens import TokenVerifier
from wsserver.access.verification_key import ALGORITHMS, KeyFault

URL = "https://issuer.example/keys?secret=url-canary"


class Issuer:
    """Serves ``document`` or raises ``fault``; with ``gate`` set it waits to be let through."""

    def __init__(self, document: bytes = b"") -> None:
        self.document = document
        self.fault: Exception | None = None
        self.gate: asyncio.Event | None = None
        self.asked: list[str] = []

    async def fetch(self, location: str) -> bytes:
        self.asked.append(location)
        if self.gate is not None:
            await self.gate.wait()
        if self.fault is not None:
            raise self.fault
        return self.document


@pytest.fixture
def issuer(forge: Any) -> Issuer:
    return Issuer(forge.jwks(forge.jwk("ES256", kid="k1")))


@pytest.fixture
def verifier(make_auth: Any, clock: Any, issuer: Issuer) -> TokenVerifier:
    auth = make_auth(algorithms=("ES256", "EdDSA"), secret=None, jwks_url=URL)
    return TokenVerifier(auth, KeyTable(auth, clock, issuer.fetch), clock)


@pytest.fixture
def token(forge: Any) -> Callable[..., str]:
    def make(kid: str = "k1", algorithm: str = "ES256") -> str:
        made: str = forge.token(header={"alg": algorithm, "kid": kid}, sign=forge.signer(algorithm))
        return made

    return make


async def refused(verifier: TokenVerifier, token: str) -> Reason:
    with pytest.raises(AuthenticationFailed) as caught:
        await verifier.verify(token)
    assert str(caught.value) == "1001 authentication_failed: Authentication failed."
    return caught.value.reason


async def test_the_first_login_fetches_the_set_and_the_next_does_not(
    verifier: TokenVerifier, issuer: Issuer, token: Any
) -> None:
    assert (await verifier.verify(token())).user_id == "u1"
    await verifier.verify(token())
    assert issuer.asked == [URL]


async def test_a_set_loaded_at_start_spares_the_first_login_the_wait(
    verifier: TokenVerifier, issuer: Issuer, token: Any
) -> None:
    await verifier.keys.load()
    await verifier.keys.load()
    assert verifier.verify_now(token()).user_id == "u1"
    assert len(issuer.asked) == 1


async def test_five_hundred_logins_at_once_share_one_fetch(
    verifier: TokenVerifier, issuer: Issuer, token: Any
) -> None:
    issuer.gate = asyncio.Event()
    logins = [asyncio.create_task(verifier.verify(token())) for _ in range(500)]
    await asyncio.sleep(0)
    issuer.gate.set()
    assert {claims.user_id for claims in await asyncio.gather(*logins)} == {"u1"}
    assert len(issuer.asked) == 1


async def test_ten_thousand_unknown_kids_cause_one_fetch_in_thirty_seconds(
    verifier: TokenVerifier, issuer: Issuer, token: Any, clock: Any, forge: Any
) -> None:
    await verifier.verify(token())
    clock.advance(30)
    for number in range(10_000):
        clock.advance(29.9 / 10_000)
        forged = forge.token(header={"alg": "ES256", "kid": f"k-{number}"}, sign=lambda signed: bytes(64))
        assert await refused(verifier, forged) is Reason.UNKNOWN_KEY
    assert len(issuer.asked) == 2
    assert (await verifier.verify(token())).user_id == "u1"
    clock.advance(0.2)
    await refused(verifier, forged)
    assert len(issuer.asked) == 3


async def test_unknown_kids_at_once_share_the_one_fetch(
    verifier: TokenVerifier, issuer: Issuer, token: Any, clock: Any
) -> None:
    await verifier.verify(token())
    clock.advance(30)
    reasons = await asyncio.gather(*(refused(verifier, token(f"no-{n}")) for n in range(300)))
    assert set(reasons) == {Reason.UNKNOWN_KEY}
    assert len(issuer.asked) == 2


async def test_rotation_takes_the_new_key_during_the_overlap_and_drops_the_old_after(
    verifier: TokenVerifier, issuer: Issuer, token: Any, clock: Any, forge: Any
) -> None:
    await verifier.verify(token("k1"))
    clock.advance(60)
    issuer.document = forge.jwks(forge.jwk("ES256", kid="k1"), forge.jwk("EdDSA", kid="k2"))
    await verifier.verify(token("k2", "EdDSA"))
    await verifier.verify(token("k1"))
    issuer.document = forge.jwks(forge.jwk("EdDSA", kid="k2"))
    clock.advance(MAX_AGE)
    assert await refused(verifier, token("k1")) is Reason.UNKNOWN_KEY
    await verifier.verify(token("k2", "EdDSA"))


async def test_a_withdrawn_key_does_not_count_after_a_night_without_logins(
    verifier: TokenVerifier, issuer: Issuer, token: Any, clock: Any, forge: Any
) -> None:
    good_for_a_day = forge.token(
        forge.claims(exp=1_800_086_400), {"alg": "ES256", "kid": "k1"}, sign=forge.signer("ES256")
    )
    await verifier.verify(good_for_a_day)
    issuer.document = forge.jwks(forge.jwk("EdDSA", kid="k2"))
    clock.advance(36_000)
    assert await refused(verifier, good_for_a_day) is Reason.UNKNOWN_KEY


@pytest.mark.parametrize(
    "outage",
    [OSError("down"), TimeoutError(), ValueError("500"), b"", b"<html>", b'{"keys": []}', b"[" * 99_999],
)
async def test_an_outage_keeps_the_last_good_set_and_asks_no_more_than_every_thirty_seconds(
    verifier: TokenVerifier, issuer: Issuer, token: Any, clock: Any, forge: Any, outage: Exception | bytes
) -> None:
    good_for_a_day = forge.token(
        forge.claims(exp=1_800_086_400), {"alg": "ES256", "kid": "k1"}, sign=forge.signer("ES256")
    )
    await verifier.verify(good_for_a_day)
    if isinstance(outage, bytes):
        issuer.document = outage
    else:
        issuer.fault = outage
    for _ in range(600):
        clock.advance(1)
        await verifier.verify(good_for_a_day)
        assert await refused(verifier, token("new")) is Reason.UNKNOWN_KEY
    assert 2 <= len(issuer.asked) <= 1 + 600 // 30
    source = verifier.keys.source
    assert source is not None
    assert source.failures == len(issuer.asked) - 1


async def test_a_set_that_never_loaded_refuses_everybody(
    verifier: TokenVerifier, issuer: Issuer, token: Any
) -> None:
    issuer.fault = OSError("down")
    assert await refused(verifier, token()) is Reason.UNKNOWN_KEY
    assert await refused(verifier, token()) is Reason.UNKNOWN_KEY
    assert len(issuer.asked) == 1


async def test_a_login_that_is_cancelled_does_not_stop_the_fetch_for_the_others(
    verifier: TokenVerifier, issuer: Issuer, token: Any
) -> None:
    issuer.gate = asyncio.Event()
    impatient = asyncio.create_task(verifier.verify(token()))
    patient = asyncio.create_task(verifier.verify(token()))
    await asyncio.sleep(0)
    impatient.cancel()
    await asyncio.wait([impatient])
    issuer.gate.set()
    assert (await patient).user_id == "u1"
    assert len(issuer.asked) == 1


async def test_closing_stops_a_fetch_under_way(verifier: TokenVerifier, issuer: Issuer, token: Any) -> None:
    issuer.gate = asyncio.Event()
    login = asyncio.create_task(verifier.verify(token()))
    await asyncio.sleep(0)
    await verifier.keys.close()
    with pytest.raises(asyncio.CancelledError):
        await login
    await verifier.keys.close()


async def test_a_token_of_a_forbidden_algorithm_causes_no_fetch(
    verifier: TokenVerifier, issuer: Issuer, forge: Any
) -> None:
    assert await refused(verifier, forge.token()) is Reason.ALGORITHM
    assert issuer.asked == []


async def test_a_named_key_is_not_used_for_another_algorithm(verifier: TokenVerifier, token: Any) -> None:
    assert await refused(verifier, token("k1", "EdDSA")) is Reason.ALGORITHM


async def test_a_failed_fetch_is_logged_without_the_url(
    verifier: TokenVerifier, issuer: Issuer, token: Any, caplog: pytest.LogCaptureFixture
) -> None:
    issuer.fault = OSError(f"cannot reach {URL}")
    with caplog.at_level(logging.DEBUG):
        await refused(verifier, token())
    assert "OSError" in caplog.text
    assert "canary" not in caplog.text


def test_unusable_keys_are_left_out_and_counted(forge: Any) -> None:
    document = forge.jwks(
        forge.jwk("ES256", kid="good"),
        forge.jwk("EdDSA", kid="private", private=True),
        {"kty": "oct", "k": "c2VjcmV0", "kid": "symmetric", "alg": "HS256"},
        forge.jwk("RS256", kid="mismatch", alg="ES256"),
        forge.jwk("RS256", kid="encryption", use="enc"),
        forge.jwk("RS256", kid="good"),
        "not a key",
    )
    keys = JsonWebKeySet.parse(document, ALGORITHMS)
    good = keys.with_id("good")
    assert good is not None
    assert good.algorithm == "ES256"
    assert keys.refused == 6
    for kid in ("private", "symmetric", "mismatch", "encryption"):
        assert keys.with_id(kid) is None
    assert keys.of("HS256") == keys.of("RS256") == keys.of("EdDSA") == []


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"[]",
        b'{"keys": {}}',
        b'{"keys": []}',
        b'{"keys": [{"kty": "oct", "k": "AA"}]}',
        b'{"keys": [' + b"[" * 5000 + b"]" * 5000 + b"]}",
        b'{"keys": [' + b",".join([b"{}"] * 101) + b"]}",
        b" " * MAX_DOCUMENT + b'{"keys": []}',
    ],
    ids=lambda document: str(document[:24]),
)
def test_a_document_without_a_usable_key_is_refused(document: bytes) -> None:
    with pytest.raises(KeyFault):
        JsonWebKeySet.parse(document, ALGORITHMS)


def test_a_refused_document_leaves_the_old_set_in_place(forge: Any, clock: Any, issuer: Issuer) -> None:
    source = JwksSource(URL, ALGORITHMS, issuer.fetch, clock, 30)
    source.adopt(issuer.document)
    with pytest.raises(KeyFault):
        source.adopt(b"{}")
    assert source.keys.with_id("k1") is not None


async def test_a_key_file_is_read_no_further_than_its_bound(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_bytes(b"x" * (MAX_DOCUMENT * 2))
    assert len(await read_file(str(path))) == MAX_DOCUMENT + 1
