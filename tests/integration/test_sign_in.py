"""Signing in and out over HTTP: the cookie to the letter, who is let in, and how often one may fail."""

import asyncio
import re
import time
from typing import Any

import pytest
from http_request import Answer, request
from live_server import LiveServer, StartServer, settings_of, token_of
from operator_accounts import ACCOUNTS, HASHES, OPERATOR_PASSWORD
from operator_page import COOKIE, OperatorPage, noted, own_origin

from wsserver.operators.sign_in_throttle import TRIES
from wsserver.settings import AccountSettings

GOOD = {"name": "olga", "password": OPERATOR_PASSWORD}
ANONYMOUS = {"code": 1001, "name": "authentication_failed", "message": "Authentication failed."}
EVERYTHING = "admin:read admin:write metrics:read audit:read broadcast:all"


@pytest.fixture
async def ward(start_server: StartServer) -> LiveServer:
    return await start_server(operators={"accounts": ACCOUNTS})


async def login(server: LiveServer, body: Any, **headers: str) -> Answer:
    return await server.http("POST", "/ws/login", body, headers=headers)


def actions(server: LiveServer) -> list[tuple[str, str, int | None]]:
    return [(one.action, one.actor, one.code) for one in noted(server)]


# -- with a password


async def test_a_sign_in_gives_a_cookie_that_scripts_and_other_sites_never_get(ward: LiveServer) -> None:
    answer = await login(ward, GOOD, Origin=own_origin(ward))
    assert answer.status == 200
    cookie = re.fullmatch(
        r"wsserver_operator=([A-Za-z0-9_-]{43}); HttpOnly; Path=/; SameSite=Strict",
        answer.headers["set-cookie"],
    )
    assert cookie is not None, answer.headers
    assert answer.headers["cache-control"] == "no-store"
    data = answer.json["data"]
    assert data == {
        "name": "olga",
        "role": "operator",
        "scopes": ["admin:read", "admin:write", "audit:read", "metrics:read"],
        "csrf_token": data["csrf_token"],
        "expires_in": pytest.approx(1800, abs=5),
    }
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", data["csrf_token"])
    assert cookie[1] not in answer.body.decode()
    assert actions(ward) == [("sign_in", "olga", None)]
    (record,) = noted(ward)
    assert record.details == {"by": "password", "address": "127.0.0.1"}


async def test_behind_tls_the_cookie_is_bound_to_this_host_and_never_leaves_in_clear(
    start_server: StartServer,
) -> None:
    server = await start_server(operators={"accounts": ACCOUNTS}, server={"trusted_proxies": ("127.0.0.1",)})
    tls = {"Host": "ward.example", "Origin": "https://ward.example", "X-Forwarded-Proto": "https"}
    answer = await login(server, GOOD, **tls)
    assert re.fullmatch(
        r"__Host-wsserver_operator=[A-Za-z0-9_-]{43}; HttpOnly; Path=/; SameSite=Strict; Secure",
        answer.headers["set-cookie"],
    )
    page = OperatorPage(server, answer, "__Host-wsserver_operator")
    who = {"Host": "ward.example", "X-Forwarded-Proto": "https"}
    assert (await page.get("/ws/login", **who)).status == 200
    # In clear the same cookie counts for nothing.
    assert (await page.get("/ws/login")).status == 401
    out = await server.http("POST", "/ws/logout", headers={**page.headers, **tls})
    assert out.headers["set-cookie"] == (
        '__Host-wsserver_operator=""; HttpOnly; Max-Age=0; Path=/; SameSite=Strict; Secure'
    )


async def test_who_is_signed_in_is_told_and_nobody_else(ward: LiveServer) -> None:
    vera = await OperatorPage.sign_in(ward, "vera")
    told = (await vera.get("/ws/login")).json["data"]
    assert (told["name"], told["role"], told["scopes"]) == ("vera", "viewer", ["admin:read", "metrics:read"])
    assert told["csrf_token"] == vera.told["csrf_token"]
    for headers in ({}, {"Cookie": f"{COOKIE}=x"}, {"Authorization": f"Bearer {token_of(scope=EVERYTHING)}"}):
        answer = await ward.http("GET", "/ws/login", headers=headers)
        assert (answer.status, answer.error) == (401, ANONYMOUS)
    assert (await vera.get("/ws/login", Origin="https://evil.example")).status == 403
    assert (await vera.get("/ws/login", **{"Sec-Fetch-Site": "cross-site"})).status == 403


@pytest.mark.parametrize(
    "body",
    [
        {"name": "olga", "password": "wrong"},
        {"name": "olga", "password": OPERATOR_PASSWORD + " "},
        {"name": "Olga", "password": OPERATOR_PASSWORD},
        {"name": "vera", "password": OPERATOR_PASSWORD},
        {"name": "nobody", "password": OPERATOR_PASSWORD},
        {"token": "rubbish"},
        {"token": token_of(scope=EVERYTHING, exp=int(time.time()) - 100)},
        {"key": "rubbish"},
    ],
    ids=str,
)
async def test_what_does_not_count_is_answered_alike_and_audited_without_what_was_given(
    ward: LiveServer, body: dict[str, str]
) -> None:
    answer = await login(ward, body)
    assert (answer.status, answer.error) == (401, ANONYMOUS)
    assert "set-cookie" not in answer.headers
    (record,) = noted(ward)
    assert (record.action, record.outcome, record.code) == ("sign_in_refused", "refused", 1001)
    assert record.actor == (body.get("name") if body.get("name") in ACCOUNTS else "unknown")
    assert not any(value in record.encode().decode() for value in body.values() if value not in ACCOUNTS)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"name":"x","password":"\\ud800"}',
        b'{"name":"x","password":"\xff"}',
        {},
        {"name": "olga"},
        {"password": "x"},
        {"name": "olga", "password": "x", "key": "y"},
        {"token": "x", "key": "y"},
        {"name": "", "password": "x"},
        {"name": "n" * 65, "password": "x"},
        {"name": "olga", "password": "x" * 1025},
        {"name": 1, "password": "x"},
        {"name": "olga", "password": None, "token": None, "key": None},
        {"name": "olga", "password": "x", "role": "operator"},
    ],
    ids=lambda body: str(body)[:40],
)
async def test_a_body_that_is_no_sign_in_is_answered_with_400_and_quotes_nothing(
    ward: LiveServer, body: Any
) -> None:
    answer = await login(ward, body)
    assert (answer.status, answer.error["code"]) == (400, 1003)
    assert b"xxx" not in answer.body
    assert actions(ward) == []


async def test_a_large_body_is_not_read(ward: LiveServer) -> None:
    assert (await login(ward, b"x" * 20_000)).status == 413


async def test_a_page_of_another_origin_signs_nobody_in(ward: LiveServer) -> None:
    for headers in (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ):
        assert (await login(ward, GOOD, **headers)).status == 403
    assert actions(ward) == []
    # Programs send neither.
    assert (await login(ward, GOOD)).status == 200


# -- its end


async def test_signing_out_ends_it_for_good(ward: LiveServer) -> None:
    olga = await OperatorPage.sign_in(ward)
    for changed in ({"X_CSRF_Token": None}, {"Origin": None}, {"Origin": "https://evil.example"}):
        assert (await olga.post("/ws/logout", **changed)).status == 403
    assert (await olga.get("/ws/alerts")).status == 200
    out = await olga.post("/ws/logout")
    assert (out.status, out.json["data"]) == (200, {"signed_out": True})
    assert out.headers["set-cookie"] == 'wsserver_operator=""; HttpOnly; Max-Age=0; Path=/; SameSite=Strict'
    for answer in (await olga.get("/ws/alerts"), await olga.post("/ws/logout"), await olga.get("/ws/login")):
        assert (answer.status, answer.error) == (401, ANONYMOUS)
    assert actions(ward) == [("sign_out", "olga", None), ("sign_in", "olga", None)]


async def test_signing_in_again_replaces_the_sign_in_before(ward: LiveServer) -> None:
    first = await OperatorPage.sign_in(ward, "vera")
    answer = await login(ward, GOOD, Cookie=first.cookie)
    second = OperatorPage(ward, answer)
    assert second.secret != first.secret
    assert (await first.get("/ws/alerts")).status == 401
    assert (await second.get("/ws/alerts")).status == 200


async def test_it_ends_when_settings_take_the_account_away_or_change_it(start_server: StartServer) -> None:
    for accounts in (
        {},
        {"olga": AccountSettings(role="viewer", password_hash=HASHES["olga"])},
        {"olga": AccountSettings(role="operator", password_hash=HASHES["vera"])},
    ):
        server = await start_server(operators={"accounts": ACCOUNTS})
        olga = await OperatorPage.sign_in(server)
        assert (await olga.get("/ws/alerts")).status == 200
        await server.service.reconfigure(settings_of(operators={"accounts": accounts}))
        assert (await olga.get("/ws/alerts")).status == 401
        assert len(server.service.sign_in.sessions) == 0
    await server.service.reconfigure(settings_of(operators={"accounts": ACCOUNTS}))
    assert (await olga.get("/ws/alerts")).status == 401


# -- with a token


async def test_a_token_signs_in_with_what_it_may_and_no_more(ward: LiveServer) -> None:
    for scope, role, scopes in (
        ("admin:read", "viewer", ["admin:read"]),
        ("admin:read metrics:read audit:read", "viewer", ["admin:read", "metrics:read"]),
        ("admin:read admin:write", "operator", ["admin:read", "admin:write"]),
        (EVERYTHING, "operator", ["admin:read", "admin:write", "audit:read", "metrics:read"]),
    ):
        page = await OperatorPage.sign_in(ward, token=token_of("ops", "admin", scope=scope))
        told = page.told
        assert (told["name"], told["role"], told["scopes"]) == ("ops", role, scopes), scope
        assert (await page.get("/ws/metrics")).status == (200 if "metrics:read" in scopes else 403)
    for scope in ("metrics:read", "admin:write", ""):
        answer = await login(ward, {"token": token_of("ops", "admin", scope=scope)})
        assert (answer.status, answer.error["details"]) == (403, {"scope": "admin:read"})


async def test_it_ends_when_its_token_is_revoked(ward: LiveServer) -> None:
    for revoked in ({"user_id": "ops2"}, {"token_id": "t_1"}):
        token = token_of("ops2", "admin", scope="admin:read", jti="t_1", iat=int(time.time()) - 5)
        other = await OperatorPage.sign_in(ward, token=token)
        assert (await other.get("/ws/alerts")).status == 200
        await ward.service.revoke(**revoked)
        assert (await other.get("/ws/alerts")).status == 401
        ward.service.revocations._users._entries.clear()


# -- with the key of a development server


async def test_the_key_of_a_development_server_is_good_once(start_server: StartServer) -> None:
    server = await start_server(options={"dev": True})
    key = server.service.sign_in.key
    assert key is not None
    text = str(key.text)
    for forwarded in ("X-Forwarded-For", "Forwarded", "Via"):
        assert (await login(server, {"key": text}, **{forwarded: "for=203.0.113.9"})).status == 401
    assert (await login(server, {"key": text[:-1]})).status == 401
    page = await OperatorPage.sign_in(server, key=text)
    assert (page.told["name"], page.told["role"]) == ("dev", "operator")
    assert (await login(server, {"key": text})).status == 401
    assert (await page.post("/ws/emergency", {"active": False})).status == 200


async def test_the_key_is_for_clients_on_this_machine(start_server: StartServer) -> None:
    server = await start_server(options={"dev": True}, server={"trusted_proxies": ("127.0.0.1",)})
    key = server.service.sign_in.key
    assert key is not None
    with pytest.raises(Exception, match="1001"):
        server.service.sign_in.with_key(str(key.text), "203.0.113.9", is_local=False)
    assert (await login(server, {"key": str(key.text)})).status == 200


async def test_no_other_server_has_a_key(ward: LiveServer) -> None:
    assert ward.service.sign_in.key is None
    assert (await login(ward, {"key": "None"})).status == 401


# -- throttle


async def test_who_fails_too_often_has_to_wait_whatever_comes_next(start_server: StartServer) -> None:
    server = await start_server(operators={"accounts": ACCOUNTS}, server={"trusted_proxies": ("127.0.0.1",)})

    async def tried(address: str, body: Any) -> Answer:
        return await login(server, body, **{"X-Forwarded-For": address})

    bad = {"name": "olga", "password": "wrong"}
    for place in range(TRIES):
        assert (await tried(f"203.0.113.{place}", bad)).status == 401
    answer = await tried("203.0.113.99", GOOD)
    assert (answer.status, answer.error["code"]) == (429, 1010)
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    # It is this name that waits, and nobody else.
    assert (await tried("203.0.113.99", {"name": "vera", "password": "nightshift-looks-on"})).status == 200
    for place in range(TRIES):
        assert (await tried("198.51.100.7", {"name": f"n{place}", "password": "x"})).status == 401
    answer = await tried("198.51.100.7", {"name": "vera", "password": "nightshift-looks-on"})
    assert answer.status == 429
    assert (await tried("198.51.100.7", {"token": "rubbish"})).status == 429
    # Nobody guesses a token: others' failures keep nobody out who has a good one.
    assert (await tried("198.51.100.7", {"token": token_of(scope=EVERYTHING)})).status == 200
    assert (await tried("198.51.100.8", {"token": token_of(scope=EVERYTHING)})).status == 200
    # What was not looked at is not audited.
    assert len(server.service.audit.latest(action="sign_in_refused")) == 2 * TRIES


async def test_many_tries_at_once_are_no_more_than_one_after_the_other(ward: LiveServer) -> None:
    answers = await asyncio.gather(
        *(login(ward, {"name": "olga", "password": f"guess {place}"}) for place in range(3 * TRIES))
    )
    assert sorted(one.status for one in answers) == [401] * TRIES + [429] * 2 * TRIES


async def test_a_password_is_checked_off_the_loop(ward: LiveServer) -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.ensure_future(count())
    assert await ward.service.sign_in.accounts.check("nobody", "x") is False
    counting.cancel()
    assert turns > 100


async def test_nothing_of_a_sign_in_reaches_the_log(
    ward: LiveServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    olga = await OperatorPage.sign_in(ward)
    await login(ward, {"name": "olga", "password": "wrong-password-1"})
    await olga.post("/ws/logout")
    for secret in (olga.secret, olga.told["csrf_token"], OPERATOR_PASSWORD, "wrong-password-1", "olga"):
        assert secret not in caplog.text
    assert await request(ward.port, "GET", "/ws/login", headers={"Cookie": olga.cookie})
