"""How many may come, and how long a silent one may stay."""

import asyncio
import functools
import json
import time
from typing import Any

import pytest
import websockets
from live_server import LiveServer, settings_of, token_of, until
from raw_socket import RawSocket, command, upgrade

from wsserver.connection_manager import ConnectionManager
from wsserver.settings import Loaded
from wsserver.web import server as server_module


async def refused(server: LiveServer, token: str) -> dict[str, Any]:
    client = await server.connect(token)
    error, code = await client.refused()
    assert (error["type"], error["code"], error["name"], code) == (
        "error",
        1002,
        "connection_limit_exceeded",
        4102,
    )
    assert error["retry_after_ms"] > 0
    return error["details"]


async def test_a_role_is_full(start_server) -> None:
    server = await start_server(connection={"max_connections_per_role": {"nurse": 2, "patient": 0}})
    clients = [await server.enter(f"n{number}", "nurse") for number in range(2)]
    assert await refused(server, token_of("n3", "nurse")) == {"scope": "role"}
    assert await refused(server, token_of("p1", "patient")) == {"scope": "role"}
    await server.enter("d1", "doctor")
    await clients[0].close()
    await until(lambda: len(server.manager.connections) == 2)
    await server.enter("n3", "nurse")


async def test_a_user_has_its_fill(start_server) -> None:
    server = await start_server(connection={"max_connections_per_user": 2})
    for role in ("nurse", "doctor"):
        await server.enter("u1", role)
    assert await refused(server, token_of("u1", "admin")) == {"scope": "user"}
    await server.enter("u2", "nurse")


async def test_the_default_takes_ten_of_a_user(server: LiveServer) -> None:
    for _ in range(10):
        await server.enter("u1")
    assert await refused(server, token_of("u1")) == {"scope": "user"}


async def test_the_house_is_full(start_server) -> None:
    server = await start_server(connection={"max_connections": 3})
    clients = [await server.enter(f"u{number}") for number in range(3)]
    assert await refused(server, token_of("u9")) == {"scope": "global"}
    wrong = await server.connect("rubbish")
    assert (await wrong.refused())[1] == 4501, "at a full house a wrong token is still told as one"
    await clients[0].abort()
    await until(lambda: len(server.manager.connections) == 2)
    await server.enter("u9")


async def test_sockets_without_credentials_cannot_keep_those_with_a_token_out(start_server) -> None:
    server = await start_server(connection={"max_connections": 2, "max_unauthenticated": 3})
    silent = [await server.raw() for _ in range(3)]
    one_more = await RawSocket.dial(server.port)
    await one_more.send(upgrade(server.port, None))
    head = await one_more.read_head()
    assert head.startswith("HTTP/1.1 503 ")
    assert "Retry-After" in head
    await one_more.abort()
    await server.enter("u1")
    await server.enter("u2")
    await silent[0].abort()
    await until(lambda: len(server.service.admission) == 2)
    await server.raw()


async def test_beyond_the_hard_cap_the_answer_is_http(start_server) -> None:
    server = await start_server(connection={"max_connections": 1, "max_unauthenticated": 2})
    silent = [await server.raw() for _ in range(2)]
    await server.enter()
    with pytest.raises(websockets.InvalidStatus) as full:
        await server.connect(token_of("u9"))
    assert full.value.response.status_code == 503
    assert int(full.value.response.headers["Retry-After"]) >= 1
    await silent[0].abort()
    await until(lambda: server.manager.hub.open_count == 2)
    assert await refused(server, token_of("u9")) == {"scope": "global"}


async def test_one_address_is_answered_with_429_beyond_its_limit(start_server) -> None:
    server = await start_server(connection={"max_per_ip": 2})
    first = await server.enter("a")
    await server.raw()
    for forwarded in ({}, {"X-Forwarded-For": "203.0.113.7"}):
        with pytest.raises(websockets.InvalidStatus) as many:
            await server.connect(token_of("c"), headers=forwarded)
        assert many.value.response.status_code == 429
        assert "Retry-After" in many.value.response.headers
    assert (await server.http("GET", "/health")).status == 200
    await first.close()
    await until(lambda: server.manager.hub.open_count == 1)
    await server.enter("c")


async def test_behind_a_trusted_proxy_every_client_has_an_address_of_its_own(start_server) -> None:
    server = await start_server(connection={"max_per_ip": 1}, server={"trusted_proxies": ("127.0.0.1",)})
    for number in range(5):
        await server.connect(
            token_of(f"u{number}"), headers={"X-Forwarded-For": f"6.6.6.6, 203.0.113.{number}"}
        )
    with pytest.raises(websockets.InvalidStatus):
        await server.connect(token_of("u9"), headers={"X-Forwarded-For": "203.0.113.3"})


async def test_one_address_may_not_start_handshakes_for_ever(start_server) -> None:
    server = await start_server(rate_limit={"handshakes_per_ip": 0.01, "handshake_burst": 2})
    for number in range(2):
        await (await server.enter(f"u{number}")).close()
    with pytest.raises(websockets.InvalidStatus) as many:
        await server.connect(token_of("u3"))
    response = many.value.response
    error = json.loads(response.body)["error"]
    assert (response.status_code, error["code"]) == (429, 1010)
    assert 90 <= int(response.headers["Retry-After"]) <= 100
    assert 90_000 <= error["retry_after_ms"] <= 100_000
    await server.service.reconfigure(settings_of(rate_limit={"handshakes_per_ip": None}))
    await server.enter("u3")


async def test_an_ipv6_client_is_its_network_of_64_bits(start_server) -> None:
    server = await start_server(
        rate_limit={"handshakes_per_ip": 0.01, "handshake_burst": 1},
        server={"trusted_proxies": ("127.0.0.1",)},
    )

    async def comes_in(address: str) -> bool:
        try:
            await server.connect(token_of(), headers={"X-Forwarded-For": address})
        except websockets.InvalidStatus as refusal:
            return refusal.response.status_code != 429
        return True

    addresses = ["2001:db8:0:1::1", "2001:db8:0:1:ffff::2", "2001:db8:0:2::1", "203.0.113.1", "203.0.113.2"]
    assert [await comes_in(address) for address in addresses] == [True, False, True, True, True]


async def test_places_are_given_back_however_a_handshake_ends(start_server) -> None:
    """With room for one, whatever went before must have left."""
    server = await start_server(connection={"max_per_ip": 1}, auth={"timeout": 0.3})
    port = server.port
    attempts = [
        upgrade(port, path="/ws/connect?token=x"),
        upgrade(port).replace(b"Version: 13", b"Version: 12"),
        upgrade(port).replace(b"GET ", b"POST "),
        upgrade(port, extra="Origin: https://evil.example\r\n"),
        upgrade(port, "rubbish"),
        upgrade(port, extra="Sec-WebSocket-Protocol: chat\r\n"),
        upgrade(port) + b"\x81\x00",
        upgrade(port),
    ]
    for wire in attempts:
        raw = await RawSocket.dial(port)
        await raw.send(wire)
        await raw.read_head()
        await raw.abort()
        await until(lambda: server.manager.hub.open_count == 0)
        client = await server.enter("after")
        await client.close()
        await until(lambda: server.manager.hub.open_count == 0)
    await server.enter("last")


@pytest.mark.parametrize("rounds", [5, pytest.param(200, id="long", marks=pytest.mark.long)])
@pytest.mark.parametrize("way", ["header", "first frame"])
async def test_fifty_at_once_never_pass_a_cap_of_ten(start_server, way: str, rounds: int) -> None:
    class SlowProvider:
        async def patients(self, user_id: str, role: str, claims: Any) -> str:
            await asyncio.sleep(0)
            return "*"

    server = await start_server(
        options={"provider": SlowProvider()}, connection={"max_connections_per_user": 10}
    )
    manager = server.manager
    token = token_of("greedy")
    for _ in range(rounds):
        highest = 0

        async def attempt() -> str:
            nonlocal highest
            if way == "header":
                raw = await server.raw(token)
            else:
                raw = await server.raw(behind=command("connect", token=token))
            message = await raw.read_message()
            highest = max(highest, len(manager.connections), manager.limits.by_user["greedy"])
            if message["type"] == "connected":
                return "connected"
            assert message["details"] == {"scope": "user"}
            assert (await raw.read_close())[0] == 4102
            return "refused"

        outcomes = await asyncio.gather(*(attempt() for _ in range(50)))
        assert (outcomes.count("connected"), outcomes.count("refused"), highest) == (10, 40, 10)
        for client in server.clients:
            await client.abort()
        server.clients.clear()
        await until(lambda: manager.hub.open_count == 0)
        assert (manager.limits.total, dict(manager.limits.by_user), dict(manager.limits.by_role)) == (
            0,
            {},
            {},
        )


async def test_silent_and_dripping_sockets_are_cut_and_others_are_served(start_server) -> None:
    """A10, small: no headers, half the headers, 101 and silence, half a frame, a drip."""
    server = await start_server(auth={"timeout": 0.5}, options={"keepalive": 0.5})
    port = server.port
    silent = [await RawSocket.dial(port) for _ in range(10)]
    half = [await RawSocket.dial(port) for _ in range(10)]
    for raw in half:
        await raw.send(upgrade(port)[:60])
    upgraded = [await server.raw() for _ in range(10)]
    stuck = [await server.raw(behind=command("connect", token=token_of())[:20]) for _ in range(10)]
    dripping = [await server.raw() for _ in range(5)]
    drip = asyncio.create_task(drip_into(dripping, command("connect", token=token_of())))

    started = time.monotonic()
    waits = []
    for number in range(20):
        before = time.monotonic()
        client = await server.enter(f"u{number}")
        await client.close()
        waits.append(time.monotonic() - before)
    assert max(waits) < 1
    for raw in upgraded + stuck + dripping:
        assert (await raw.read_close())[0] == 4001
    for raw in half:
        assert await raw.hung_up()
    assert time.monotonic() - started < 5
    drip.cancel()
    for raw in silent + half:
        await raw.abort()


async def drip_into(sockets: list[RawSocket], data: bytes) -> None:
    """One byte for each, again and again: never silent, never done."""
    for position in range(len(data) // 2):
        for raw in sockets:
            try:
                await raw.send(data[position : position + 1])
            except OSError:
                return
        await asyncio.sleep(0.05)


async def test_the_server_of_the_command_line_cuts_slow_headers_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """aiohttp gives headers more than an hour unless told otherwise."""
    assert server_module.REQUEST_TIMEOUT == 10.0
    monkeypatch.setattr(server_module, "REQUEST_TIMEOUT", 0.4)
    settings = settings_of(server={"port": 0})
    own = functools.partial(server_module.setup, manager=ConnectionManager(settings))
    monkeypatch.setattr(server_module, "setup", own)
    server = server_module.WebSocketServer()
    await server.start(Loaded(settings=settings, origins={}))
    try:
        raw = await RawSocket.dial(int(str(server.url).rpartition(":")[2]))
        drip = asyncio.create_task(drip_into([raw], upgrade(0, token_of()) * 2))
        started = time.monotonic()
        assert await raw.hung_up()
        assert time.monotonic() - started < 5
        drip.cancel()
        await raw.abort()
    finally:
        await server.stop()


async def test_limits_of_the_settings_can_be_changed_while_it_runs(start_server) -> None:
    server = await start_server(connection={"max_connections_per_user": 1, "max_per_ip": 2})
    await server.enter("u1")
    await refused(server, token_of("u1"))
    await until(lambda: server.manager.hub.open_count == 1)
    await server.service.reconfigure(settings_of(connection={"max_connections_per_user": 2, "max_per_ip": 3}))
    await server.enter("u1")
    await refused(server, token_of("u1"))
    await until(lambda: server.manager.hub.open_count == 2)
    await server.enter("u2")
    with pytest.raises(websockets.InvalidStatus):
        await server.connect(token_of("u3"))


async def test_a_smaller_message_limit_holds_for_open_connections_at_once(start_server) -> None:
    server = await start_server()
    client = await server.enter("u1")
    await server.service.reconfigure(settings_of(inbound={"max_message_size": 1024}))
    await client.send("ping", t="x", request_id="y" * 64)
    assert (await client.receive())["type"] == "pong"
    await client.send_text(" " * 1025)
    assert (await client.receive())["code"] == 1004
