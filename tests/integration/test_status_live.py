"""The live feed and the charts on real sockets: who gets in, who does not, and when somebody is put out."""

import asyncio
import gzip
import json
import os
import struct
from typing import Any

import pytest
from http_request import exchange
from live_server import LiveServer, StartServer, token_of, until
from operator_accounts import ACCOUNTS
from operator_page import OperatorPage, own_origin
from raw_socket import KEY, RawSocket, frame
from ward_client import WardClient

from wsserver.overload import Cause
from wsserver.status.columns import COLUMNS
from wsserver.web.app import LIVE

ANONYMOUS = {"code": 1001, "name": "authentication_failed", "message": "Authentication failed."}
FORBIDDEN = {
    "code": 1011,
    "name": "permission_denied",
    "message": "Not allowed.",
    "details": {"scope": "admin:read"},
}


@pytest.fixture
async def ward(start_server: StartServer) -> LiveServer:
    """A server with two operators."""
    return await start_server(operators={"accounts": ACCOUNTS})


def reader(user: str = "grafana", **claims: Any) -> str:
    """A token that may look."""
    return token_of(user, "admin", **{"scope": "admin:read", **claims})


async def page_socket(page: OperatorPage, **headers: str | None) -> WardClient:
    """The socket of a status page, with some headers changed, or left out where they are None."""
    sent = {"Cookie": page.cookie, "Origin": own_origin(page.server), **headers}
    return await page.server.connect(
        path="/ws/admin", headers={name: value for name, value in sent.items() if value is not None}
    )


async def signed_in_socket(page: OperatorPage) -> WardClient:
    """The same after its first frame."""
    socket = await page_socket(page)
    await socket.send("connect", token=page.told["csrf_token"], user_id=page.told["name"])
    assert (await socket.receive())["type"] == "connected"
    return socket


async def refusal(server: LiveServer, headers: dict[str, str], method: str = "GET") -> tuple[int, Any]:
    """Status and error of a handshake that is refused."""
    lines = {
        "Host": f"127.0.0.1:{server.port}",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": KEY,
        **headers,
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    answer = await exchange(server.port, f"{method} /ws/admin HTTP/1.1\r\n{head}\r\n".encode())
    return answer.status, answer.error


# -- coming in


async def test_a_page_watches_by_its_cookie(ward: LiveServer) -> None:
    socket = await signed_in_socket(await OperatorPage.sign_in(ward, "vera"))
    assert (await socket.ask("subscribe", topic="status:overview"))["type"] == "subscription_confirmed"
    message = await socket.receive()
    assert message["_meta"]["topic"] == "status:overview"
    assert (message["panel"], message["state"]) == ("overview", "accepting")
    assert list(message["point"]) == [column.name for column in COLUMNS]


async def test_a_program_watches_by_its_token(ward: LiveServer) -> None:
    socket = await ward.connect(reader(), path="/ws/admin", protocols=["wsserver.v1.json"])
    connected = await socket.receive()
    assert (connected["type"], connected["role"]) == ("connected", "viewer")
    await socket.ask("subscribe", topic="status:alerts")
    assert (await socket.receive())["panel"] == "alerts"


async def test_without_credentials_there_is_no_socket(ward: LiveServer) -> None:
    for headers in ({}, {"Origin": own_origin(ward)}, {"Cookie": "wsserver_operator=guessed"}):
        assert await refusal(ward, headers) == (401, ANONYMOUS)
    bearer = token_of("u1", "doctor", scope="metrics:read")
    assert await refusal(ward, {"Authorization": f"Bearer {bearer}"}) == (403, FORBIDDEN)
    assert ward.app[LIVE].viewers.manager.hub.open_count == 0


async def test_what_is_no_handshake_is_refused_like_on_any_route(ward: LiveServer) -> None:
    assert (await ward.http("GET", "/ws/admin")).error == ANONYMOUS
    assert (await ward.http("GET", "/ws/admin", token=reader())).status == 426
    assert (await ward.http("POST", "/ws/admin", {}, token=reader())).status == 405


async def test_a_token_in_the_address_is_refused(ward: LiveServer) -> None:
    answer = await ward.http("GET", f"/ws/admin?token={reader()}")
    assert answer.status == 401


@pytest.mark.parametrize(
    "origin",
    [
        None,
        "http://evil.example",
        "https://127.0.0.1:{port}",
        "http://127.0.0.1:1",
        "http://localhost:{port}",
        "null",
        "http://127.0.0.1:{port}.evil.example",
        "http://127.0.0.1:{port}@evil.example",
        "HTTP://127.0.0.1:{port}",
        "",
    ],
)
async def test_a_foreign_page_cannot_hijack_the_socket_of_somebody_signed_in(
    ward: LiveServer, origin: str | None
) -> None:
    page = await OperatorPage.sign_in(ward, "olga")
    headers = {"Cookie": page.cookie}
    if origin is not None:
        headers["Origin"] = origin.format(port=ward.port)
    assert await refusal(ward, headers) == (403, FORBIDDEN)
    assert await refusal(ward, {**headers, "Sec-Fetch-Site": "cross-site"}) == (403, FORBIDDEN)


async def test_an_origin_that_clients_may_have_is_foreign_here(start_server: StartServer) -> None:
    friend = "https://ward.example"
    server = await start_server(operators={"accounts": ACCOUNTS}, server={"allowed_origins": (friend,)})
    page = await OperatorPage.sign_in(server, "olga")
    assert await refusal(server, {"Cookie": page.cookie, "Origin": friend}) == (403, FORBIDDEN)


async def test_two_origins_are_none(ward: LiveServer) -> None:
    page = await OperatorPage.sign_in(ward, "olga")
    own = own_origin(ward)
    headers = {"Cookie": page.cookie, "Origin": f"{own}\r\nOrigin: {own}"}
    assert await refusal(ward, headers) == (403, FORBIDDEN)


async def test_a_page_whose_first_frame_lacks_the_csrf_token_is_closed(ward: LiveServer) -> None:
    page = await OperatorPage.sign_in(ward, "olga")
    socket = await page_socket(page)
    await socket.send("connect", token="cookie", user_id="olga")
    assert (await socket.closing())[0] == 4501


async def test_only_json_is_spoken(ward: LiveServer) -> None:
    status, error = await refusal(
        ward, {"Authorization": f"Bearer {reader()}", "Sec-WebSocket-Protocol": "wsserver.v1.bin"}
    )
    assert (status, error["code"]) == (400, 1003)


# -- what goes on there


async def test_nobody_publishes_and_nothing_but_panels_is_followed(ward: LiveServer) -> None:
    socket = await signed_in_socket(await OperatorPage.sign_in(ward, "olga"))
    for topic in ("patient:123", "patient:*", "*", "type:ecg"):
        assert (await socket.ask("subscribe", topic=topic))["code"] == 1011
    answer = await socket.ask(
        "broadcast", target_type="status", target_id="overview", message={"type": "status"}
    )
    assert answer["code"] == 1011


async def test_viewers_are_in_no_figure_of_the_server(ward: LiveServer) -> None:
    socket = await signed_in_socket(await OperatorPage.sign_in(ward, "olga"))
    await socket.ask("subscribe", topic="status:overview")
    await socket.receive()
    metrics = await ward.metrics()
    assert metrics["connections"]["total"] == metrics["connections"]["active"] == 0
    assert metrics["messages"]["sent"] == metrics["messages"]["received"] == 0
    assert metrics["subscriptions"]["total"] == 0


async def test_a_full_overloaded_or_draining_server_can_be_watched(start_server: StartServer) -> None:
    server = await start_server(
        operators={"accounts": ACCOUNTS},
        connection={"max_connections": 1},
        shutdown={"timeout": 60, "notice": 60},
    )
    await server.enter()
    page = await OperatorPage.sign_in(server, "olga")

    async def state() -> tuple[str, list[str]]:
        socket = await signed_in_socket(page)
        await socket.ask("subscribe", topic="status:overview")
        message = await socket.receive()
        await socket.abort()
        return message["state"], message["reasons"]

    assert await state() == ("accepting", [])
    server.service.overload.enter(Cause.OPERATOR)
    await asyncio.sleep(1.3)
    assert await state() == ("overloaded", ["operator"])
    server.service.overload.leave(Cause.OPERATOR)
    server.service.start_drain()
    await asyncio.sleep(1.3)
    assert await state() == ("draining", ["drain"])
    assert len(server.faults.seen) == 1, "an overload is critical"
    server.faults.seen.clear()


async def test_there_are_only_so_many_places_and_they_come_back(start_server: StartServer) -> None:
    server = await start_server(operators={"accounts": ACCOUNTS}, status={"max_viewers": 2})
    first, second = [await server.connect(reader(), path="/ws/admin") for _ in range(2)]
    for socket in (first, second):
        assert (await socket.receive())["type"] == "connected"
    status, error = await refusal(server, {"Authorization": f"Bearer {reader()}"})
    assert (status, error["code"]) == (503, 1002)
    await first.socket.close()
    await until(lambda: server.app[LIVE].viewers.manager.hub.open_count == 1)
    third = await server.connect(reader(), path="/ws/admin")
    assert (await third.receive())["type"] == "connected"


async def test_whoever_signs_out_loses_the_socket_within_two_seconds(ward: LiveServer) -> None:
    page = await OperatorPage.sign_in(ward, "olga")
    socket = await signed_in_socket(page)
    assert (await page.post("/ws/logout")).status == 200
    async with asyncio.timeout(2):
        assert (await socket.closing())[0] == 4501
    assert await refusal(ward, {"Cookie": page.cookie, "Origin": own_origin(ward)}) == (401, ANONYMOUS)


async def test_a_revoked_token_loses_the_socket_within_two_seconds(ward: LiveServer) -> None:
    socket = await ward.connect(reader("mallory"), path="/ws/admin")
    await socket.receive()
    await ward.service.revoke(user_id="mallory")
    async with asyncio.timeout(2):
        assert (await socket.closing())[0] == 4511


async def test_a_viewer_that_does_not_read_costs_its_bounded_queue_and_nobody_else(ward: LiveServer) -> None:
    viewers = ward.app[LIVE].viewers
    stuck = await RawSocket.open(ward.port, reader("stuck"), path="/ws/admin")
    ward.clients.append(stuck)
    for panel in ("overview", "slow", "alerts", "events"):
        await stuck.send(frame(1, json.dumps({"type": "subscribe", "topic": f"status:{panel}"}).encode()))
    reads = await signed_in_socket(await OperatorPage.sign_in(ward, "olga"))
    await reads.ask("subscribe", topic="status:overview")
    await until(lambda: len(viewers.manager.subscription_manager) == 5)
    hub = viewers.manager.hub
    for number in range(400):
        # As much as the kernel takes for it, and far more.
        viewers.manager.broadcast_to_type(
            "status", {"type": "status", "panel": f"p{number % 4}", "pad": os.urandom(8_000).hex()}
        )
        await asyncio.sleep(0)
    assert hub.pinned_bytes <= 1.5 * 2**20
    assert ward.manager.hub.pinned_bytes == 0
    while "pad" in (message := await reads.receive()) or message.get("panel") != "overview":
        continue


async def test_the_socket_ends_with_the_server(ward: LiveServer) -> None:
    socket = await signed_in_socket(await OperatorPage.sign_in(ward, "olga"))
    await ward.end()
    assert (await socket.closing())[0] == 1001


# -- charts


def columns(body: bytes) -> tuple[dict[str, Any], dict[str, tuple[float, ...]]]:
    (length,) = struct.unpack_from("<I", body)
    head = json.loads(body[4 : 4 + length])
    count, at = head["count"], 4 + length
    found = {}
    for column in head["columns"]:
        found[column["name"]] = struct.unpack_from(f"<{count}f", body, at)
        at += 4 * count
    assert at == len(body)
    return head, found


async def test_charts_are_full_at_once(ward: LiveServer) -> None:
    await ward.enter("u1")
    await until(lambda: ward.app[LIVE].series.minutes.row[0] == 1)
    page = await OperatorPage.sign_in(ward, "vera")
    answer = await page.get("/ws/status/series?window=15m")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/octet-stream")
    head, found = columns(answer.body)
    assert (head["window"], head["step"], head["count"]) == ("15m", 1, 900)
    assert found["connections"][-1] == 1
    head, _ = columns((await page.get("/ws/status/series?window=6h")).body)
    assert (head["window"], head["step"], head["count"]) == ("6h", 10, 2160)


async def test_they_are_compressed_for_whoever_takes_that(ward: LiveServer) -> None:
    answer = await ward.http(
        "GET", "/ws/status/series", token=reader(), headers={"Accept-Encoding": "gzip, br"}
    )
    assert answer.headers["content-encoding"] == "gzip"
    assert len(answer.body) < 20_000
    head, _ = columns(gzip.decompress(answer.body))
    assert head["window"] == "15m"
    plain = await ward.http("GET", "/ws/status/series", token=reader())
    assert "content-encoding" not in plain.headers


@pytest.mark.parametrize("query", ["?window=1h", "?window=", "?window=15m&window=6h", "?span=15m"])
async def test_a_window_that_is_none_is_refused(ward: LiveServer, query: str) -> None:
    answer = await ward.http("GET", f"/ws/status/series{query}", token=reader())
    assert (answer.status, answer.error["code"]) == (400, 1003)


async def test_charts_are_for_operators(ward: LiveServer) -> None:
    assert (await ward.http("GET", "/ws/status/series")).error == ANONYMOUS
    token = token_of("u1", "doctor", scope="metrics:read")
    assert (await ward.http("GET", "/ws/status/series", token=token)).error == FORBIDDEN


# -- acknowledging


async def test_an_operator_acknowledges_a_raised_alert_and_it_is_audited(ward: LiveServer) -> None:
    ward.service.alerts.switch("store", True)
    olga, vera = await OperatorPage.sign_in(ward, "olga"), await OperatorPage.sign_in(ward, "vera")
    assert (await vera.post("/ws/alerts/store/acknowledge")).status == 403
    answer = await olga.post("/ws/alerts/store/acknowledge")
    assert answer.status == 200, answer
    told = answer.json["data"]
    assert (told["alert"], told["acknowledged"]["by"], told["changed"]) == ("store", "olga", True)
    token = token_of("backend", "admin", scope="admin:write")
    again = await ward.http("POST", "/ws/alerts/store/acknowledge", token=token)
    assert (again.json["data"]["acknowledged"], again.json["data"]["changed"]) == (
        told["acknowledged"],
        False,
    )
    (listed,) = (await vera.get("/ws/alerts")).json["data"]["active"]
    assert listed["acknowledged"] == told["acknowledged"]
    (record,) = ward.service.audit.latest(action="acknowledge_alert")
    assert (record.actor, record.details) == ("olga", {"alert": "store"})


@pytest.mark.parametrize("name", ["latency", "nothing", "x" * 300, "%2e%2e"])
async def test_what_is_not_raised_cannot_be_acknowledged(ward: LiveServer, name: str) -> None:
    token = token_of("backend", "admin", scope="admin:write")
    answer = await ward.http("POST", f"/ws/alerts/{name}/acknowledge", token=token)
    assert (answer.status, answer.error["code"]) == (404, 1014)
    assert ward.service.audit.latest(action="acknowledge_alert") == []
