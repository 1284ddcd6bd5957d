"""``/ws/connections`` on real sockets: who is here, and the operator's hand on them."""

import asyncio
from typing import Any

import pytest
from http_request import Answer
from live_server import LiveServer, StartServer, token_of, until
from operator_accounts import ACCOUNTS
from operator_page import OperatorPage

READ = token_of("ops", "admin", scope="admin:read")
WRITE = token_of("ops", "admin", scope="admin:write")


@pytest.fixture
async def ward(start_server: StartServer) -> LiveServer:
    return await start_server(operators={"accounts": ACCOUNTS})


async def told(server: LiveServer, target: str) -> dict[str, Any]:
    answer = await server.http("GET", target, token=READ)
    assert answer.status == 200, answer
    return answer.json["data"]


async def end(server: LiveServer, target: str, body: Any = None, token: str = WRITE) -> Answer:
    return await server.http("POST", f"{target}/disconnect", body, token=token)


async def test_those_who_are_here_are_listed(ward: LiveServer) -> None:
    doctor = await ward.enter("dr1", "doctor", "patient:1", "type:ecg")
    nurse = await ward.connect(token_of("n1", "nurse"), protocols=["wsserver.v1.bin"], query="?patient_id=7")
    await nurse.receive()
    await ward.publish("patient/1", {"type": "vitals"})
    await doctor.published()
    page = await told(ward, "/ws/connections")
    assert (page["total"], page["matching"], page["next_cursor"]) == (2, 2, None)
    first, second = page["connections"]
    assert (first["user_id"], first["role"], first["subscriptions"], first["patient_id"]) == (
        "dr1",
        "doctor",
        2,
        None,
    )
    assert (second["user_id"], second["protocol"], second["patient_id"]) == ("n1", "wsserver.v1.bin", "7")
    assert {first["address"], second["address"]} == {"127.0.0.1"}
    assert {first["state"], second["state"]} == {"ok"}
    assert first["messages_in"] == 3
    assert first["messages_out"] >= 4
    assert first["bytes_out"] > first["messages_out"]
    only = await told(
        ward, "/ws/connections?protocol=wsserver.v1.bin&role=nurse&user_id=n1&patient_id=7&state=ok"
    )
    assert [one["user_id"] for one in only["connections"]] == ["n1"]
    assert (await told(ward, f"/ws/connections?q={first['connection_id']}"))["matching"] == 1


async def test_pages_follow_each_other(ward: LiveServer) -> None:
    for number in range(5):
        await ward.enter(f"u{number}")
    found, cursor = [], ""
    for _ in range(3):
        page = await told(ward, f"/ws/connections?limit=2&sort=-connected{cursor}")
        found += [one["user_id"] for one in page["connections"]]
        cursor = f"&cursor={page['next_cursor']}"
    assert page["next_cursor"] is None
    assert found == ["u4", "u3", "u2", "u1", "u0"]


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=1001",
        "limit=x",
        "sort=user",
        "sort=--rtt",
        "sort=",
        "state=bored",
        "protocol=http",
        "role=a%20b",
        "user_id=",
        "patient_id=%00",
        "q=%25",
        "cursor=x",
        "cursor=",
        "colour=red",
        "limit=1&limit=1",
        "reveal=1",
    ],
)
async def test_a_query_that_is_not_understood_is_answered_with_400(ward: LiveServer, query: str) -> None:
    answer = await ward.http("GET", f"/ws/connections?{query}", token=READ)
    assert (answer.status, answer.error["code"]) == (400, 1003)


async def test_all_that_is_known_of_one_is_told_and_never_its_secrets(ward: LiveServer) -> None:
    token = token_of("dr1", "doctor", patients=["1"], jti="t_1")
    client = await ward.connect()
    await client.send("connect", token=token, subscriptions=["patient:1"])
    connected = await client.receive()
    answer = await ward.http("GET", f"/ws/connections/{connected['connection_id']}", token=READ)
    info = answer.json["data"]
    assert (info["user_id"], info["token"]["token_id"], info["token"]["patients"]) == ("dr1", "t_1", 1)
    assert info["session"] == {"kept": True, "ttl_seconds": 120.0, "resumed": False}
    assert [one["target_id"] for one in info["subscribed"]] == ["1"]
    assert [one["kind"] for one in info["events"]] == ["subscribed"]
    assert connected["session_id"].encode() not in answer.body
    assert token.encode() not in answer.body


async def test_an_operator_sees_masked_ids_until_asked_which_is_audited(ward: LiveServer) -> None:
    await ward.enter("dr-4711", "doctor", "patient:p-0815", patients=["p-0815"])
    (connection_id,) = ward.manager.connections
    olga, vera = await OperatorPage.sign_in(ward), await OperatorPage.sign_in(ward, "vera")
    for path in ("/ws/connections", f"/ws/connections/{connection_id}"):
        for page in (olga, vera):
            masked = await page.get(path)
            assert masked.status == 200
            assert b"4711" not in masked.body
            assert b"0815" not in masked.body
            assert "•••11" in masked.body.decode()
        assert b"dr-4711" in (await olga.get(f"{path}?reveal=true")).body
        assert (await vera.get(f"{path}?reveal=true")).status == 403
    noted = ward.service.audit.latest(action="reveal")
    assert [(one.actor, one.outcome, one.connection_id) for one in noted] == [
        ("vera", "refused", connection_id),
        ("olga", "allowed", connection_id),
        ("vera", "refused", None),
        ("olga", "allowed", None),
    ]


async def test_one_is_ended_for_good_or_sent_round(ward: LiveServer) -> None:
    first, second = await ward.enter("u1"), await ward.enter("u2")
    ids = list(ward.manager.connections)
    assert (await end(ward, f"/ws/connections/{ids[0]}", {"reason": "wrong ward"})).json["data"] == {
        "disconnected": 1
    }
    assert await first.closing() == (4523, "wrong ward")
    assert (await end(ward, f"/ws/connections/{ids[1]}", {"reconnect": True})).status == 200
    assert await second.closing() == (4021, "an operator asks to reconnect")
    noted = ward.service.audit.latest(action="disconnect_connection")
    assert [(one.actor, one.role, one.connection_id, one.details) for one in noted] == [
        ("ops", "admin", ids[1], {"user": "u2", "code": 4021}),
        ("ops", "admin", ids[0], {"user": "u1", "code": 4523, "reason": "wrong ward"}),
    ]
    await until(lambda: not ward.manager.connections)
    assert ward.manager.disconnects == {4523: 1, 4021: 1}


async def test_what_waits_for_a_client_leaves_before_its_close(ward: LiveServer) -> None:
    client = await ward.enter("u1", "doctor", "type:ecg")
    (connection_id,) = ward.manager.connections
    for number in range(50):
        ward.manager.broadcast_to_type("ecg", {"n": number})
    await end(ward, f"/ws/connections/{connection_id}")
    assert await client.closing() == (4523, "ended by an operator")
    assert [one["n"] for one in client.waiting if "n" in one] == list(range(50))


async def test_all_connections_of_a_user_are_ended_and_nobody_elses(ward: LiveServer) -> None:
    theirs = [await ward.enter("u1") for _ in range(3)]
    other = await ward.enter("u2")
    answer = await end(ward, "/ws/users/u1", {"reason": "shift is over"})
    assert answer.json["data"] == {"disconnected": 3}
    for one in theirs:
        assert await one.closing() == (4523, "shift is over")
    assert await other.everything() == []
    (noted,) = ward.service.audit.latest(action="disconnect_user")
    assert noted.details == {"user": "u1", "code": 4523, "reason": "shift is over", "connections": 3}


async def test_who_is_not_there_is_not_found_and_it_is_said_why(ward: LiveServer) -> None:
    client = await ward.enter("u1")
    (connection_id,) = ward.manager.connections
    await client.close()
    await until(lambda: not ward.manager.connections)
    ended = await ward.http("GET", f"/ws/connections/{connection_id}", token=READ)
    assert (ended.status, ended.error["code"], ended.error["message"]) == (
        404,
        1014,
        "This connection has ended.",
    )
    assert set(ended.error["details"]) == {"ended_at"}
    for answer in (
        await ward.http("GET", "/ws/connections/c_nobody", token=READ),
        await end(ward, "/ws/connections/c_nobody"),
        await end(ward, "/ws/users/u1"),
    ):
        assert (answer.status, answer.error["code"]) == (404, 1014)
    assert ward.service.audit.latest(action="disconnect_connection") == []


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"{",
        {"reason": 5},
        {"reason": "x" * 124},
        {"reason": "é" * 62},
        {"reconnect": "yes"},
        {"code": 1000},
    ],
    ids=str,
)
async def test_a_body_that_is_not_understood_ends_nobody(ward: LiveServer, body: Any) -> None:
    client = await ward.enter("u1")
    (connection_id,) = ward.manager.connections
    for target in (f"/ws/connections/{connection_id}", "/ws/users/u1"):
        answer = await end(ward, target, body)
        assert (answer.status, answer.error["code"]) == (400, 1003)
    assert await client.everything() == []


async def test_an_id_that_is_none_is_answered_with_400(ward: LiveServer) -> None:
    for target in ("/ws/connections/%20", "/ws/connections/..%2f..", "/ws/users/%00"):
        assert (await end(ward, target)).status in (400, 404), target
    assert (await ward.http("GET", "/ws/connections/-x", token=READ)).status == 400


async def test_each_route_asks_for_its_scope_before_it_looks_for_anybody(ward: LiveServer) -> None:
    for method, target, wrong in (
        ("GET", "/ws/connections", WRITE),
        ("GET", "/ws/connections/c_nobody", WRITE),
        ("POST", "/ws/connections/c_nobody/disconnect", READ),
        ("POST", "/ws/users/nobody/disconnect", READ),
    ):
        for token, status in ((None, 401), (wrong, 403)):
            answer = await ward.http(method, target, token=token)
            assert answer.status == status, target


async def test_a_connection_may_be_asked_for_while_others_come_and_go(ward: LiveServer) -> None:
    async def come_and_go(number: int) -> None:
        client = await ward.enter(f"u{number}")
        await client.close()

    async def look() -> None:
        for _ in range(10):
            await told(ward, "/ws/connections?sort=-pending")

    await asyncio.gather(look(), *(come_and_go(number) for number in range(10)))
