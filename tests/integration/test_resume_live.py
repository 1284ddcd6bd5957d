"""Clients that come back, over real sockets. Cuts at random places are judged in test_cuts."""

import asyncio
from typing import Any

import pytest
import websockets
from live_server import LiveServer, StartServer, token_of, until
from ward_client import WardClient

from wsserver.overload import Cause


async def entered(server: LiveServer, *topics: str, user: str = "u1") -> tuple[WardClient, dict[str, Any]]:
    client = await server.connect()
    told = await client.ask("connect", token=token_of(user), subscriptions=list(topics))
    assert told["type"] == "connected"
    return client, told


async def returned(
    server: LiveServer, told: dict[str, Any], cursor: dict[str, int] | None = None, user: str = "u1"
) -> tuple[WardClient, dict[str, Any]]:
    client = await server.connect()
    session = {"id": told["session_id"], "cursor": told["cursor"] if cursor is None else cursor}
    return client, await client.ask("connect", token=token_of(user), session=session)


async def numbers(client: WardClient, last: int) -> list[int]:
    """What has been published, up to one number: a pong may come in the middle of a replay."""
    got: list[int] = []
    while not got or got[-1] < last:
        message = await client.receive()
        if "_meta" in message:
            got.append(message["n"])
    return got


def overloaded(server: LiveServer) -> None:
    """Begin an overload, which the log tells as an error."""
    server.service.overload.enter(Cause.OPERATOR)
    server.faults.seen.clear()


async def test_what_is_missed_comes_in_order_before_what_is_new(server: LiveServer) -> None:
    client, told = await entered(server, "patient:1", "type:ecg")
    await server.publish("patient/1", {"n": 0})
    (first,) = await client.published()
    cursor = told["cursor"] | {first["_meta"]["log"]: first["_meta"]["seq"]}
    await client.abort()
    await until(lambda: not server.manager.connections)
    for n in range(1, 400):
        server.manager.broadcast_to_type("ecg", {"n": n, "patient_id": 1})
    pending = asyncio.ensure_future(returned(server, told, cursor))
    n = 400
    while not pending.done():
        server.manager.broadcast_to_patient(1, {"n": n})
        n += 1
        await asyncio.sleep(0)
    back, connected = await pending
    last = n + 20
    for number in range(n, last + 1):
        server.manager.broadcast_to_patient(1, {"n": number})
    assert await numbers(back, last) == list(range(1, last + 1))
    assert connected["session"]["gaps"] == []
    assert 399 <= connected["session"]["replayed"] <= last
    metrics = await server.metrics()
    assert metrics["sessions"]["resumed"] == 1
    assert metrics["deliveries"]["replayed"] >= connected["session"]["replayed"]
    assert metrics["remembered"]["messages"] == last + 1


async def test_a_second_connection_takes_the_session_from_the_first(server: LiveServer) -> None:
    first, told = await entered(server, "type:ecg")
    second, connected = await returned(server, told)
    assert connected["session"]["resumed"]
    assert await first.closing() == (4522, "superseded")
    server.manager.broadcast_to_type("ecg", {"n": 1})
    assert [message["n"] for message in await second.published()] == [1]
    assert (await server.metrics())["sessions"]["taken_over"] == 1


async def test_who_reads_slowly_gets_all_of_it_all_the_same(start_server: StartServer) -> None:
    server = await start_server(backpressure={"send_buffer": 4096})
    client, told = await entered(server, "type:ecg")
    await client.abort()
    await until(lambda: not server.manager.connections)
    for n in range(600):
        server.manager.broadcast_to_type("ecg", {"n": n, "text": "x" * 500})
    back, connected = await returned(server, told)
    assert connected["session"]["replayed"] == 600
    await until(lambda: bool(server.manager.hub.stalled_connections), "a full socket")
    for n in range(600, 700):
        server.manager.broadcast_to_type("ecg", {"n": n})
    assert await numbers(back, 699) == list(range(700))
    assert server.manager.slow_connections() == 0


class TestOverload:
    async def test_those_who_come_back_are_let_in_and_others_are_not(self, server: LiveServer) -> None:
        client, told = await entered(server, "type:ecg")
        await client.abort()
        await until(lambda: not server.manager.connections)
        overloaded(server)
        with pytest.raises(websockets.InvalidStatus, match="503"):
            await server.connect(token_of())
        stranger = await server.connect()
        await stranger.send("connect", token=token_of("u2"))
        error, code = await stranger.refused()
        assert (error["code"], code) == (1013, 4020)
        assert error["retry_after_ms"] == 5000
        back, connected = await returned(server, told)
        assert connected["session"]["resumed"]
        server.manager.broadcast_to_type("ecg", {"n": 1})
        assert [message["n"] for message in await back.published()] == [1]

    async def test_nobody_may_come_to_see_where_nobody_may_come_back(self, start_server: StartServer) -> None:
        server = await start_server(overload={"resume_reserve": 0})
        await entered(server)
        overloaded(server)
        with pytest.raises(websockets.InvalidStatus, match="503"):
            await server.connect()

    async def test_only_so_many_may_come_to_see(
        self, server: LiveServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("wsserver.web.handlers.endpoint.MOST_RETURNING", 2)
        overloaded(server)
        for _ in range(2):
            await server.connect()
        with pytest.raises(websockets.InvalidStatus, match="503"):
            await server.connect()

    async def test_an_operators_refusal_or_a_drain_holds_for_all(self, server: LiveServer) -> None:
        _, told = await entered(server)
        overloaded(server)
        server.manager.set_accept_connections(False)
        with pytest.raises(websockets.InvalidStatus, match="503"):
            await returned(server, told)
