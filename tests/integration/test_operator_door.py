"""The door for operators: what a cookie opens, and that no other page can use it."""

import asyncio
from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request
from http_request import exchange
from live_server import LiveServer, StartServer, token_of
from operator_accounts import ACCOUNTS
from operator_page import COOKIE, OperatorPage, noted, own_origin

from wsserver.errors import ServerError
from wsserver.web.operator_door import OperatorDoor

READS = {
    "/ws/metrics": "metrics:read",
    "/metrics": "metrics:read",
    "/ws/health": "admin:read",
    "/ws/subscriptions": "admin:read",
    "/ws/events": "admin:read",
    "/ws/alerts": "admin:read",
    "/ws/drain": "admin:read",
}
WRITES: dict[tuple[str, str], Any] = {
    ("POST", "/ws/revoke"): {"user": "nobody"},
    ("POST", "/ws/emergency"): {"active": False},
    ("DELETE", "/ws/drain"): None,
}
REFUSED = {
    "code": 1011,
    "name": "permission_denied",
    "message": "Not allowed.",
    "details": {"scope": "admin:write"},
}
ANONYMOUS = {"code": 1001, "name": "authentication_failed", "message": "Authentication failed."}


@pytest.fixture
async def ward(start_server: StartServer) -> LiveServer:
    """A server with two operators."""
    return await start_server(operators={"accounts": ACCOUNTS})


@pytest.fixture
async def olga(ward: LiveServer) -> OperatorPage:
    return await OperatorPage.sign_in(ward, "olga")


@pytest.fixture
async def vera(ward: LiveServer) -> OperatorPage:
    return await OperatorPage.sign_in(ward, "vera")


async def test_a_viewer_reads_everything_and_changes_nothing(vera: OperatorPage) -> None:
    for path in READS:
        assert (await vera.get(path)).status == 200, path
    assert (await vera.post("/ws/trace", {"message": {}, "topic": "*"})).status == 200
    for (method, path), body in WRITES.items():
        answer = await vera.send(method, path, body)
        assert (answer.status, answer.error) == (403, REFUSED), path


async def test_an_operator_changes_things_and_it_is_audited(olga: OperatorPage) -> None:
    for (method, path), body in WRITES.items():
        assert (await olga.send(method, path, body)).status == 200, path
    assert (await olga.post("/ws/drain", {"notice": 0, "timeout": 0})).status == 202
    assert (await olga.send("DELETE", "/ws/drain")).status == 200
    done = [(one.action, one.actor, one.role, one.right) for one in noted(olga.server)]
    assert done == [
        (action, "olga", "operator", "password")
        for action in ("cancel_drain", "drain", "cancel_drain", "emergency", "revoke", "sign_in")
    ]


@pytest.mark.parametrize(
    "changed",
    [
        {"X_CSRF_Token": None},
        {"X_CSRF_Token": ""},
        {"X_CSRF_Token": "x" * 43},
        {"X_CSRF_Token": "é"},
        {"Origin": None},
        {"Origin": "null"},
        {"Origin": "https://evil.example"},
        {"Origin": "http://127.0.0.1"},
        {"Origin": "http://127.0.0.1.evil.example"},
        {"Origin": "HTTP://127.0.0.1:1"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "anything"},
    ],
    ids=str,
)
async def test_what_another_page_may_have_caused_changes_nothing(
    olga: OperatorPage, changed: dict[str, str | None]
) -> None:
    for (method, path), body in WRITES.items():
        answer = await olga.send(method, path, body, **changed)
        assert (answer.status, answer.error) == (403, REFUSED), path
    assert [one.action for one in noted(olga.server)] == ["sign_in"]


async def test_two_origins_or_two_csrf_values_are_none(olga: OperatorPage) -> None:
    port = olga.server.port
    for doubled in ("Origin", "X-CSRF-Token"):
        lines = "".join(
            f"{name}: {value}\r\n"
            for name, value in [*olga.headers.items(), (doubled, olga.headers[doubled])]
        )
        wire = f"DELETE /ws/drain HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n{lines}\r\n"
        assert (await exchange(port, wire.encode())).status == 403, doubled


async def test_reading_with_a_cookie_is_for_our_own_pages_too(olga: OperatorPage) -> None:
    for headers in (
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ):
        for path in READS:
            assert (await olga.get(path, **headers)).status == 403, (path, headers)
    for headers in (
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": own_origin(olga.server)},
    ):
        assert (await olga.get("/ws/alerts", **headers)).status == 200, headers


async def test_an_allowed_origin_may_open_sockets_and_not_operate(start_server: StartServer) -> None:
    page = "https://ward.example"
    server = await start_server(operators={"accounts": ACCOUNTS}, server={"allowed_origins": (page,)})
    olga = await OperatorPage.sign_in(server, "olga")
    assert (await olga.post("/ws/emergency", {"active": False}, Origin=page)).status == 403
    answer = await server.http(
        "POST", "/ws/login", {"name": "olga", "password": "x"}, headers={"Origin": page}
    )
    assert answer.status == 403


async def test_a_token_needs_none_of_this(ward: LiveServer) -> None:
    token = token_of("ops", "admin", scope="admin:write")
    headers = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    answer = await ward.http("POST", "/ws/emergency", {"active": False}, token=token, headers=headers)
    assert answer.status == 200


async def test_a_request_with_a_token_is_judged_by_that_alone(olga: OperatorPage) -> None:
    for authorization, status in (
        ("Bearer rubbish", 401),
        ("Basic b2xnYTp4", 401),
        (f"Bearer {token_of('ops', 'admin', scope='metrics:read')}", 403),
    ):
        answer = await olga.get("/ws/alerts", Authorization=authorization)
        assert answer.status == status, authorization


async def test_a_cookie_never_publishes(olga: OperatorPage) -> None:
    client = await olga.server.enter("d1", "doctor", "patient:1")
    for path in ("patient/1", "type/ecg", "type/patient", "all"):
        answer = await olga.post(f"/ws/broadcast/{path}", {"type": "note"})
        assert (answer.status, answer.error) == (401, ANONYMOUS), path
    assert await client.everything() == []


async def test_cookies_that_are_none_open_nothing(olga: OperatorPage, vera: OperatorPage) -> None:
    server, good = olga.server, olga.secret
    for cookie in (
        "",
        "=",
        COOKIE,
        f"{COOKIE}=",
        f"{COOKIE}={good[:-1]}",
        f"{COOKIE}={good}x",
        f"{COOKIE}={good.swapcase()}",
        f'{COOKIE}="{good}"',
        f"{COOKIE}={'x' * 8000}",
        f"{COOKIE}=é",
        f"__Host-{COOKIE}={good}",
        f"{COOKIE.upper()}={good}",
        f"x{COOKIE}={good}",
        f"{COOKIE}={good}; {COOKIE}={good}",
        f"{COOKIE}={good}; {COOKIE}={vera.secret}",
        f"{COOKIE}=x; {COOKIE}={good}",
    ):
        answer = await server.http("GET", "/ws/alerts", headers={"Cookie": cookie})
        assert (answer.status, answer.error) == (401, ANONYMOUS), cookie
    for cookie in (f"theme=dark; {COOKIE}={good}; lang=de", f"{COOKIE}={good};", f"a=b=c;{COOKIE}={good}"):
        assert (await server.http("GET", "/ws/alerts", headers={"Cookie": cookie})).status == 200, cookie


async def test_two_cookie_headers_are_one_list(olga: OperatorPage) -> None:
    port = olga.server.port
    for lines, status in (
        (["theme=dark", olga.cookie], 200),
        ([olga.cookie, olga.cookie], 401),
    ):
        headers = "".join(f"Cookie: {line}\r\n" for line in lines)
        wire = f"GET /ws/alerts HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n{headers}\r\n"
        assert (await exchange(port, wire.encode())).status == status, lines


async def test_a_socket_of_clients_takes_no_cookie(olga: OperatorPage) -> None:
    client = await olga.server.connect(headers={"Cookie": olga.cookie})
    assert (await client.ask("ping"))["code"] == 1001
    assert not olga.server.manager.connections


async def test_the_handshake_of_a_socket_needs_our_own_origin(ward: LiveServer) -> None:
    door, olga = OperatorDoor(ward.service), await OperatorPage.sign_in(ward, "olga")
    bearer = {"Authorization": f"Bearer {token_of('ops', 'admin', scope='admin:read')}"}
    cookie = {"Cookie": olga.cookie, "Host": "ward.example"}
    for headers, opens in (
        ({**cookie, "Origin": "http://ward.example"}, True),
        (cookie, False),
        ({**cookie, "Origin": "https://ward.example"}, False),
        ({**cookie, "Origin": "http://evil.example"}, False),
        ({**bearer, "Host": "ward.example"}, True),
    ):
        request = make_mocked_request("GET", "/ws/admin", headers=headers)
        if opens:
            assert "admin:read" in (await door.require_socket(request, "admin:read")).scopes
        else:
            with pytest.raises(ServerError) as refused:
                await door.require_socket(request, "admin:read")
            assert refused.value.kind.code == 1011


async def test_how_often_an_operator_may_ask_is_bounded_like_a_tokens_subject(
    start_server: StartServer,
) -> None:
    server = await start_server(
        operators={"accounts": ACCOUNTS}, rate_limit={"requests_per_second": 1, "request_burst": 3}
    )
    olga = await OperatorPage.sign_in(server, "olga")
    statuses = [(await olga.get("/ws/alerts")).status for _ in range(5)]
    assert statuses[:3] == [200, 200, 200]
    assert 429 in statuses
    assert (await (await OperatorPage.sign_in(server, "vera")).get("/ws/alerts")).status == 200


# -- what is masked


async def test_a_page_sees_masked_ids_until_it_asks_and_that_is_audited(
    olga: OperatorPage, vera: OperatorPage
) -> None:
    server = olga.server
    client = await server.enter("dr-4711", "doctor", "patient:p-0815")
    await client.ask("subscribe", topic="type:ecg", filters={"patient_id": "p-0816", "vitals.hr": 130})
    report = await server.publish("patient/p-0815", {"type": "vitals"})
    (connection_id,) = server.manager.connections
    body = {"message": {"patient_id": "p-0815"}, "topic": "patient:p-0815"}

    def asked(page: OperatorPage, query: str) -> list[Any]:
        more = query and "?" + query
        explain = f"/ws/explain/{report['message_id']}?connection_id={connection_id}"
        return [
            page.get(f"/ws/subscriptions{more}"),
            page.get(f"/ws/events{more}"),
            page.get(f"{explain}&{query}".rstrip("&")),
            page.post(f"/ws/trace{more}", body),
            page.post(f"/ws/trace{more}", {**body, "topic": "type:ecg", "connection_id": connection_id}),
        ]

    for answer in await asyncio.gather(*asked(vera, ""), *asked(olga, "reveal=false")):
        assert answer.status == 200, answer
        assert b"0815" not in answer.body
        assert b"0816" not in answer.body
        assert b"4711" not in answer.body
    assert "•••15" in (await vera.get("/ws/events")).body.decode()
    assert not server.service.audit.latest(action="reveal")
    for answer in await asyncio.gather(*asked(olga, "reveal=true")):
        assert answer.status == 200, answer
        assert b"081" in answer.body
    revealed = server.service.audit.latest(action="reveal")
    assert len(revealed) == 5
    assert {one.outcome for one in revealed} == {"allowed"}
    assert {one.details["route"] for one in revealed if one.details} == {
        "/ws/subscriptions", "/ws/events", "/ws/explain/{message_id}", "/ws/trace",
    }  # fmt: skip
    for answer in await asyncio.gather(*asked(vera, "reveal=true")):
        assert (answer.status, answer.error) == (403, REFUSED)
    assert [one.outcome for one in server.service.audit.latest(5, action="reveal")] == ["refused"] * 5
    token = token_of("ops", "admin", scope="admin:read")
    assert b"p-0815" in (await server.http("GET", "/ws/events", token=token)).body
    for wrong in ("reveal=yes", "reveal=", "reveal=true&reveal=true"):
        answer = await olga.get(f"/ws/events?{wrong}")
        assert (answer.status, answer.error["code"]) == (400, 1003)


async def test_values_out_of_messages_are_shown_to_tokens_that_may_see_the_patient(
    start_server: StartServer,
) -> None:
    server = await start_server(operators={"accounts": ACCOUNTS})
    client = await server.enter("dr1", "doctor")
    await client.ask("subscribe", topic="patient:p-1", filters={"vitals.hr": {"$gt": 200}})
    report = await server.publish("patient/p-1", {"vitals": {"hr": 131.0625}})
    target = f"/ws/explain/{report['message_id']}?user_id=dr1"
    pages = [
        (await OperatorPage.sign_in(server, "olga"), False),
        (
            await OperatorPage.sign_in(
                server, token=token_of("a", "admin", scope="admin:read", patients=["2"])
            ),
            False,
        ),
        (
            await OperatorPage.sign_in(
                server, token=token_of("b", "admin", scope="admin:read", patients=["p-1"])
            ),
            True,
        ),
    ]
    for page, shown in pages:
        answer = await page.get(target)
        assert (b"131.0625" in answer.body) == shown
        assert answer.json["data"]["connections"][0]["values_withheld"] is not shown
