"""Asymmetric keys and a key set that is fetched, rotated, away, and elsewhere."""

import hmac
import json
import time
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import get_default_algorithms
from live_server import LiveServer, claims_of, sign

ALGORITHMS = ("RS256", "ES256", "EdDSA")


def new_key(algorithm: str) -> Any:
    if algorithm == "RS256":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return (
        ec.generate_private_key(ec.SECP256R1())
        if algorithm == "ES256"
        else ed25519.Ed25519PrivateKey.generate()
    )


KEYS = {algorithm: new_key(algorithm) for algorithm in ALGORITHMS}
OTHER_KEYS = {algorithm: new_key(algorithm) for algorithm in ("ES256", "EdDSA")}


def pem(key: Any) -> str:
    public = key.public_key()
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return public.public_bytes(serialization.Encoding.PEM, form).decode()


def jwk(algorithm: str, key: Any, kid: str) -> dict[str, Any]:
    made = get_default_algorithms()[algorithm].to_jwk(key.public_key(), as_dict=True)
    return {**made, "kid": kid, "alg": algorithm, "use": "sig"}


def signed_by_hand(header: dict[str, Any], key: Any, payload: bytes = b"") -> str:
    """A token that no library would make: an HMAC with any bytes, a signature under any header."""
    payload = payload or json.dumps(claims_of()).encode()
    parts = [urlsafe_b64encode(part).rstrip(b"=") for part in (json.dumps(header).encode(), payload)]
    signed = b".".join(parts)
    signature = hmac.digest(key, signed, "sha256") if isinstance(key, bytes) else key.sign(signed)
    return b".".join([signed, urlsafe_b64encode(signature).rstrip(b"=")]).decode()


async def outcome(server: LiveServer, token: str) -> str:
    client = await server.connect(token)
    kind = (await client.receive())["type"]
    await client.close()
    return kind


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_tokens_signed_with_the_configured_key_are_let_in(start_server, algorithm: str) -> None:
    key = KEYS[algorithm]
    server = await start_server(auth={"secret": None, "algorithms": (algorithm,), "public_key": pem(key)})
    assert await outcome(server, sign(claims_of(), key, algorithm)) == "connected"
    # The public key is no secret: whoever knows it must not be able to sign with it.
    for secret in (pem(key), pem(key).strip(), json.dumps(jwk(algorithm, key, "k"))):
        assert await outcome(server, signed_by_hand({"alg": "HS256"}, secret.encode())) == "error"
    assert await outcome(server, sign(claims_of())) == "error"
    assert await outcome(server, sign(claims_of(), "", "none")) == "error"
    if algorithm in OTHER_KEYS:
        assert await outcome(server, sign(claims_of(), OTHER_KEYS[algorithm], algorithm)) == "error"


async def test_a_key_set_file_serves_several_algorithms(start_server, tmp_path) -> None:
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps({"keys": [jwk(name, key, f"k-{name}") for name, key in KEYS.items()]}))
    server = await start_server(auth={"secret": None, "algorithms": ALGORITHMS, "jwks_file": str(file)})
    for name, key in KEYS.items():
        assert await outcome(server, sign(claims_of(), key, name, kid=f"k-{name}")) == "connected"
        assert await outcome(server, sign(claims_of(), key, name, kid="another")) == "error"
    crossed = sign(claims_of(), KEYS["ES256"], "ES256", kid="k-EdDSA")
    assert await outcome(server, crossed) == "error"


class Issuer:
    """Serves a key set, counts who asks, and can be away or point elsewhere."""

    def __init__(self) -> None:
        self.keys: list[dict[str, Any]] = []
        self.mode = "good"
        self.asked = 0
        self.elsewhere = 0
        self.url = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked += 1
        if self.mode == "away":
            return web.Response(status=500)
        if self.mode == "redirect":
            raise web.HTTPFound("/elsewhere")
        if self.mode == "huge":
            return web.Response(body=b" " * (1 << 20))
        if self.mode == "rubbish":
            return web.Response(body=b"<html>sign in</html>")
        return web.json_response({"keys": self.keys})

    async def foreign(self, request: web.Request) -> web.StreamResponse:
        self.elsewhere += 1
        return web.json_response({"keys": [jwk("EdDSA", OTHER_KEYS["EdDSA"], "evil")]})


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    issuer = Issuer()
    issuer.keys = [jwk("EdDSA", KEYS["EdDSA"], "k1")]
    app = web.Application()
    app.router.add_get("/jwks", issuer.answer)
    app.router.add_get("/elsewhere", issuer.foreign)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    issuer.url = f"http://127.0.0.1:{runner.addresses[0][1]}/jwks"
    yield issuer
    await runner.cleanup()


class HandClock:
    """The machine's clock, moved on by hand where minutes must pass."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead

    def time(self) -> float:
        return time.time()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> HandClock:
    clock = HandClock()
    monkeypatch.setattr("wsserver.connection_manager.SystemClock", lambda: clock)
    return clock


async def serve(start_server: Any, issuer: Issuer) -> LiveServer:
    auth = {"secret": None, "algorithms": ALGORITHMS, "jwks_url": issuer.url, "jwks_refresh_min": 30.0}
    # Far beyond any hop of the clock: this is about keys.
    patience = {"heartbeat_interval": 5_000, "timeout": 10_000}
    return await start_server(auth=auth, connection=patience)


OLD, NEW = KEYS["EdDSA"], OTHER_KEYS["EdDSA"]


async def test_a_new_key_is_fetched_when_a_token_names_it_and_a_withdrawn_one_ends(
    start_server, issuer: Issuer, clock: HandClock
) -> None:
    server = await serve(start_server, issuer)
    assert await outcome(server, sign(claims_of(), OLD, "EdDSA", kid="k1")) == "connected"
    assert issuer.asked == 1
    issuer.keys.append(jwk("EdDSA", NEW, "k2"))
    assert await outcome(server, sign(claims_of(), NEW, "EdDSA", kid="k2")) == "error", (
        "within 30 s of the last"
    )
    assert issuer.asked == 1
    clock.ahead += 31
    assert await outcome(server, sign(claims_of(), NEW, "EdDSA", kid="k2")) == "connected"
    assert await outcome(server, sign(claims_of(), OLD, "EdDSA", kid="k1")) == "connected", (
        "both while they overlap"
    )
    assert issuer.asked == 2
    issuer.keys = [jwk("EdDSA", NEW, "k2")]
    clock.ahead += 301
    assert await outcome(server, sign(claims_of(), OLD, "EdDSA", kid="k1")) == "error"
    assert await outcome(server, sign(claims_of(), NEW, "EdDSA", kid="k2")) == "connected"


@pytest.mark.parametrize("mode", ["away", "redirect", "huge", "rubbish"])
async def test_during_an_outage_the_last_good_set_stays(
    start_server, issuer: Issuer, clock: HandClock, mode: str
) -> None:
    server = await serve(start_server, issuer)
    assert await outcome(server, sign(claims_of(), OLD, "EdDSA", kid="k1")) == "connected"
    issuer.mode = mode
    clock.ahead += 3600
    assert await outcome(server, sign(claims_of(), OLD, "EdDSA", kid="k1")) == "connected"
    assert await outcome(server, sign(claims_of(), NEW, "EdDSA", kid="evil")) == "error"
    assert issuer.elsewhere == 0
    assert issuer.asked == 2, "one attempt in 30 seconds, whoever asks"


async def test_a_flood_of_unknown_key_ids_fetches_once(
    start_server, issuer: Issuer, clock: HandClock
) -> None:
    server = await serve(start_server, issuer)
    clock.ahead += 31
    for number in range(100):
        assert (
            await server.http("GET", "/ws/metrics", token=sign(claims_of(), NEW, "EdDSA", kid=f"x{number}"))
        ).status == 401
    assert issuer.asked == 2
    assert await outcome(server, sign(claims_of(), OLD, "EdDSA", kid="k1")) == "connected"


async def test_a_server_starts_without_its_issuer_and_learns_the_keys_later(
    start_server, issuer: Issuer, clock: HandClock
) -> None:
    issuer.mode = "away"
    server = await serve(start_server, issuer)
    assert await outcome(server, sign(claims_of(), OLD, "EdDSA", kid="k1")) == "error"
    issuer.mode = "good"
    clock.ahead += 31
    assert await outcome(server, sign(claims_of(), OLD, "EdDSA", kid="k1")) == "connected"


@pytest.mark.parametrize(
    "kid",
    [
        "../../dev/null",
        "' OR 1=1 --",
        "http://127.0.0.1/x",
        "k1\x00",
        "",
        "k" * 257,
        1,
        None,
        ["k1"],
        {"a": 1},
    ],
)
async def test_a_strange_key_id_is_looked_up_and_nothing_else(start_server, issuer: Issuer, kid: Any) -> None:
    server = await serve(start_server, issuer)
    header = {"alg": "EdDSA", "typ": "JWT", "kid": kid, "jku": issuer.url.replace("jwks", "elsewhere")}
    assert await outcome(server, signed_by_hand({**header, "kid": "k1"}, OLD)) == "connected"
    assert await outcome(server, signed_by_hand(header, OLD)) == "error"
    assert issuer.elsewhere == 0
